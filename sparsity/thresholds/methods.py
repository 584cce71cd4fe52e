# SPDX-License-Identifier: Apache-2.0
"""Rules that zero activations of an FFN, fitted on some text and then applied to other text.

Every rule sees a layer as the down projection does: its input `a`, and where it needs them the FFN
input `x` and the gate before its activation. What a rule costs the NPU follows from what it zeroes:
zeros of `a` skip rows of the down projection, zeros of the gate rows of up and down, zeros of `x`
columns that the row layout of the other projections cannot skip.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import SparsityError
from sparsity.thresholds.quantiles import MagnitudeHistogram, below

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FfnStep:
    """One layer's FFN on some tokens, as a rule sees it."""

    layer: int
    a: Array
    """[tokens, k], input of the down projection."""
    gate: Array | None = None
    """[tokens, k], the gate after its activation function; None in an FFN without a gate."""
    down_norms: Array | None = None
    """[k], Euclidean norm of every row of the down projection."""


class Rule(ABC):
    """Zeroes activations so that a share `sparsity` of them is zero, as far as it was fitted."""

    title: str
    """Name on the command line and in tables."""
    source: str
    """Where the rule comes from."""

    def __init__(self, sparsity: float) -> None:
        if not 0 <= sparsity <= 1:
            raise SparsityError(f"sparsity {sparsity} is not a share: give 0 to 1")
        self.sparsity = sparsity

    def see(self, step: FfnStep) -> None:  # noqa: B027 (most rules need no text)
        """Take in a layer's activations on text to be fitted to."""

    def fit(self) -> None:  # noqa: B027
        """Settle what was seen."""

    @abstractmethod
    def zeroed(self, step: FfnStep) -> NDArray[np.bool_]:
        """[tokens, k]: which activations become zero."""

    def apply(self, step: FfnStep) -> Array:
        """The layer's activations with zeros where the rule has them."""
        return np.where(self.zeroed(step), np.float32(0), step.a)


class _Fitted(Rule):
    """A rule with one threshold per layer on some magnitude."""

    def __init__(self, sparsity: float) -> None:
        super().__init__(sparsity)
        self._seen: dict[int, MagnitudeHistogram] = {}
        self.thresholds: dict[int, float] = {}
        """By layer, once fitted."""

    def magnitudes(self, step: FfnStep) -> Array:
        """What is compared with the threshold."""
        return step.a

    def see(self, step: FfnStep) -> None:
        """Count the layer's magnitudes."""
        self._seen.setdefault(step.layer, MagnitudeHistogram()).add(self.magnitudes(step))

    def fit(self) -> None:
        """A threshold for every layer that was seen."""
        if not self._seen:
            raise SparsityError(f"{self.title} has seen no text: show it some before it is used")
        self.thresholds = {n: seen.threshold(self.sparsity) for n, seen in self._seen.items()}

    def zeroed(self, step: FfnStep) -> NDArray[np.bool_]:
        """Where the magnitude is below the layer's threshold."""
        if step.layer not in self.thresholds:
            raise SparsityError(f"{self.title} was not fitted to layer {step.layer}: fit it first")
        return below(self.magnitudes(step), self.thresholds[step.layer])


class PerLayer(_Fitted):
    """|a| below the layer's own threshold: the seed's rule."""

    title = "per-layer"
    source = "seed, compressing general LLMs: T per layer, strictly below"


class Global(PerLayer):
    """|a| below one threshold for all layers."""

    title = "global"
    source = "the seed's rule with one threshold for the whole model"

    def fit(self) -> None:
        """One threshold from the magnitudes of all layers."""
        super().fit()
        whole = MagnitudeHistogram()
        for seen in self._seen.values():
            whole.merge(seen)
        self.thresholds = dict.fromkeys(self._seen, whole.threshold(self.sparsity))


class Cats(_Fitted):
    """|activation(gate)| below the layer's threshold: up and down rows can be skipped."""

    title = "cats"
    source = "CATS, arXiv 2404.08763: threshold on the gate after its activation"

    def magnitudes(self, step: FfnStep) -> Array:
        """The gate after its activation."""
        if step.gate is None:
            raise SparsityError("cats needs a gate projection, and this model's FFN has none")
        return step.gate


class FatRelu(_Fitted):
    """Activations below the layer's threshold, negative ones always: FATReLU on a ReLU's output."""

    title = "fatrelu"
    source = "ProSparse, arXiv 2402.13516: ReLU with a positive threshold"

    def magnitudes(self, step: FfnStep) -> Array:
        """The gate, or the input of the down projection where there is none; nothing below 0."""
        return np.maximum(step.a if step.gate is None else step.gate, 0)

    def zeroed(self, step: FfnStep) -> NDArray[np.bool_]:
        """Below the threshold, and whatever is not above 0."""
        return super().zeroed(step) | (self.magnitudes(step) == 0)


class TopK(Rule):
    """All but the largest |a| of each token."""

    title = "top-k"
    source = "keeps the same number of rows at every token"

    def scores(self, step: FfnStep) -> Array:
        """By what entries of a token are ranked."""
        return np.abs(step.a)

    def zeroed(self, step: FfnStep) -> NDArray[np.bool_]:
        """The lowest scores of every token."""
        scores = self.scores(step)
        dropped = int(np.floor(self.sparsity * scores.shape[1]))
        zero = np.zeros(scores.shape, np.bool_)
        order = np.argpartition(scores, min(dropped, scores.shape[1] - 1), axis=1)
        np.put_along_axis(zero, order[:, :dropped], True, axis=1)
        return zero


class Wina(TopK):
    """As top-k, by |a| times the norm of the row that it multiplies."""

    title = "wina"
    source = "WINA, arXiv 2505.19427: activations weighted by weight norms"

    def scores(self, step: FfnStep) -> Array:
        """What a row can add to the output, at most."""
        if step.down_norms is None:
            raise SparsityError("wina needs the norms of the down projection's rows: give them")
        return np.abs(step.a) * step.down_norms


class RandomDrop(Rule):
    """Any activations: what a rule must beat."""

    title = "random"
    source = "no rule at all"

    def __init__(self, sparsity: float, seed: int = 0) -> None:
        super().__init__(sparsity)
        self._random = np.random.default_rng(seed)

    def zeroed(self, step: FfnStep) -> NDArray[np.bool_]:
        """Each with the probability asked for."""
        return self._random.random(step.a.shape) < self.sparsity


RULES: dict[str, type[Rule]] = {
    rule.title: rule for rule in (PerLayer, Global, Cats, FatRelu, TopK, Wina, RandomDrop)
}
"""Rules by name."""


def rules(names: Sequence[str], sparsity: float) -> list[Rule]:
    """Rules of these names; SparsityError for one that is not known."""
    for name in names:
        if name not in RULES:
            raise SparsityError(f"no rule is called {name!r}: give some of {', '.join(RULES)}")
    return [RULES[name](sparsity) for name in names]

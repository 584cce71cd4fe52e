# SPDX-License-Identifier: Apache-2.0
"""Rules that zero activations of an FFN, fitted on some text and then applied to other text.

Every rule sees a layer as the down projection does: its input `a`, and where it needs them the FFN
input `x` and the gate before its activation. What a rule costs the NPU follows from what it zeroes:
zeros of `a` skip rows of the down projection, zeros of the gate rows of up and down, zeros of `x`
columns that the row layout of the other projections cannot skip.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import SparsityError
from sparsity.models.activation import down_input
from sparsity.models.interface import FfnWeights
from sparsity.predictor.predict import scores
from sparsity.predictor.signs import SignBits, pack_signs
from sparsity.thresholds.quantiles import MagnitudeHistogram, below, share_of

Array = NDArray[np.float32]
_T = TypeVar("_T")


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
    x: Array | None = None
    """[tokens, d], input of the FFN."""
    weights: FfnWeights | None = None
    """The layer's own, for rules that multiply again or look at signs."""
    activation: str = ""
    """Of the FFN; see `sparsity.models.activation`."""


class Known(Enum):
    """When a rule knows its zeros, and with that what need not be read."""

    BEFORE = "before any product"
    FIRST = "after the first product"
    LAST = "before the down projection"
    INPUT = "of the input"

    def skips(self, gated: bool) -> str:
        """What need not be read of an FFN with a gate projection or without."""
        matrices = ["gate", "up", "down"] if gated else ["up", "down"]
        if self is Known.INPUT:
            return f"columns of {', '.join(matrices[:-1])}"
        first = {Known.BEFORE: 0, Known.FIRST: 1, Known.LAST: len(matrices) - 1}[self]
        return f"rows of {', '.join(matrices[first:])}"


class Rule(ABC):
    """Zeroes activations so that a share `sparsity` of them is zero, as far as it was fitted."""

    title: str
    """Name on the command line and in tables."""
    source: str
    """Where the rule comes from."""
    known: Known
    """When in the FFN its zeros are known."""

    def __init__(self, sparsity: float) -> None:
        if not 0 <= sparsity <= 1:
            raise SparsityError(f"sparsity {sparsity} is not a share: give 0 to 1")
        self.sparsity = sparsity

    def see(self, step: FfnStep) -> None:  # noqa: B027 (most rules need no text)
        """Take in a layer's activations on text to be fitted to."""

    def fit(self) -> None:  # noqa: B027
        """Settle what was seen."""

    def at(self, sparsity: float) -> Rule:
        """The same rule, fitted to what this one saw, for another sparsity."""
        other = copy.copy(self)
        Rule.__init__(other, sparsity)
        other.fit()
        return other

    @abstractmethod
    def zeroed(self, step: FfnStep) -> NDArray[np.bool_]:
        """[tokens, k]: which activations become zero; teal-input: [tokens, d], which inputs."""

    def apply(self, step: FfnStep, zeroed: NDArray[np.bool_] | None = None) -> Array:
        """The layer's activations with zeros where the rule has them, or where `zeroed` has."""
        zero = self.zeroed(step) if zeroed is None else zeroed
        return np.where(zero, np.float32(0), step.a)


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
        """Where the magnitude is below the layer's threshold, or 0 anyway."""
        if step.layer not in self.thresholds:
            raise SparsityError(f"{self.title} was not fitted to layer {step.layer}: fit it first")
        magnitudes = self.magnitudes(step)
        return below(magnitudes, self.thresholds[step.layer]) | (magnitudes == 0)


class PerLayer(_Fitted):
    """|a| below the layer's own threshold: the seed's rule."""

    title = "per-layer"
    source = "seed, compressing general LLMs: T per layer, strictly below"
    known = Known.LAST


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
    known = Known.FIRST

    def magnitudes(self, step: FfnStep) -> Array:
        """The gate after its activation."""
        if step.gate is None:
            raise SparsityError("cats needs a gate projection, and this model's FFN has none")
        return step.gate


class FatRelu(_Fitted):
    """Activations below the layer's threshold, negative ones always: FATReLU on a ReLU's output."""

    title = "fatrelu"
    source = "ProSparse, arXiv 2402.13516: ReLU with a positive threshold"
    known = Known.FIRST

    def magnitudes(self, step: FfnStep) -> Array:
        """The gate, or the input of the down projection where there is none; nothing below 0."""
        return np.maximum(step.a if step.gate is None else step.gate, 0)


class TopK(Rule):
    """All but the largest |a| of each token."""

    title = "top-k"
    source = "keeps the same number of rows at every token"
    known = Known.LAST

    def scores(self, step: FfnStep) -> Array:
        """By what entries of a token are ranked."""
        return np.abs(step.a)

    def zeroed(self, step: FfnStep) -> NDArray[np.bool_]:
        """The lowest scores of every token, and those that are 0 anyway."""
        scores = self.scores(step)
        dropped = share_of(self.sparsity, scores.shape[1])
        zero = scores == 0
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


class TealInput(_Fitted):
    """|x| below the layer's threshold: the FFN's input, which gate and up are multiplied with."""

    title = "teal-input"
    source = "TEAL, arXiv 2408.14690: inputs of gate and up; that of down is per-layer's"
    known = Known.INPUT

    def magnitudes(self, step: FfnStep) -> Array:
        """The FFN's input."""
        return _needed(step.x, self, "the FFN's input")

    def apply(self, step: FfnStep, zeroed: NDArray[np.bool_] | None = None) -> Array:
        """The down projection's input, multiplied again from the input with zeros."""
        zero = self.zeroed(step) if zeroed is None else zeroed
        x = np.where(zero, np.float32(0), _needed(step.x, self, "the FFN's input"))
        return down_input(x, _needed(step.weights, self, "the weights"), step.activation)


class Predicted(_Fitted):
    """Lowest products with the first matrix as its signs foretell them: nothing is read before."""

    title = "predicted"
    source = "SparseInfer, DATE 2025, with activations of 4 bits and a threshold per layer"
    known = Known.BEFORE

    BITS = 4
    """Of the activations; see docs/predicting-sparsity.md for what they bring."""
    SPREAD = 32
    """Scores lie within -1 and 1; exp(SPREAD * score) is what is counted, since the histogram's
    bins are even in the logarithm: a bin is 2^-7 / SPREAD wide."""

    def __init__(self, sparsity: float) -> None:
        super().__init__(sparsity)
        self._signs: dict[int, SignBits] = {}

    def magnitudes(self, step: FfnStep) -> Array:
        """Grows with the score of a row."""
        if step.layer not in self._signs:
            weights = _needed(step.weights, self, "the weights")
            self._signs[step.layer] = pack_signs(
                weights.up if weights.gate is None else weights.gate
            )
        x = _needed(step.x, self, "the FFN's input")
        return np.exp(scores(self._signs[step.layer], x, self.BITS) * np.float32(self.SPREAD))


class RandomDrop(Rule):
    """Any activations: what a rule must beat."""

    title = "random"
    source = "no rule at all"
    known = Known.BEFORE

    def __init__(self, sparsity: float, seed: int = 0) -> None:
        super().__init__(sparsity)
        self._random = np.random.default_rng(seed)

    def zeroed(self, step: FfnStep) -> NDArray[np.bool_]:
        """Each with the probability asked for."""
        return self._random.random(step.a.shape) < self.sparsity


def _needed(value: _T | None, rule: Rule, what: str) -> _T:
    if value is None:
        raise SparsityError(f"{rule.title} needs {what}: give them with the step")
    return value


RULES: dict[str, type[Rule]] = {
    rule.title: rule
    for rule in (PerLayer, Global, Cats, FatRelu, TopK, Wina, TealInput, Predicted, RandomDrop)
}
"""Rules by name."""


def rules(names: Sequence[str], sparsity: float) -> list[Rule]:
    """Rules of these names; SparsityError for one that is not known."""
    for name in names:
        if name not in RULES:
            raise SparsityError(f"no rule is called {name!r}: give some of {', '.join(RULES)}")
    return [RULES[name](sparsity) for name in names]

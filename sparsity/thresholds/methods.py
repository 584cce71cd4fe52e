# SPDX-License-Identifier: Apache-2.0
"""Rules that zero activations of an FFN, fitted on some text and then applied to other text.

Here are those that look at the activations themselves; `foretold` has those that guess them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import SparsityError
from sparsity.models.activation import down_input
from sparsity.thresholds.foretold import Estimated, Predicted
from sparsity.thresholds.quantiles import MagnitudeHistogram, share_of
from sparsity.thresholds.rule import Array, FfnStep, Fitted, Known, Rule, needed


class PerLayer(Fitted):
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


class Cats(Fitted):
    """|activation(gate)| below the layer's threshold: up and down rows can be skipped."""

    title = "cats"
    source = "CATS, arXiv 2404.08763: threshold on the gate after its activation"
    known = Known.FIRST

    def magnitudes(self, step: FfnStep) -> Array:
        """The gate after its activation."""
        if step.gate is None:
            raise SparsityError("cats needs a gate projection, and this model's FFN has none")
        return step.gate


class FatRelu(Fitted):
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


class TealInput(Fitted):
    """|x| below the layer's threshold: the FFN's input, which gate and up are multiplied with."""

    title = "teal-input"
    source = "TEAL, arXiv 2408.14690: inputs of gate and up; that of down is per-layer's"
    known = Known.INPUT

    def magnitudes(self, step: FfnStep) -> Array:
        """The FFN's input."""
        return needed(step.x, self, "the FFN's input")

    def apply(self, step: FfnStep, zeroed: NDArray[np.bool_] | None = None) -> Array:
        """The down projection's input, multiplied again from the input with zeros."""
        zero = self.zeroed(step) if zeroed is None else zeroed
        x = np.where(zero, np.float32(0), needed(step.x, self, "the FFN's input"))
        return down_input(x, needed(step.weights, self, "the weights"), step.activation)


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


RULES: dict[str, type[Rule]] = {
    rule.title: rule
    for rule in (
        *(PerLayer, Global, TopK, Wina),
        *(Cats, FatRelu, TealInput),
        *(Predicted, Estimated, RandomDrop),
    )
}
"""Rules by name."""


def rules(names: Sequence[str], sparsity: float) -> list[Rule]:
    """Rules of these names; SparsityError for one that is not known."""
    for name in names:
        if name not in RULES:
            raise SparsityError(f"no rule is called {name!r}: give some of {', '.join(RULES)}")
    return [RULES[name](sparsity) for name in names]

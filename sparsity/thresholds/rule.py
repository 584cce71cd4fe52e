# SPDX-License-Identifier: Apache-2.0
"""What a rule is: it sees an FFN on some text, is fitted to a sparsity, then zeroes activations.

Every rule sees a layer as the down projection does: its input `a`, and where it needs them the FFN
input `x` and the gate after its activation. What a rule costs the NPU follows from what it zeroes:
zeros of `a` skip rows of the down projection, zeros of the gate rows of up and down, zeros of `x`
columns that the row layout of the other projections cannot skip.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import SparsityError
from sparsity.models.interface import FfnWeights
from sparsity.thresholds.quantiles import MagnitudeHistogram, below

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
    ahead: str = ""
    """What is read before any row, to know them."""

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


class Fitted(Rule):
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


def needed(value: _T | None, rule: Rule, what: str) -> _T:
    """Return what a step has; SparsityError that names what it lacks."""
    if value is None:
        raise SparsityError(f"{rule.title} needs {what}: give them with the step")
    return value

# SPDX-License-Identifier: Apache-2.0
"""What a model loses as more of its activations are zeroed: rules fitted on text, judged on other.

A language model is judged by its perplexity, another by how far its output is from the exact one.
Every rule is fitted to what the model does undisturbed, in one pass over the text for fitting.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import CaptureError
from sparsity.models.activation import activate
from sparsity.models.interface import FfnModel, FfnWeights, Hook, Matrix, Tokens
from sparsity.models.perplexity import losses
from sparsity.thresholds.rule import FfnStep, Rule

PERPLEXITY, OUTPUT_ERROR = "perplexity", "output error"


@dataclass(frozen=True, slots=True)
class Zeros:
    """How much a rule zeroed of the text that it is judged by, with what was 0 anyway."""

    sparsity: float
    """Share of all activations."""
    layers: tuple[float, ...]
    """Share of each layer's."""
    token_deviation: float
    """Standard deviation of the share from token to token, mean over layers."""
    token_least: float
    """Smallest share of any token in any layer: the most rows that a token wants."""


@dataclass(frozen=True, slots=True)
class Point:
    """One rule at one sparsity."""

    rule: str
    asked: float
    zeros: Zeros
    score: float
    """Perplexity, or output error."""
    rise: float
    """Perplexity over the undisturbed one, less 1; of an output error the error itself."""


@dataclass(frozen=True, slots=True)
class TradeOff:
    """Rules at some sparsities on one model and text."""

    model: str
    measure: str
    """`PERPLEXITY` or `OUTPUT_ERROR`."""
    dense: float
    """The undisturbed model's."""
    fitted_tokens: int
    judged_tokens: int
    points: tuple[Point, ...]


@dataclass(slots=True)
class Tally:
    """Zeros counted as a rule is applied."""

    shares: dict[int, list[NDArray[np.float64]]] = field(default_factory=dict)
    """By layer, the share of zeros at every token."""

    def add(self, layer: int, zeroed: NDArray[np.bool_]) -> None:
        """Count a layer's zeros on some tokens, [tokens, k]."""
        self.shares.setdefault(layer, []).append(zeroed.mean(axis=1))

    def zeros(self) -> Zeros:
        """Return what was counted so far."""
        layers = [np.concatenate(parts) for _, parts in sorted(self.shares.items())]
        means = tuple(float(layer.mean()) for layer in layers)
        return Zeros(
            sparsity=float(np.mean(means)),
            layers=means,
            token_deviation=float(np.mean([layer.std() for layer in layers])),
            token_least=float(min(layer.min() for layer in layers)),
        )


class Steps:
    """Makes a hook's arguments into what rules take, with the layers' weights at hand."""

    def __init__(self, model: FfnModel) -> None:
        self._model = model
        self._weights: dict[int, tuple[FfnWeights, Matrix]] = {}

    def step(self, layer: int, x: Matrix, gate: Matrix | None, a: Matrix) -> FfnStep:
        """One layer's FFN on some tokens."""
        if layer not in self._weights:
            weights = self._model.weights(layer)
            self._weights[layer] = weights, np.linalg.norm(weights.down, axis=1)
        weights, norms = self._weights[layer]
        kind = self._model.activation
        opened = None if gate is None else activate(kind, gate)
        return FfnStep(layer, a, opened, norms, x, weights, kind)


def fit(model: FfnModel, windows: Sequence[Tokens], rules: Sequence[Rule], steps: Steps) -> None:
    """Show every rule what the undisturbed model does on a text, and settle them."""

    def hook(layer: int, x: Matrix, gate: Matrix | None, up: Matrix, a: Matrix) -> None:
        step = steps.step(layer, x, gate, a)
        for rule in rules:
            rule.see(step)

    for window in windows:
        model.run(window, hook)
    for rule in rules:
        rule.fit()


def applied(rule: Rule, steps: Steps, tally: Tally | None = None) -> Hook:
    """Return a hook that puts zeros where a rule has them."""

    def hook(layer: int, x: Matrix, gate: Matrix | None, up: Matrix, a: Matrix) -> Matrix:
        step = steps.step(layer, x, gate, a)
        zeroed = rule.zeroed(step)
        if tally is not None:
            tally.add(layer, zeroed)
        return rule.apply(step, zeroed)

    return hook


def trade_off(
    model: FfnModel,
    fit_windows: Sequence[Tokens],
    judge_windows: Sequence[Tokens],
    rules: Sequence[Rule],
    sparsities: Sequence[float],
    progress: Callable[[str], None] | None = None,
) -> TradeOff:
    """Judge every rule at every sparsity.

    Args:
        model: undisturbed.
        fit_windows: token numbers to fit rules on.
        judge_windows: other token numbers; each is run by itself.
        rules: any sparsity; fitted here.
        sparsities: shares of activations to zero.
        progress: called before each pass with what comes.

    Raises:
        CaptureError: no windows to judge by.
        SparsityError: as the rules.
    """
    if not judge_windows:
        raise CaptureError("no text was given to judge by: give at least one window")
    steps = Steps(model)
    say = progress or _say_nothing
    say("fitting")
    fit(model, fit_windows, rules, steps)
    say("undisturbed")
    judge = _Judge(model, judge_windows)
    points = []
    for rule in rules:
        for sparsity in sparsities:
            say(f"{rule.title} at {sparsity:.0%}")
            points.append(_point(model, judge, rule.at(sparsity), steps))
    return TradeOff(
        model=model.name,
        measure=judge.measure,
        dense=judge.dense,
        fitted_tokens=sum(map(len, fit_windows)),
        judged_tokens=sum(map(len, judge_windows)),
        points=tuple(points),
    )


def _say_nothing(_what: str) -> None:
    pass


class _Judge:
    """Compares outputs with the exact ones, or with the text itself."""

    def __init__(self, model: FfnModel, windows: Sequence[Tokens]) -> None:
        self.windows = windows
        self.measure = PERPLEXITY if model.language else OUTPUT_ERROR
        outs = map(model.run, windows)  # logits are not kept: 600 MB of SmolLM2's 3,072 tokens
        self._exact = [] if model.language else list(outs)
        self.dense = self.score(outs if model.language else self._exact)

    def part(self, number: int, out: Matrix) -> NDArray[np.float64]:
        """Losses of one window's tokens, or squared error and squared norm of its output."""
        if self.measure == PERPLEXITY:
            return losses(out, self.windows[number])
        exact = self._exact[number]
        pair = [np.square(out - exact).sum(), np.square(exact).sum()]
        return np.array([pair], np.float64)

    def total(self, parts: Sequence[NDArray[np.float64]]) -> float:
        """The score of all windows."""
        every = np.concatenate(parts)
        if self.measure == PERPLEXITY:
            return float(np.exp(every.mean()))
        wrong, whole = every.sum(axis=0)
        return float(np.sqrt(wrong / whole))

    def score(self, outs: Iterable[Matrix]) -> float:
        """The score of all windows' outputs."""
        return self.total([self.part(number, out) for number, out in enumerate(outs)])

    def rise(self, score: float) -> float:
        """How much worse than undisturbed."""
        return score / self.dense - 1 if self.measure == PERPLEXITY else score


def _point(model: FfnModel, judge: _Judge, rule: Rule, steps: Steps) -> Point:
    tally = Tally()
    hook = applied(rule, steps, tally)
    score = judge.score(model.run(window, hook) for window in judge.windows)
    return Point(rule.title, rule.sparsity, tally.zeros(), score, judge.rise(score))


def rise_said(rise: float) -> str:
    """Return a rise as people read it: +2.4 %, or how many times as much where it is doubled."""
    return f"{rise:+z.1%}" if rise < 1 else f"x {rise + 1:.3g}"


def sparsity_at(points: Sequence[Point], rise: float) -> float | None:
    """Return the achieved sparsity at which a rule's points first rise that much, between points.

    Between two points log(1 + rise) is taken as a straight line in the sparsity; the point at
    sparsity 0 is the undisturbed model.

    Args:
        points: of one rule, any order.
        rise: 0.01 is SparsingLaw's PPL-1% (arXiv 2411.02335).

    Returns:
        The sparsity, or None if no point rises that much.
    """
    along = [(0.0, 0.0), *sorted((p.zeros.sparsity, p.rise) for p in points)]
    for (s0, r0), (s1, r1) in itertools.pairwise(along):
        if r1 >= rise:
            share = (np.log1p(rise) - np.log1p(r0)) / (np.log1p(r1) - np.log1p(r0))
            return float(s0 + (s1 - s0) * max(0.0, share))
    return None

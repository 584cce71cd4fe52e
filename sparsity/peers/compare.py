# SPDX-License-Identifier: Apache-2.0
"""NNCF's activation sparsification beside this project's thresholds: one model, one text, one run.

With NNCF and torch all methods run in the same torch module; without, NNCF's rule restated in numpy
stands for NNCF, in this project's own forward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from time import perf_counter

import numpy as np

from sparsity.errors import CaptureError
from sparsity.models.interface import FfnModel, Matrix
from sparsity.models.perplexity import perplexity
from sparsity.models.text import Windows
from sparsity.peers import llama_torch, nncf_run
from sparsity.peers.ema import EmaQuantile
from sparsity.recording.hugging_face import HuggingFaceModel
from sparsity.thresholds.methods import PerLayer
from sparsity.thresholds.rule import FfnStep, Rule

LEVELS = (0.3, 0.5, 0.7)
NNCF, RESTATED, OURS = "nncf", EmaQuantile.title, PerLayer.title
CHECKED_TOKENS = 256
"""Of the judged text, on which two forward passes are compared."""


@dataclass(frozen=True, slots=True)
class Row:
    """One method at one level."""

    method: str
    target: float
    """Share of zeros asked for."""
    sparsity: float
    """Share of zeros reached on the judged text."""
    perplexity: float
    seconds: float
    """Of calibration."""
    thresholds: tuple[float, ...]
    """By layer."""
    by_layer: tuple[float, ...]
    """Share of zeros reached, by layer."""


@dataclass(frozen=True, slots=True)
class ForwardCheck:
    """This project's forward pass beside transformers' on the same weights and tokens."""

    tokens: int
    largest_difference: float
    """Of any logit."""
    largest_logit: float
    perplexity_here: float
    perplexity_there: float
    """Both on the whole judged text, nothing zeroed."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All methods at all levels."""

    model: str
    forward: str
    """Whose forward pass the rows were measured in: torch or numpy."""
    fit_tokens: int
    judge_tokens: int
    dense_perplexity: float
    rows: tuple[Row, ...]
    check: ForwardCheck | None = None
    versions: dict[str, str] = field(default_factory=dict)

    def rise(self, row: Row) -> float:
        """Perplexity lost by a row, as a share of the dense one."""
        return row.perplexity / self.dense_perplexity - 1


def compare(
    model: FfnModel,
    windows: Windows,
    levels: Sequence[float] = LEVELS,
    file: str | PathLike[str] | None = None,
) -> Comparison:
    """Calibrate every method on the one half of the windows, judge it on the other.

    Args:
        model: run in numpy if `file` is None.
        windows: each window is one batch of NNCF's.
        levels: shares of the down projections' inputs to zero.
        file: the model's GGUF file, from which NNCF's torch module is built.

    Raises:
        PackageError: a file is given and torch, transformers or NNCF is missing.
        CaptureError: nothing to calibrate on.
    """
    if not windows.fit:
        raise CaptureError("no text was given to calibrate on: give at least one window")
    if file is None:
        rows = [_rule_row(model, rule, windows) for rule in _rules(levels)]
        dense = perplexity(model, windows.judge)
        return _comparison(model, "numpy", windows, dense, rows)
    module = llama_torch.build(file)
    other = HuggingFaceModel(module, name=model.name)
    check = check_forward(model, other, windows)
    rows = [row for level in levels for row in _rows_in_torch(other, windows, level)]
    return _comparison(model, "torch", windows, check.perplexity_there, rows, check)


def _rules(levels: Sequence[float]) -> list[Rule]:
    return [rule(level) for level in levels for rule in (EmaQuantile, PerLayer)]


def _rows_in_torch(model: HuggingFaceModel, windows: Windows, level: float) -> list[Row]:
    sparse = nncf_run.sparsify(model.model, windows.fit, level)
    judged = nncf_run.judge(sparse, windows.judge)
    theirs = Row(
        NNCF,
        level,
        float(np.mean(judged.by_layer)),
        judged.perplexity,
        sparse.seconds,
        judged.thresholds,
        judged.by_layer,
    )
    return [theirs, *(_rule_row(model, rule, windows) for rule in _rules([level]))]


def _comparison(
    model: FfnModel,
    forward: str,
    windows: Windows,
    dense: float,
    rows: Sequence[Row],
    check: ForwardCheck | None = None,
) -> Comparison:
    names = ("nncf", "torch", "transformers") if forward == "torch" else ()
    return Comparison(
        model.name,
        forward,
        sum(map(len, windows.fit)),
        sum(map(len, windows.judge)),
        dense,
        tuple(rows),
        check,
        {name: str(llama_torch.peer(name).__version__) for name in names},
    )


def check_forward(ours: FfnModel, theirs: FfnModel, windows: Windows) -> ForwardCheck:
    """Compare two forward passes of one model: logits of some tokens, perplexity of all."""
    tokens = windows.judge[0][:CHECKED_TOKENS]
    here, there = ours.run(tokens), theirs.run(tokens)
    return ForwardCheck(
        len(tokens),
        float(np.abs(here - there).max()),
        float(np.abs(there).max()),
        perplexity(ours, windows.judge),
        perplexity(theirs, windows.judge),
    )


def _rule_row(model: FfnModel, rule: Rule, windows: Windows) -> Row:
    """Fit one rule and judge it."""
    start = perf_counter()
    fit(model, rule, windows, zero_as_it_goes=isinstance(rule, EmaQuantile))
    seconds = perf_counter() - start
    zeros = np.zeros(model.layers)

    def hook(layer: int, _: Matrix, __: Matrix | None, ___: Matrix, a: Matrix) -> Matrix:
        zero = rule.zeroed(FfnStep(layer, a))
        zeros[layer] += np.count_nonzero(zero)
        return np.where(zero, np.float32(0), a)

    found = perplexity(model, windows.judge, hook)
    by_layer = zeros / (model.k * sum(map(len, windows.judge)))
    thresholds = getattr(rule, "thresholds", {})
    return Row(
        rule.title,
        rule.sparsity,
        float(by_layer.mean()),
        found,
        seconds,
        tuple(thresholds[layer] for layer in range(model.layers)),
        tuple(by_layer.tolist()),
    )


def fit(model: FfnModel, rule: Rule, windows: Windows, *, zero_as_it_goes: bool) -> None:
    """Show a rule the model's activations on the text to fit on.

    Args:
        model: run once over that text.
        rule: sees one window at a time, layer by layer.
        windows: only `fit` of them is run.
        zero_as_it_goes: layers get what the rule leaves of the layers before, as NNCF does it, not
            the dense model's activations.
    """

    def hook(layer: int, _: Matrix, __: Matrix | None, ___: Matrix, a: Matrix) -> Matrix | None:
        step = FfnStep(layer, a)
        rule.see(step)
        return rule.apply(step) if zero_as_it_goes else None

    for window in windows.fit:
        model.run(window, hook)
    rule.fit()

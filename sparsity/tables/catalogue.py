# SPDX-License-Identifier: Apache-2.0
"""The list that `sparsebd sparsity tables` prints, and what it amounts to."""

from collections import Counter
from collections.abc import Iterable

from sparsity.errors import SparsityError
from sparsity.tables import (
    general_patterns,
    general_slides,
    npu_models,
    npu_rows,
    paper_background,
    paper_overheads,
    paper_prediction,
    paper_results,
)
from sparsity.tables.figure import SeedFigure, Verdict

SEEDS = {
    0: "Exploiting Activation Sparsity for Efficient LLM Inference on NPU (slides)",
    1: "Activation Sparsity Opportunities for Compressing General Large Language Models (slides)",
    2: "SparseInfer: Training-free Prediction of Activation Sparsity (paper)",
}
"""Titles by number."""


def figures(seed: int | None = None) -> list[SeedFigure]:
    """Work out the figures of one seed, or of all; what needs the NPU's simulator is not in it.

    Raises:
        SparsityError: no such seed.
    """
    makers = {
        0: (npu_models, npu_rows),
        1: (general_slides, general_patterns),
        2: (paper_background, paper_prediction, paper_overheads, paper_results),
    }
    if seed is not None and seed not in makers:
        raise SparsityError(f"no seed {seed}: give 0, 1 or 2")
    wanted = makers if seed is None else {seed: makers[seed]}
    return [each for parts in wanted.values() for part in parts for each in part.figures()]


def totals(found: Iterable[SeedFigure]) -> dict[Verdict, int]:
    """Count figures by verdict, in the order of `Verdict`."""
    counts = Counter(each.verdict for each in found)
    return {verdict: counts[verdict] for verdict in Verdict}

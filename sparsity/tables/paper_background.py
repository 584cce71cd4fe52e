# SPDX-License-Identifier: Apache-2.0
"""Seed 2, the SparseInfer paper up to its predictor: introduction, related work, background."""

from sparsity.shapes import MODELS, shape
from sparsity.tables import live
from sparsity.tables import sparseinfer as si
from sparsity.tables.architecture import architecture
from sparsity.tables.figure import Kind, SeedFigure, Table
from sparsity.tables.speedups import MLP_SHARE, split_by_bytes

RELATED = Table(2, "introduction and related work")
BACKGROUND = Table(2, "background")
METHOD = Table(2, "proposed method")


def figures() -> list[SeedFigure]:
    """Return every figure of the paper's sections I to III, and of what section IV begins with."""
    return [*_related(), *_others(), *_background(), *_zeros()]


def _mean(model: str) -> float:
    published = shape(model).sparsity
    assert published is not None, f"{model} has a published sparsity"
    return published.mean


def _related() -> list[SeedFigure]:
    more = 100 * (_mean("ProSparse-7B") - _mean("ReluLLaMA-7B"))
    return [
        RELATED.number(
            "ProSparse's sparsity over ReluLLaMA's, 7B, percentage points", "22", more, "%p"
        ),
        RELATED.number(
            "ProSparse's sparsity",
            "66",
            100 * _mean("ProSparse-7B"),
            "%",
            f"66 % is ReluLLaMA's ({_mean('ReluLLaMA-7B'):.1%}), which ProSparse exceeds by 22 "
            "points; the sentence swaps them",
        ),
        RELATED.statement(
            "reference of CATS",
            "[8]",
            "[8] is ProSparse",
            False,
            "CATS has no entry in the list of references; its citation is ProSparse's",
        ),
        RELATED.statement(
            "gain stated in the abstract",
            "approximately ... faster",
            "21 % in version 2",
            False,
            "the number is lost in the text at hand and in the abstract that arXiv lists; the "
            "second version there has it. The introduction says 21 % (13B) and 19 % (7B), the "
            "conclusion 21 %",
        ),
    ]


def _others() -> list[SeedFigure]:
    cited = (
        "it is another system on other hardware; only Amdahl's limits can be told, see speed-ups"
    )
    return [
        RELATED.closest("ProSparse with PowerInfer, speed-up", "up to 4.65x", None, "", cited),
        RELATED.closest(
            "CATS, speed-up",
            "15 %",
            None,
            "",
            f"{cited}; what CATS' rule costs in perplexity is among seed 1's trade-offs",
        ),
        RELATED.closest("DejaVu over FasterTransformer, OPT-175B on A100", "2x", None, "", cited),
        RELATED.closest(
            "PowerInfer where the model does not fit the GPU", "up to 11.6x", None, "", cited
        ),
        RELATED.closest(
            "of that, by sparsity",
            "twofold",
            1 / (1 - MLP_SHARE),
            "x",
            "the limit of any FFN sparsity where the MLP takes 62 % of a token, as on Orin",
            like=False,
        ),
    ]


def _background() -> list[SeedFigure]:
    split = split_by_bytes(architecture(si.PAPER_MODEL))
    wider = all(model.k > model.d for model in MODELS)
    return [
        BACKGROUND.number(
            "MLP's share of a token, Llama2-13B on Orin",
            "62",
            100 * split.mlp,
            "%",
            "bytes of weights at batch 1; the time also has the cache of keys and values and small "
            f"kernels in it. The head reads {split.head:.1%}",
        ),
        BACKGROUND.number(
            "attention's share", "38", 100 * split.attention, "%", "bytes of weights, as above"
        ),
        BACKGROUND.statement(
            "k > d",
            "k > d",
            f"{sum(m.k > m.d for m in MODELS)} of {len(MODELS)} models",
            wider,
            "all models of the table of shapes",
        ),
    ]


def _zeros() -> list[SeedFigure]:
    h1, h2, h3 = live.zeros_of_gated()
    return [
        METHOD.statement(
            "activation sparsity of each layer of ProSparse-Llama2-13B",
            "approximately 90 %",
            100 * _mean(si.PAPER_MODEL),
            abs(_mean(si.PAPER_MODEL) - 0.9) < 0.05,
            f"the mean that its authors publish; of the 7B model {_mean('ProSparse-7B'):.1%}",
            "%",
        ),
        METHOD.statement(
            "h3 is at least as sparse as h1",
            "same or higher",
            100 * h3,
            h3 >= h1,
            f"a made-up gated layer, h1 {h1:.1%}: the product is zero wherever h1 is",
            "%",
            Kind.MEASURED,
        ),
        METHOD.statement(
            "step 4 exploits actual sparsity of h2",
            "of h2, as well as of h1",
            100 * h2,
            h2 > 0,
            "h2 is a plain product and has no zeros of its own; h3 must be meant",
            "%",
            Kind.MEASURED,
        ),
    ]

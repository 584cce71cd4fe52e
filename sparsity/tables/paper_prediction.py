# SPDX-License-Identifier: Apache-2.0
"""Seed 2, the SparseInfer paper's predictor: precision, what it assumes, and alpha."""

from sparsity.predictor import theory
from sparsity.predictor.alpha import offset_counts, per_layer, rescale, sigmas
from sparsity.predictor.quality import Quality
from sparsity.predictor.traffic import low_bit_predictor
from sparsity.shapes import shape
from sparsity.tables import live
from sparsity.tables import sparseinfer as si
from sparsity.tables.figure import Kind, SeedFigure, Table

PREDICTION = Table(2, "prediction")
ALPHA = Table(2, "alpha")
EQUIVALENT_WIDTHS = (4096, 3072, 2560, 576, 512, 128)
ALPHAS = (1.01, 1.02, 1.03)


def figures() -> list[SeedFigure]:
    """Return every figure of the paper's section IV-A."""
    return [*_precision(), *_made_up(), *_assumptions(), *_signs(), *_alpha(), *_rescaled()]


def _precision() -> list[SeedFigure]:
    qualities = [live.predicted(n, 1.0) for n in range(live.LAYERS)]
    return [
        *(each for n, found in enumerate(qualities) for each in _of_layer(n, found)),
        PREDICTION.closest(
            "precision is lower in early layers: layer 0 less layer 1 of USE-lite",
            "lower",
            100 * (qualities[0].precision - qualities[1].precision),
            "%p",
            "two layers only, whose inputs are both near Gaussian, "
            f"norm ratio {live.input_norm_ratio(0):.3f} and {live.input_norm_ratio(1):.3f} against "
            f"{theory.GAUSSIAN_NORM_RATIO:.3f}; those of the paper's early layers are not",
            kind=Kind.MEASURED,
        ),
    ]


def _of_layer(layer: int, found: Quality) -> list[SeedFigure]:
    strict = rescale(1.03, shape(si.PAPER_MODEL).d, shape("USE-lite").d)
    careful = live.predicted(layer, strict)
    return [
        PREDICTION.closest(
            f"precision at alpha 1, USE-lite layer {layer}",
            "over 99 %",
            100 * found.precision,
            "%",
            f"the paper's models install from no package; this layer has {found.sparsity:.1%} zeros"
            f" and {careful.precision:.1%} at alpha {strict:.3f}, as strict here as 1.03 at "
            "d = 5120",
            like=True,
            kind=Kind.MEASURED,
        ),
        PREDICTION.statement(
            f"recall is lower than precision, USE-lite layer {layer}",
            "relatively lower",
            100 * found.recall,
            found.recall < found.precision,
            f"and {found.missed:.1%} of the active neurons are lost, which changes the output by "
            f"{found.output_error:.1%}; precision does not show it",
            "%",
            Kind.MEASURED,
        ),
    ]


def _made_up() -> list[SeedFigure]:
    entries = [
        PREDICTION.beside(
            f"precision where rows are {text}, 92 % zeros, d = 4096",
            100 * found.precision,
            "%",
            f"made-up rows: recall {found.recall:.1%}, {found.missed:.1%} of the active neurons "
            "lost; over 99 % needs rows that differ, or more zeros",
            Kind.MEASURED,
        )
        for text, found in (
            ("as different as tau = 8", live.made_up(8.0)),
            ("all alike, tau = 0", live.made_up(0.0)),
        )
    ]
    for zeros in (0.5, 0.7, 0.9, 0.92, 0.95, 0.99):
        precision, recall = theory.quality(zeros, theory.correlation(theory.GAUSSIAN_NORM_RATIO))
        entries.append(
            PREDICTION.beside(
                f"precision for independent Gaussians with one mean, {100 * zeros:g} % zeros",
                100 * precision,
                "%",
                f"closed form, recall {recall:.1%}",
            )
        )
    return entries


def _assumptions() -> list[SeedFigure]:
    agree = 100 * theory.agreement(theory.correlation(theory.GAUSSIAN_NORM_RATIO))
    changed, by_half = live.changed_by_quantising()
    return [
        PREDICTION.statement(
            "independent Gaussians alone give relatively high accuracy: agreement of signs",
            "relatively high",
            agree,
            agree > 99,
            "closed form 1/2 + asin(2/pi)/pi, where a guess has 50 %; what the paper measures "
            "beyond it comes from many zeros, and from rows that are almost always off",
            "%",
        ),
        PREDICTION.number(
            "the dot product is close to a Laplace distribution: excess kurtosis at d = 5120",
            "Laplace: 3",
            theory.dot_product_kurtosis(shape(si.PAPER_MODEL).d),
            "",
            "closed form 6 / d: a sum of two products is Laplace's, one of thousands is Gaussian "
            "(0). Both lie evenly about zero, which is what the argument needs",
        ),
        PREDICTION.number(
            "products of the values follow a Laplace distribution: excess kurtosis",
            "Laplace: 3",
            live.product_kurtosis(),
            "",
            "Laplace's is 3, that of a product of two normals is 6 (four million samples), so its "
            "peak and tails are heavier",
            Kind.MEASURED,
        ),
        PREDICTION.statement(
            "robust to INT8: decisions that change, USE-lite layer 0",
            "robust",
            100 * changed,
            changed < 0.05,
            f"weights and inputs rounded to int8 by row, where small values become zeros; fp16 "
            f"changes {by_half:.1%}",
            "%",
            Kind.MEASURED,
        ),
    ]


def _signs() -> list[SeedFigure]:
    return [
        PREDICTION.statement(
            "applies wherever the sign bit, i.e. the MSB, can be extracted",
            "any scheme with a sign bit",
            "not GGUF's Q4_0, Q4_1",
            False,
            "a weight is scale x nibble + minimum in Q4_1, and Q4_0's scale is negative in about "
            "half of the blocks, so no stored bit is its sign: signs are taken after "
            "dequantisation. INT8, FP16 and Q8_0 as llama.cpp writes it have one",
        ),
        PREDICTION.statement(
            "the sign is the MSB",
            "MSB",
            "x < 0 in the code",
            False,
            "they differ at -0.0, which counts as positive here and in the published code",
        ),
    ]


def _alpha() -> list[SeedFigure]:
    entries: list[SeedFigure] = []
    for width in (shape(si.PAPER_MODEL).d, shape("ProSparse-7B").d):
        entries += [
            ALPHA.beside(
                f"alpha {alpha} at d = {width}: minus signs wanted over half",
                offset_counts(alpha, width),
                "counts",
                f"{sigmas(alpha, width):.3f} standard deviations of unrelated signs",
            )
            for alpha in ALPHAS
        ]
        entries.append(
            ALPHA.beside(
                f"ties, which are not skipped, at d = {width}",
                100 * si.tie_probability(width),
                "%",
                "of rows of unrelated signs; the inequality is strict",
            )
        )
    return entries


def _rescaled() -> list[SeedFigure]:
    paper = shape(si.PAPER_MODEL).d
    entries = [
        ALPHA.beside(
            f"alpha as strict at d = {width} as 1.03 at {paper}",
            rescale(1.03, paper, width),
            "",
            "alpha - 1 over alpha + 1 scales with 1 / sqrt(d)",
        )
        for width in EQUIVALENT_WIDTHS
    ]
    bits = low_bit_predictor(paper, shape(si.PAPER_MODEL).k, 4)
    signs_alone = theory.correlation(theory.GAUSSIAN_NORM_RATIO)
    early = per_layer(shape(si.PAPER_MODEL).layers, 1.03).count(1.03)
    entries.append(
        ALPHA.number(
            "layers whose alpha is above 1, the first",
            "20",
            early,
            "layers",
            "taken over as the default of `sparsity.predictor.alpha.per_layer`",
        )
    )
    entries.append(
        ALPHA.beside(
            "the same bytes with 4 bits of x: correlation with the dot product",
            theory.correlation(theory.GAUSSIAN_NORM_RATIO, exact_x=True),
            "",
            f"limit for exact x, signs alone {signs_alone:.3f}; {bits.read_bytes:,} bytes "
            f"a layer either way, {bits.operations:,} XORs instead of a quarter",
        )
    )
    return entries

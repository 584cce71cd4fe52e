# SPDX-License-Identifier: Apache-2.0
"""Seed 0, the slides on sparse row loads: where sparsity comes from, and the tables of models."""

from sparsity.shapes import MODELS
from sparsity.tables import live
from sparsity.tables.architecture import Architecture, architecture
from sparsity.tables.figure import Kind, SeedFigure, Table, truncates_to
from sparsity.tables.flops import STRIKES_BACK, StrikesBackRow, accuracy_lost, readings
from sparsity.tables.measured import how, number, smollm2_rise

SPARSITY = Table(0, "where does sparsity come from")
STRIKES = Table(0, "ReLU Strikes Back")
PARAMETERS = Table(0, "ReluLLaMA parameters")
MORE_THAN = 0.9
_NO_WEIGHTS = "the model's weights install from no package; "


def figures() -> list[SeedFigure]:
    """Return every figure of the slides' introduction, and both of their tables."""
    return [
        *_sparsity(),
        *_models(),
        *(each for row in STRIKES_BACK for each in _strikes_back(row)),
        *_parameters("ReluLLaMA-7B", "6.74", "5.63", "16.5", "55.517"),
        *_parameters("ReluLLaMA-13B", "13.02", "10.94", "16.3", "57.688"),
    ]


def _sparsity() -> list[SeedFigure]:
    real = [live.predicted(n, 1.0).sparsity for n in range(live.LAYERS)]
    published = {m.name: m.sparsity.mean for m in MODELS if m.sparsity is not None}
    below = [f"{name} {mean:.1%}" for name, mean in published.items() if mean <= MORE_THAN]
    return [
        SPARSITY.number(
            "exploitable sparsity in FFN, real text through USE-lite, the denser layer",
            "more than 90",
            100 * min(real),
            "%",
            "all of the layers' ReLU outputs that are exactly zero, on the shipped tokens",
            Kind.MEASURED,
            bound=1,
        ),
        SPARSITY.statement(
            "the same of models with a ReLU, as published",
            "more than 90 %",
            ", ".join(f"{name} {mean:.1%}" for name, mean in published.items()),
            not below,
            f"it does not hold of {', '.join(below)}: how sparse a ReLU model is depends on how it "
            "was trained",
        ),
    ]


def _models() -> list[SeedFigure]:
    return [
        SPARSITY.closest(
            "models that are there: ProSparse-LLaMa-2-7B, OPT-6.7B, Mixtral, ReluFalcon-40B",
            "5 named",
            "ProSparse-7B and OPT-6.7B by shape",
            "",
            "none of them installs from PyPI or npm, so shapes and published sparsities stand in; "
            "the two Mixtrals are mixtures of SiLU experts, which have no zeros to skip",
        ),
        SPARSITY.beside(
            "little drop in accuracy: the most that a relufied model loses in ReLU Strikes Back",
            max(accuracy_lost(row) for row in STRIKES_BACK),
            "points",
            "of the table's own zero-shot accuracies",
        ),
        SPARSITY.closest(
            "little drop in accuracy on common benchmarks",
            "little",
            smollm2_rise("half_per_layer"),
            "% more perplexity",
            "no ReLU language model installs from a package; nearest is SmolLM2's rise in "
            "perplexity with half of its activations zeroed, "
            + how("smollm2.half_per_layer", "sparsebd sparsity thresholds --rule per-layer"),
        ),
    ]


def _strikes_back(row: StrikesBackRow) -> list[SeedFigure]:
    best = readings(row)[0]
    zeros = f"{100 * row.qkv:g} / {100 * row.up:g} / {100 * row.down:g}"
    return [
        STRIKES.number(f"{row.name}, FLOPS", row.printed, best.giga, "G", _counted(row)),
        STRIKES.closest(f"{row.name}, input sparsity QKV / up / down", zeros, *_zeros(row)),
        STRIKES.closest(
            f"{row.name}, mean zero-shot accuracy",
            f"{row.accuracy} %",
            *_perplexity(row),
        ),
    ]


def _perplexity(row: StrikesBackRow) -> tuple[float | None, str, str]:
    """The nearest thing to a row's accuracy, its unit, and what it is."""
    if not row.relufied:
        said = f"{_NO_WEIGHTS}nearest is SmolLM2's perplexity as it is"
        return number("smollm2.dense"), "perplexity", said
    said = (
        f"{_NO_WEIGHTS}nearest is SmolLM2's rise in perplexity with half of its activations zeroed"
    )
    return smollm2_rise("half_per_layer"), "% more perplexity", said


def _counted(row: StrikesBackRow) -> str:
    """How the printed number comes out, or between which ways of counting it lies."""
    best = readings(row)[0]
    head = {True: "with", False: "without"}
    if best.fits:
        rule = f"{best.skip}; " if row.qkv or row.up or row.down else ""
        return f"{rule}{head[best.head]} the head"
    other = next(
        each for each in readings(row) if each.head != best.head and each.skip == best.skip
    )
    cut = truncates_to(best.giga, row.printed)
    return (
        f"no way of counting rounds to it: {head[best.head]} the head it is {best.giga:.3f}"
        + (", which gives it with digits cut off" if cut else "")
        + f", {head[other.head]} {other.giga:.3f}, where {best.skip}"
    )


def _zeros(row: StrikesBackRow) -> tuple[float | None, str, str]:
    """The nearest sparsity of a down projection's input, its unit, and what it is."""
    if not row.down:
        natural = number("smollm2.natural_zeros")
        said = f"{_NO_WEIGHTS}nearest is SmolLM2's down projection, which has no ReLU either"
        return None if natural is None else 100 * natural, "%", said
    said = f"{_NO_WEIGHTS}nearest is USE-lite's down projection, layer 0"
    return 100 * live.sparsity(0), "%", said


def _parameters(
    model: str, printed: str, active: str, gain: str, accuracy: str
) -> list[SeedFigure]:
    found = architecture(model)
    total = found.parameters
    implied = found.implied_sparsity(float(active) * 1e9)
    published = found.shape.sparsity
    assert published is not None, f"{model} has a published sparsity"
    ours = found.active(published.mean)
    saved = 1 - float(active) / float(printed)
    return [
        PARAMETERS.number(f"{model} dense, parameters", printed, total / 1e9, "B"),
        PARAMETERS.number(
            f"{model} sparse, active parameters",
            active,
            ours / 1e9,
            "B",
            f"with the published sparsity {published.mean:.1%} of the down projection's input; "
            f"the slide's number needs {implied:.1%}",
        ),
        _beside_implied(found, float(active) * 1e9),
        PARAMETERS.number(
            f"{model} sparse, gain by the slide's own two numbers",
            gain,
            100 * saved,
            "%",
            f"1 - {active}/{printed} B; {_needed(found, gain)}",
        ),
        PARAMETERS.beside(
            f"{model} sparse, gain at the published sparsity",
            100 * (1 - ours / total),
            "%",
            "down projection alone; predicted masks could skip gate and up rows as well",
        ),
        _accuracy(model, accuracy),
    ]


def _accuracy(model: str, accuracy: str) -> SeedFigure:
    return PARAMETERS.closest(
        f"{model}, average accuracy, dense and sparse alike",
        f"{accuracy} %",
        live.lost_by_skipping_zeros(),
        "",
        f"{_NO_WEIGHTS}that both are alike follows, for leaving out rows of zeros changes no "
        "output: ours is the largest change of USE-lite's, in whole numbers",
    )


def _beside_implied(found: Architecture, active: float) -> SeedFigure:
    shares = [f"{found.implied_sparsity(active, n):.1%}" for n in (1, 2, 3)]
    return PARAMETERS.beside(
        f"{found.model} sparse, sparsity that the active parameters imply",
        100 * found.implied_sparsity(active),
        "%",
        f"{shares[0]} if rows of the down projection are skipped, {shares[1]} if up rows too, "
        f"{shares[2]} if all three; published sparsities fit the first best",
    )


def _needed(found: Architecture, gain: str) -> str:
    active = found.parameters * (1 - float(gain) / 100)
    return f"a gain of {gain} % would leave {active / 1e9:.2f} B"

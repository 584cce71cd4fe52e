# SPDX-License-Identifier: Apache-2.0
"""Seed 1, the slides on activation sparsity of general language models, beside what comes out here.

Its plots have no figures to compare with; what they are said to show is checked instead. SmolLM2's
figures are read from `measured.toml`, since a language model takes minutes.
"""

import math
from dataclasses import dataclass

import numpy as np

from sparsity.models.activation import ACTIVATIONS
from sparsity.predictor.theory import normal_quantile
from sparsity.shapes import shape
from sparsity.tables import live
from sparsity.tables.architecture import ARCHITECTURES, architecture
from sparsity.tables.figure import Kind, SeedFigure, Table
from sparsity.tables.measured import how, number, numbers, smollm2_rise
from sparsity.thresholds.quantiles import below, threshold

MODELS = Table(1, "model description")
NATURAL = Table(1, "inherent sparsity")
CUTOFF = Table(1, "activation distributions and thresholds")
TRADE_OFF = Table(1, "performance and trade-offs")

_THRESHOLDS = "sparsebd sparsity thresholds --rule per-layer --rule random"
GAUSSIAN_TAIL = normal_quantile(0.95) / normal_quantile(0.75)
"""Of magnitudes, the 90 % quantile over the 50 % quantile."""
LAPLACE_TAIL = math.log(10) / math.log(2)
"""The same."""
ACCEPTABLE = 0.03
"""Rise in perplexity that counts as acceptable here; the slides do not say which they mean."""


@dataclass(frozen=True, slots=True)
class Described:
    """One row of the model table."""

    model: str
    said: str
    activation: str
    billions: str


DESCRIBED = (
    Described("Llama-3-8B", "Llama 3", "SwiGLU", "8"),
    Described("Mistral-7B", "Mistral 0.1", "SwiGLU", "7"),
    Described("Phi-2", "Phi 2", "NewGELU", "2.7"),
    Described("Phi-3-mini", "Phi 3-mini-128k", "SwiGLU", "3.8"),
    Described("OPT-6.7B", "OPT 1", "ReLU", "6.7"),
)


def figures() -> list[SeedFigure]:
    """Return every figure of the slides."""
    return [
        *(each for model in DESCRIBED for each in _described(model)),
        MODELS.statement(
            "title of a plot's slide: Mistral-3-7B",
            "Mistral-3-7B",
            "Mistral 0.1, 7B",
            False,
            "a slip: the model table has Mistral 0.1 with 7B, and there is no Mistral 3 of 7B",
        ),
        *_weights(),
        *_natural(),
        *_activation_functions(),
        *_pictures(),
        *_threshold(),
        *_cutoff("llama3_8b", "Llama-3-8B", "potential for 50 %", ""),
        *_cutoff("mistral_7b", "Mistral-7B", "high sparsity levels", "very small data ranges"),
        *_trade_off(),
        *_contrasts(),
        *_accuracy(),
    ]


def _described(row: Described) -> list[SeedFigure]:
    billions = architecture(row.model).parameters / 1e9
    return [
        MODELS.number(
            f"{row.said}, parameters",
            row.billions,
            billions,
            "B",
            "" if row.model != "Phi-2" else "2.78 B; its authors call it 2.7 B, digits cut off",
        ),
        MODELS.statement(
            f"{row.said}, activation function",
            row.activation,
            shape(row.model).activation,
            shape(row.model).activation == row.activation,
            "as in its published configuration",
        ),
    ]


def _weights() -> list[SeedFigure]:
    return [
        NATURAL.statement(
            "weights have no sparsity to use: zeros among USE-lite's FFN weights",
            "explore another type",
            100 * live.zero_weights(),
            live.zero_weights() < 0.01,
            f"exact zeros; {live.small_weights():.1%} of the weights are below 1 % of their "
            "matrix' largest, so there is no gap at zero to cut at",
            "%",
            Kind.MEASURED,
        ),
    ]


def _natural() -> list[SeedFigure]:
    natural = number("smollm2.natural_zeros")
    return [
        NATURAL.statement(
            "natural activation sparsity only with ReLU: zeros in USE-lite's (ReLU), layer 0",
            "only in ReLU-based LLMs",
            100 * live.sparsity(0),
            live.sparsity(0) > 0.5,
            "share of exact zeros",
            "%",
            Kind.MEASURED,
        ),
        NATURAL.statement(
            "the same in SmolLM2's (SwiGLU)",
            "no intrinsic sparsity",
            None if natural is None else 100 * natural,
            natural is not None and natural < 0.01,
            "share of exact zeros of the down projection's input, 512 tokens"
            if natural is not None
            else how("smollm2.natural_zeros", "sparsebd sparsity capture"),
            "%",
            Kind.MEASURED,
        ),
    ]


def _activation_functions() -> list[SeedFigure]:
    gaussian = np.random.default_rng(0).standard_normal(1_000_000).astype(np.float32)
    zeros = {name: float(np.mean(f(gaussian) == 0)) for name, f in ACTIVATIONS.items()}
    small = {name: float(np.mean(np.abs(f(gaussian)) < 0.05)) for name, f in ACTIVATIONS.items()}
    return [
        NATURAL.statement(
            "natural sparsity in a NewGELU model too (Phi-2): zeros of NewGELU at Gaussian values",
            "observed",
            100 * zeros["gelu"],
            zeros["gelu"] > 0.01,
            f"none is exactly zero (ReLU {zeros['relu']:.0%}, SiLU {zeros['silu']:.0%}); near "
            f"zero, |a| < 0.05, are {small['gelu']:.1%} with GELU, {small['silu']:.1%} with SiLU: "
            "what the plot shows needs a threshold as well",
            "%",
            Kind.MEASURED,
        ),
    ]


def _pictures() -> list[SeedFigure]:
    return [
        NATURAL.closest(
            "plots of weights and activations of OPT-6.7B, Phi-2, Phi-3, Llama-3, Mistral",
            "no figures",
            None,
            "",
            "the slides show curves without numbers, and the models are not installable; "
            "`sparsebd sparsity capture` records the same histograms of any model that is at hand",
        ),
        NATURAL.beside(
            "share of parameters in the FFN: least and most of the models here",
            min(each.ffn_share for each in ARCHITECTURES) * 100,
            "%",
            f"to {max(each.ffn_share for each in ARCHITECTURES):.1%}; this is what FFN sparsity "
            "can at most save",
        ),
    ]


def _threshold() -> list[SeedFigure]:
    values = live.layer(0).x
    limit = threshold(values, 0.5)
    got = float(np.mean(below(values, limit)))
    tie = bool(below(np.array([limit], np.float32), limit)[0])
    return [
        CUTOFF.number(
            "T at alpha = 50 %: share of values below it, on the values it was made from",
            "50",
            100 * got,
            "%",
            "USE-lite's FFN inputs",
            Kind.MEASURED,
        ),
        CUTOFF.statement(
            "a value equal to the threshold is kept",
            "zero if |A| < T",
            "dropped" if tie else "kept",
            not tie,
            "the strict comparison; NNCF and TEAL drop ties",
            kind=Kind.MEASURED,
        ),
    ]


def _cutoff(key: str, name: str, said: str, said_of_ranges: str) -> list[SeedFigure]:
    """What thresholds do to a model, and what its own slide says of that; "" for nothing."""
    span, energy, tail = numbers(f"teal.{key}")
    what = f"{name}, most magnitudes in very small ranges: 90 % quantile over 50 % quantile"
    heavier = (
        f"Gaussian values would have {GAUSSIAN_TAIL:.2f}, Laplace {LAPLACE_TAIL:.2f}: the tail is "
        "heavier than both"
    )
    return [
        CUTOFF.statement(
            f"{name}, a threshold gives sparsity: energy that 50 % drops, worst layer",
            said,
            100 * energy,
            energy < 0.05,
            f"at most, as a share of the sum of squares: a relative error of {energy**0.5:.2f} in "
            "the down projection's input, of TEAL's published histograms, whose outer bins count "
            "as their inner edges",
            "%",
            Kind.MEASURED,
        ),
        CUTOFF.statement(
            what, said_of_ranges, tail, tail > LAPLACE_TAIL, heavier, "", Kind.MEASURED
        )
        if said_of_ranges
        else CUTOFF.beside(what, tail, "", heavier, Kind.MEASURED),
        CUTOFF.beside(
            f"{name}, largest over smallest layer's threshold at 50 %",
            span,
            "x",
            "so one threshold for all layers cannot do",
            Kind.MEASURED,
        ),
    ]


def _trade_off() -> list[SeedFigure]:
    rise = smollm2_rise("half_per_layer")
    return [
        TRADE_OFF.statement(
            "50 % extra sparsity at acceptable perplexity: SmolLM2's rise, thresholds per layer",
            "acceptable",
            rise,
            rise is not None and rise <= 100 * ACCEPTABLE,
            f"acceptable is taken to be {ACCEPTABLE:.0%} or less, "
            + how("smollm2.half_per_layer", _THRESHOLDS),
            "%",
            Kind.MEASURED,
        ),
        TRADE_OFF.beside_if(
            "undisturbed perplexity of SmolLM2",
            number("smollm2.dense"),
            "",
            how("smollm2.dense", _THRESHOLDS),
        ),
    ]


def _contrasts() -> list[SeedFigure]:
    ruin = smollm2_rise("half_random")
    return [
        TRADE_OFF.beside_if(
            "the same 50 % at random: perplexity over the undisturbed one",
            None if ruin is None else 1 + ruin / 100,
            "x",
            "small activations are what can go, not any: "
            + how("smollm2.half_random", _THRESHOLDS),
        ),
        TRADE_OFF.beside_if(
            "the same 50 % by a threshold on the gate: rise",
            smollm2_rise("half_cats"),
            "%",
            "the gate is known earlier and says less: "
            + how("smollm2.half_cats", "sparsebd sparsity thresholds --rule cats"),
        ),
    ]


def _accuracy() -> list[SeedFigure]:
    said = "safely secure 50 % with negligible accuracy loss", "50 % of neurons can be pruned"
    return [
        TRADE_OFF.closest(
            each,
            "50 %",
            smollm2_rise("half_per_layer"),
            "% more perplexity",
            "task accuracy of the five models cannot be had here; SmolLM2's rise stands for it",
        )
        for each in said
    ]

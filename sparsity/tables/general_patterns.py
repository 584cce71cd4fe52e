# SPDX-License-Identifier: Apache-2.0
"""Seed 1, the slides' table of matching activation patterns, and what prediction is worth."""

import numpy as np

from sparsity.tables import live, matching
from sparsity.tables.figure import Kind, SeedFigure, Table
from sparsity.tables.measured import how, number, numbers

MATCHES = Table(1, "activation pattern matching rates")
PREDICT = Table(1, "predict, prefetch and optimise")
_PATTERNS = "sparsebd sparsity patterns --model smollm2"
_SIMILAR = f"{_PATTERNS} --similar"


def figures() -> list[SeedFigure]:
    """Return every figure of the slides' last part."""
    return [
        *_matches(),
        *_by_similarity(),
        *_unrelated(),
        *_kappas(),
        *_whole_table(),
        *_predict(),
        _edge(),
    ]


def _matches() -> list[SeedFigure]:
    first = numbers("smollm2.similar.first")
    entries = []
    for sample, row in enumerate(matching.SEED_TABLE):
        ours = first[sample] if sample < len(first) else None
        entries.append(
            MATCHES.closest(
                f"sample {sample + 1}, variants that are 95 to 70 % similar",
                " ".join(f"{each:g}" for each in row),
                None if ours is None else " ".join(f"{100 * each:.1f}" for each in ours),
                "%",
                "SmolLM2's first token, at half of its activations, on other text"
                if ours is not None
                else how("smollm2.similar.first", _SIMILAR),
                kind=Kind.MEASURED,
            )
        )
    return entries


def _by_similarity() -> list[SeedFigure]:
    entries = []
    last, aligned, kappa = (
        numbers(f"smollm2.similar.{key}") for key in ("last", "aligned", "kappa")
    )
    for place, similarity in enumerate(matching.SIMILARITIES):
        mean = float(np.mean([row[place] for row in matching.SEED_TABLE]))
        ours = [
            float(np.mean([row[place] for row in each])) for each in (last, aligned, kappa) if each
        ]
        entries.append(
            MATCHES.closest(
                f"{100 * similarity:g} % similar, mean of the slide's 12 samples",
                f"{mean:.2f}",
                100 * ours[1] if len(ours) == 3 else None,
                "%",
                f"SmolLM2, all tokens aligned; last token {100 * ours[0]:.1f} %, kappa "
                f"{ours[2]:.2f}. It falls with similarity, where the slide's stays from 90 % on: "
                "there one token of each input seems to be compared, the first"
                if len(ours) == 3
                else how("smollm2.similar.aligned", _SIMILAR),
                like=True,
                kind=Kind.MEASURED,
            )
        )
    return entries


def _unrelated() -> list[SeedFigure]:
    unrelated = number("smollm2.similar.unrelated")
    return [
        MATCHES.beside_if(
            "inputs that have nothing in common: match",
            None if unrelated is None else 100 * unrelated,
            "%",
            "at half of the activations chance alone gives 50 %; the slide's lowest value, 53.83 "
            "%, is no more than this",
        )
    ]


def _kappas() -> list[SeedFigure]:
    return [
        MATCHES.beside(
            f"a match of {match:g} % beyond chance, kappa",
            matching.kappa(match / 100, 0.5),
            "",
            "at half of the neurons active, two unrelated patterns agree on half",
        )
        for match in sorted({each for row in matching.SEED_TABLE for each in row} - {100.0})
    ]


def _whole_table() -> list[SeedFigure]:
    equal = sum(all(each == 100 for each in row) for row in matching.SEED_TABLE)
    odd = sum(each == 53.93 for row in matching.SEED_TABLE for each in row)
    return [
        MATCHES.statement(
            "most samples have 100 % the same patterns as their 70 % variants: how many of 12",
            "most",
            equal,
            equal > 6,
            "counted in the slide's own table; it says little if first tokens are compared, as it "
            "seems, for their patterns do not hang on later ones",
            "samples",
        ),
        MATCHES.statement(
            "sample 4 at 75 %: 53.93 % where its other values are 53.83 %",
            "53.93 %",
            f"{odd} of 72 cells",
            odd == 0,
            "the only value that is .1 off its row's others: most likely a slip",
        ),
        MATCHES.closest(
            "heat maps of Llama-3-8B's patterns for sample 1 and its 70 % variant",
            "pictures",
            None,
            "",
            "no figure to compare; `sparsebd sparsity patterns --plot` draws the like of SmolLM2",
        ),
    ]


def _predict() -> list[SeedFigure]:
    missed = numbers("smollm2.prefetch_missed")
    return [
        PREDICT.statement(
            "patterns are predictable: kappa of a token's pattern and the next one's, USE-lite",
            "predictable",
            live.next_token(0).kappa,
            live.next_token(0).kappa > 0.5,
            f"layer 0; they agree on {live.next_token(0).match:.1%} of the neurons, but chance "
            f"alone gives {live.next_token(0).chance:.1%}",
            "",
            Kind.MEASURED,
        ),
        PREDICT.statement(
            "predict and prefetch: wanted rows that the last token's do not hold, USE-lite layer 1",
            "optimise up to 50 %",
            float(100 * live.prefetch(1).missed),
            float(live.prefetch(1).missed) < 0.1,
            'so the guess "as for the last token" loads most rows late; sign bits do better, see '
            "the paper's precision and recall",
            "%",
            Kind.MEASURED,
        ),
        PREDICT.statement(
            "the same, SmolLM2 at half: first, middle and last layer",
            "optimise up to 50 %",
            " ".join(f"{100 * each:.1f}" for each in missed) if missed else None,
            bool(missed) and max(missed) < 0.1,
            "half of the rows are loaded ahead, and a third to a half of the wanted ones are not "
            f"among them, {how('smollm2.prefetch_missed', _PATTERNS)}",
            "%",
            Kind.MEASURED,
        ),
    ]


def _edge() -> SeedFigure:
    return PREDICT.closest(
        "lower latency, power and memory on edge devices",
        "named, no figure",
        None,
        "",
        "`sparsebd run --ffn all` simulates a token's FFNs by what is known of its masks, and "
        "when; power is not modelled",
    )

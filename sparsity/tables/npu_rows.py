# SPDX-License-Identifier: Apache-2.0
"""Seed 0, the slides on sparse row loads: rows, descriptors, Phases 1 and 2 in closed form.

What the NPU's phases do is simulated and not in this package; `sparsebd sparsity tables` adds it.
"""

from sparsity.masks import alternating, contiguous
from sparsity.shapes import shape
from sparsity.tables import islands, live, row_bytes
from sparsity.tables.figure import Kind, SeedFigure, Table
from sparsity.tables.sparseinfer import MIB

ROWS = Table(0, "selective row loads")
PHASE_1 = Table(0, "Phase 1")
ISLANDS = Table(0, "Phase 1: island transfers")
PHASE_2 = Table(0, "Phase 2")
TAKEAWAYS = Table(0, "takeaways and impact")
BYTES = Table(0, "bytes to move")
SEVEN_B = "ReluLLaMA-7B"
GAIN = 0.37


def figures() -> list[SeedFigure]:
    """Return every figure of the slides' methodology and takeaways that needs no simulator."""
    return [
        *_rows(),
        *_between(),
        *_bytes(),
        *_phase_1(),
        *_islands(),
        *_phase_2(),
        *_reads(),
        *_takeaways(),
    ]


def _rows() -> list[SeedFigure]:
    rows = shape(SEVEN_B).k
    sparse = 0.75
    evenly = islands.count(alternating(rows, sparse)).descriptors
    block = islands.count(contiguous(rows, sparse)).descriptors
    return [
        ROWS.number(
            "FFN(x) with rows of zero activations left out: change of the output",
            "0",
            live.lost_by_skipping_zeros(),
            "",
            "the slide says the output is equivalent; USE-lite's layer 0 in whole numbers, where "
            "the order of a sum does not matter",
            Kind.MEASURED,
        ),
        ROWS.statement(
            "worst case for descriptors: zeros spread evenly, 7B at 75 %",
            "one BD a wanted row",
            evenly,
            evenly == rows * (1 - sparse),
            "as many runs as wanted rows; a BD with a stride reads such a pattern whole all the "
            "same, so it is the worst for runs of rows and not for BDs",
            "runs",
        ),
        ROWS.statement(
            "best case: zeros contiguous on either end",
            "1 BD",
            block,
            block == 1,
            "one run",
            "runs",
        ),
    ]


def _between() -> list[SeedFigure]:
    flips = islands.expected(shape(SEVEN_B).k, 0.25).descriptors
    real = live.runs(0)
    return [
        ROWS.beside(
            "between the two: coin flips, 7B at 75 %",
            flips,
            "runs",
            "rows x density x (1 - density), which real vectors follow",
        ),
        ROWS.beside(
            "a real vector: USE-lite layer 0, mean",
            real.real,
            "runs",
            f"coin flips of each vector's density would have {real.coin_flips:.1f}; mean distance "
            f"{real.z:+.2f} standard deviations, so real patterns are neither worst nor best",
            Kind.MEASURED,
        ),
    ]


def _bytes() -> list[SeedFigure]:
    entries = []
    for each in row_bytes.every_model():
        sizes = ", ".join(f"{name} {size:,}" for name, size in each.by_format.items())
        entries.append(
            BYTES.beside(
                f"{each.model}: {each.rows:,} rows of",
                sizes,
                "bytes",
                f"down projection {each.matrix_bytes / MIB:.4g} MiB in 16 bits; its input "
                f"{each.vector_bytes:,} bytes, as a bitmap {each.bitmap_bytes:,}; {each.batches:,} "
                f"batches of 16 rows; sign bits {each.sign_bytes / MIB:.4g} MiB",
            )
        )
    return entries


def _phase_1() -> list[SeedFigure]:
    entries = []
    for sparsity in (0.5, 0.75, 0.9, 0.95, 1.0):
        less = islands.phase1_ratio(GAIN, sparsity, as_speedup=False)
        faster = islands.phase1_ratio(GAIN, sparsity, as_speedup=True)
        assert less is not None and faster is not None, "0.37 is gained at half already"
        entries.append(
            PHASE_1.beside(
                f"walking over a BD, in times of moving a row, if 37 % are reached at "
                f"{100 * sparsity:g} %",
                less,
                "row times",
                f"with time = rows x (walk + density x move); read as a 1.37x speed-up it is "
                f"{faster:.3f}. The slides do not say of what the 37 % are, nor at which sparsity",
            )
        )
    walk, move = 1.0, 1.0
    steps = [islands.phase1_time(s, walk, move) for s in (0.0, 0.5, 0.75)]
    entries.append(
        PHASE_1.statement(
            "diminishing returns with increasing sparsity",
            "diminishing",
            steps[0] / steps[-1],
            steps[0] / steps[1] < 1 / 0.5 and steps[0] / steps[-1] < 1 / 0.25,
            "speed-up at 75 % where walking over a BD costs as much as moving a row; without "
            "walking it would be 4",
            "x",
        )
    )
    return entries


def _islands() -> list[SeedFigure]:
    rows = shape(SEVEN_B).k
    entries = [
        ISLANDS.statement(
            "batch small gaps into islands",
            "for sufficiently small adjacent rows",
            islands.best_gap(descriptor=2.5, row=1.0),
            islands.best_gap(2.5, 1.0) == 2,
            "worth it for gaps up to the cost of a descriptor over that of a row, cut off: here "
            "2.5 row times, which is an example. With fixed costs no other choice is better",
            "rows",
        )
    ]
    for density in (0.1, 0.33, 0.5):
        for gap in (0, 1, 3, 7):
            found = islands.expected(rows, density, gap)
            entries.append(
                ISLANDS.beside(
                    f"7B, {100 * density:g} % wanted, gaps up to {gap}: descriptors",
                    found.descriptors,
                    "",
                    f"{found.rows:,.0f} rows are moved for {rows * density:,.0f} wanted ones; "
                    "closed form for coin flips",
                )
            )
    return entries


def _phase_2() -> list[SeedFigure]:
    return [
        PHASE_2.number(
            f"rows that a read of 16 bytes tells, {name} activations",
            "16",
            row_bytes.rows_told_by_a_read(bits),
            "rows",
            sentence,
        )
        for name, bits, sentence in (
            ("int8", 8, ""),
            ("bf16", 16, "16-bit activations need 32 bytes for the 16 BDs of a batch"),
        )
    ]


def _reads() -> list[SeedFigure]:
    model = shape("ProSparse-7B")
    published = model.sparsity
    assert published is not None, "ProSparse-7B has a published sparsity"
    runs = islands.expected(model.k, 1 - published.mean).descriptors
    vector = row_bytes.row_bytes(model)
    reads = -(-vector.vector_bytes // row_bytes.READ_BYTES)
    return [
        PHASE_2.beside(
            "the same, packed bitmap",
            row_bytes.rows_told_by_a_read(1),
            "rows",
            "where another layer's kernel packs the bits: 2 bytes for 16 rows",
        ),
        PHASE_2.beside(
            "batches of 16 BDs for a 7B vector, one BD a run",
            -(-runs // row_bytes.BATCH),
            "batches",
            f"{runs:,.0f} runs expected of coin flips at ProSparse-7B's published "
            f"{published.mean:.1%}; one BD a wanted row would take "
            f"{-(-model.k * (1 - published.mean) // row_bytes.BATCH):.0f}",
        ),
        PHASE_2.beside(
            "reads of 16 bytes to scan a 7B vector of 16 bits",
            reads,
            "reads",
            f"{vector.vector_bytes:,} bytes; its bitmap is {vector.bitmap_bytes:,}",
        ),
    ]


def _takeaways() -> list[SeedFigure]:
    entries = [
        TAKEAWAYS.closest(
            f"with speculative decoding: sparsity left for {window} tokens at once",
            "independent and modular",
            100 * live.union(0, window),
            "%",
            f"USE-lite layer 0, neighbouring tokens; a single token has "
            f"{live.union(0, 1):.1%}. It can be combined, but all tokens' rows are needed",
            kind=Kind.MEASURED,
        )
        for window in (2, 4, 8, 16)
    ]
    others = {
        "accumulator-aware quantisation": "needs the trained models",
        "AIE4, a control processor per column": "no public description of it to simulate",
        "multi-agent ensembles": "a gain per model is all that can be told, see Phase 0",
        "mixtures of experts": "experts with SiLU have no zeros; dynamic loads of whole experts "
        "are contiguous rows, the best case above",
    }
    return entries + [
        TAKEAWAYS.closest(what, "named, no figure", None, "", f"not tried: {why}")
        for what, why in others.items()
    ]

# SPDX-License-Identifier: Apache-2.0
"""Seed 2, the SparseInfer paper's code and overheads: Listing 1, Table I, latency and memory."""

from sparsity.predictor.traffic import FLOAT_BYTES, mlp
from sparsity.shapes import MODELS, shape
from sparsity.tables import sparseinfer as si
from sparsity.tables.figure import SeedFigure, Table
from sparsity.tables.measured import how, number

CODE = Table(2, "Listing 1 and kernels")
TABLE_1 = Table(2, "Table I")
LATENCY = Table(2, "prediction latency")
MEMORY = Table(2, "prediction memory")
PAPER_US = 70.0
"""SparseInfer's predictor, a layer of ProSparse-Llama2-13B."""
PAPER_RATIO = "3.66"
"""How much slower PowerInfer's is."""


def figures() -> list[SeedFigure]:
    """Return every figure of the paper's sections IV-B and V-A."""
    return [
        *_listing(),
        *_slips(),
        *_cache(),
        *_fusion(),
        *_table_1(),
        *_table_1_compared(),
        *_latency(),
        *_ratios(),
        *_on_a_gpu(),
        *_memory(),
    ]


def _listing() -> list[SeedFigure]:
    d, k = shape(si.PAPER_MODEL).d, shape(si.PAPER_MODEL).k
    walk = si.listing(d)
    uneven = {m.name: si.listing(m.d).dropped for m in MODELS if si.listing(m.d).dropped}
    dropping = ", ".join(f"{name} {words}" for name, words in uneven.items())
    return [
        CODE.statement(
            "XORs of a row, d / 32",
            "d/32",
            walk.words,
            walk.words * 32 == d,
            "d = 5120",
            "words",
        ),
        CODE.statement(
            "thread blocks, k / 16", "k/16", k / si.ROWS_PER_BLOCK, k % 16 == 0, "13B, whole"
        ),
        CODE.statement(
            "iterations of a warp, ncols / 32, cover a row",
            "ncols / WARP_SIZE",
            f"5 at 13B; words dropped: {dropping}",
            not uneven,
            "the division is cut off, so d must be a multiple of 1024, which these are not",
        ),
    ]


def _slips() -> list[SeedFigure]:
    return [
        CODE.statement(
            "skip is set to true where more products are negative",
            "true",
            "0 in the listing",
            False,
            "the listing sets skip[row] = 0 there and 1 elsewhere, the opposite of the text; the "
            "published code keeps 0 for skip",
        ),
        CODE.closest(
            "step 4 adds rows of W_down with atomicAdd among warps",
            "atomicAdd",
            "rows in rising order",
            "",
            "the kernels here need no atomics, so that sums have the same bits each time and with "
            "any number of threads (`sparsity.predictor.gemv`)",
        ),
        CODE.statement(
            "argument sign_W_gate",
            "sign_W_gate",
            "sign_W in line 8",
            False,
            "a slip: the loop reads a name that is not declared",
        ),
    ]


def _cache() -> list[SeedFigure]:
    return [
        *(
            CODE.number(
                f"size of the input vector, {name}",
                printed,
                shape(name).d * FLOAT_BYTES / 1024,
                "KiB",
                "32-bit floats",
            )
            for name, printed in (("ProSparse-7B", "16"), ("ProSparse-13B", "20"))
        ),
        CODE.statement(
            "L2 cache of 4 MB per SM",
            "4 MB per SM",
            "4 MB in all",
            False,
            "NVIDIA's technical brief of the Jetson AGX Orin has 4 MB of L2 for the whole GPU; the "
            "argument stands",
        ),
    ]


def _fusion() -> list[SeedFigure]:
    d, k = shape(si.PAPER_MODEL).d, shape(si.PAPER_MODEL).k
    plain, fused = (mlp(d, k, 0.92, fused=each).vector_bytes for each in (False, True))
    total = mlp(d, k, 0.92).total_bytes
    later = mlp(d, k, 0.85).total_bytes, mlp(d, k, 0.85, 0.92).total_bytes
    return [
        CODE.statement(
            "kernel fusion (+KF) gains little: bytes of vectors it saves of all bytes, 13B at 92 %",
            "insignificant",
            100 * (plain - fused) / total,
            (plain - fused) / total < 0.02,
            f"{plain:,} bytes of vectors become {fused:,}; the predictor's are left out",
            "%",
        ),
        CODE.statement(
            "actual sparsity (+AS) contributes significantly: bytes saved, 85 % predicted, 92 zero",
            "significantly",
            100 * (1 - later[1] / later[0]),
            later[1] < 0.9 * later[0],
            "shares that are an example, the predictor's bytes left out; the more cautious the "
            "prediction, the more it saves",
            "%",
        ),
    ]


def _table_1() -> list[SeedFigure]:
    found = si.operations()
    implied = si.implied_sparsity(1.699e7)
    return [
        TABLE_1.number("llama.cpp (dense), prediction", "0", 0, "operations"),
        TABLE_1.number("llama.cpp (dense), MLP block", "2.123e8", found.dense, "multiplications"),
        TABLE_1.number("PowerInfer, prediction", "1.940e7", found.low_rank, "multiplications"),
        *(
            TABLE_1.number(
                f"{name}, MLP block",
                "1.699e7",
                found.sparse,
                "multiplications",
                f"at 92 % zeros, which the printed number implies: {implied:.2%}; the paper does "
                "not state it",
            )
            for name in ("PowerInfer", "SparseInfer")
        ),
        TABLE_1.number(
            "SparseInfer, prediction",
            "2.211e6",
            found.signs,
            "XORs",
            "2,211,840: digits cut off, not rounded",
        ),
    ]


def _table_1_compared() -> list[SeedFigure]:
    found = si.operations()
    return [
        TABLE_1.statement(
            "PowerInfer's predictor is even larger than the MLP block's computation",
            "even larger",
            found.low_rank / found.sparse,
            found.low_rank > found.sparse,
            "quotient of the two",
            "x",
        ),
        TABLE_1.statement(
            "SparseInfer's has about an order of magnitude fewer operations",
            "an order of magnitude",
            found.low_rank / found.signs,
            5 < found.low_rank / found.signs < 20,
            "quotient; one XOR is of a word of 32 signs",
            "x",
        ),
    ]


def _latency() -> list[SeedFigure]:
    low_rank, signs = si.predictors(shape(si.PAPER_MODEL))
    ratio = float(PAPER_RATIO)
    ours = si.roofline(signs.read_bytes, PAPER_US)
    theirs = si.roofline(low_rank.read_bytes, PAPER_US * ratio)
    return [
        LATENCY.closest(
            "SparseInfer's predictor, a layer and token",
            "70 us",
            ours.floor_us,
            "us",
            f"the least time to read {signs.read_bytes:,} bytes at Orin's {si.ORIN_GB_PER_S} GB/s; "
            f"70 us achieve {ours.gb_per_s:.0f} GB/s",
            like=True,
        ),
        LATENCY.closest(
            "PowerInfer's predictor",
            f"{PAPER_RATIO} x 70 us",
            theirs.floor_us,
            "us",
            f"the least time to read {low_rank.read_bytes:,} bytes; {theirs.us:.0f} us achieve "
            f"{theirs.gb_per_s:.0f} GB/s",
        ),
    ]


def _ratios() -> list[SeedFigure]:
    low_rank, signs = si.predictors(shape(si.PAPER_MODEL))
    found = si.operations()
    return [
        LATENCY.number(
            "PowerInfer's time over SparseInfer's",
            PAPER_RATIO,
            low_rank.read_bytes / signs.read_bytes,
            "x",
            "quotient of the bytes that both read, which is what a token's time hangs on; the "
            "paper's was measured",
        ),
        LATENCY.statement(
            "less than the ratio of operations since tensor cores multiply faster than XOR",
            "tensor cores",
            low_rank.read_bytes / signs.read_bytes,
            False,
            f"operations differ by {found.low_rank / found.signs:.2f}, bytes by "
            f"{low_rank.read_bytes / signs.read_bytes:.2f}, times by {PAPER_RATIO}: reading "
            "explains it better than arithmetic",
            "x",
        ),
        LATENCY.number(
            "overhead of the predictor is reduced by a factor of",
            "4",
            low_rank.read_bytes / signs.read_bytes,
            "x",
            "bytes; the measured 3.66 rounds to 4 as well",
        ),
    ]


def _on_a_gpu() -> list[SeedFigure]:
    run = "python benchmarks/predictor_gpu.py"
    return [
        LATENCY.beside_if(
            f"on an NVIDIA GPU here: {what}", number(key), unit, f"a layer of 13B, {how(key, run)}"
        )
        for what, key, unit in (
            ("sign predictor", "gpu.predict_us_13b", "us"),
            ("PowerInfer's predictor over it", "gpu.predictor_ratio_13b", "x"),
        )
    ]


def _memory() -> list[SeedFigure]:
    found, seven = si.memory(), si.memory("ProSparse-7B")
    return [
        MEMORY.number(
            "PowerInfer's predictors, 40 layers", "1480", found.low_rank / si.MIB, "MiB",
            f"{found.low_rank:,} bytes; printed as MB, but it is MiB",
        ),
        MEMORY.number(
            "SparseInfer's sign bits", "337.5", found.signs / si.MIB, "MiB",
            f"{found.signs:,} bytes; printed as MB, but it is MiB",
        ),
        MEMORY.number(
            "times less memory", "4.38", found.ratio, "x", "4.3852 rounds to 4.39; digits cut off"
        ),
        MEMORY.beside(
            "the same of the 7B model",
            seven.ratio,
            "x",
            f"{seven.low_rank / si.MIB:.1f} MiB against {seven.signs / si.MIB:.1f} MiB",
        ),
        MEMORY.beside(
            "a second copy of W_down, not counted in the paper",
            found.down_twice / 2**30,
            "GiB",
            "the published code keeps W_down and its transpose; stored by row in the first place, "
            "as here, one copy will do",
        ),
    ]  # fmt: skip

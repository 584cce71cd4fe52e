# SPDX-License-Identifier: Apache-2.0
"""Bytes and operations of a predictor and of the FFN that it serves, per token, from shapes alone.

Every count is of one layer; weights are read once per token, as at batch 1. Predictors: dense
(none), sign bits against 1 to 8 bit activations, and PowerInfer's two matrices. The FFN: gate, up
and down with what is skipped of each, unfused as llama.cpp has it or fused (+KF).
"""

from dataclasses import dataclass

from sparsity.errors import SparsityError
from sparsity.predictor.signs import WORD_BITS

POWERINFER_RANK = 1024
"""Inner width of PowerInfer's predictors of ProSparse-Llama2-13B, says the SparseInfer paper."""
HALF_BYTES = 2
"""Of an fp16 or bf16 weight."""
FLOAT_BYTES = 4
"""Of an activation between the steps; the paper's 16 KB and 20 KB of X are float32."""
PAPER_WORD_BITS = 32
"""What the paper's operations are on, and its rows are padded to."""


@dataclass(frozen=True, slots=True)
class Predictor:
    """What one prediction takes."""

    name: str
    read_bytes: int
    """Weights of the predictor, which also stay in memory."""
    operations: int
    """Multiplications, or XORs of words."""


@dataclass(frozen=True, slots=True)
class Mlp:
    """What one token's FFN takes, by step."""

    gate_bytes: int
    """Rows of the first matrix: W_gate, or W_up in an FFN without a gate."""
    up_bytes: int
    """Rows of W_up of a gated FFN."""
    down_bytes: int
    vector_bytes: int
    """Inputs and results between the steps that go through memory."""
    multiplications: int

    @property
    def read_bytes(self) -> int:
        """All weights."""
        return self.gate_bytes + self.up_bytes + self.down_bytes

    @property
    def total_bytes(self) -> int:
        """Weights and vectors."""
        return self.read_bytes + self.vector_bytes


@dataclass(frozen=True, slots=True)
class Traffic:
    """A predictor and the FFN behind it."""

    predictor: Predictor
    mlp: Mlp

    @property
    def total_bytes(self) -> int:
        """Everything that moves for one token."""
        return self.predictor.read_bytes + self.mlp.total_bytes


def sign_predictor(d: int, k: int, word_bits: int = PAPER_WORD_BITS) -> Predictor:
    """SparseInfer: one XOR per word of a row, rows padded to whole words."""
    words = -(-d // word_bits)
    return Predictor("SparseInfer", k * words * word_bits // 8, k * words)


def low_bit_predictor(d: int, k: int, bits: int, word_bits: int = WORD_BITS) -> Predictor:
    """Activations at some bits against weights at one: the same bytes, `bits` times the XORs."""
    one = sign_predictor(d, k, word_bits)
    return Predictor(f"sign x {bits} bits", one.read_bytes, one.operations * bits)


def low_rank_predictor(d: int, k: int, rank: int, weight_bytes: int = HALF_BYTES) -> Predictor:
    """PowerInfer's and DejaVu's: d x rank and rank x k, biases left out as the paper does."""
    values = d * rank + rank * k
    return Predictor(f"low rank {rank}", values * weight_bytes, values)


NO_PREDICTOR = Predictor("none", 0, 0)


def mlp(
    d: int,
    k: int,
    predicted: float = 0.0,
    actual: float | None = None,
    *,
    gated: bool = True,
    fused: bool = False,
    weight_bytes: float = HALF_BYTES,
) -> Mlp:
    """Count one token's FFN.

    Args:
        d: width.
        k: neurons.
        predicted: share of rows that the predictor skips.
        actual: share of rows that are skipped after the gate product, which is the union of
            predicted and seen zeros (+AS); None where they are not looked for.
        gated: three matrices, else two.
        fused: gate, up and their product in one kernel (+KF).
        weight_bytes: of one weight, scales of a block format included.

    Raises:
        SparsityError: no matrix, or shares that are none or shrink.
    """
    later = predicted if actual is None else actual
    if min(d, k) < 1 or not 0 <= predicted <= later <= 1:
        raise SparsityError(
            f"d {d}, k {k}, {predicted} predicted, {later} skipped later: give sizes from 1 and "
            "shares from 0 to 1, the later one at least the first"
        )
    first, rest = (round(k * (1 - share)) * d for share in (predicted, later))
    products = first + rest * (2 if gated else 1)
    return Mlp(
        gate_bytes=round(first * weight_bytes),
        up_bytes=round(rest * weight_bytes) if gated else 0,
        down_bytes=round(rest * weight_bytes),
        vector_bytes=vector_bytes(d, k, gated=gated, fused=fused),
        multiplications=products,
    )


def vector_bytes(d: int, k: int, *, gated: bool = True, fused: bool = False) -> int:
    """Bytes of x, h1, h2, h3 and the output that cross memory once each way they are used.

    Unfused and gated: x twice, h1 and h2 written and read, h3 written; fused: x once, h3 written.
    Then the down projection reads h3 and writes the output. Without a gate there is one step to
    fuse with nothing: x once, h1 written.
    """
    inner = (2 * d + 5 * k) if gated and not fused else (d + k)
    return (inner + k + d) * FLOAT_BYTES


def traffic(
    d: int,
    k: int,
    predicted: float = 0.0,
    actual: float | None = None,
    *,
    predictor: Predictor = NO_PREDICTOR,
    gated: bool = True,
    fused: bool = False,
    weight_bytes: float = HALF_BYTES,
) -> Traffic:
    """Count a predictor and the FFN behind it; arguments and errors as in `mlp`."""
    counted = mlp(d, k, predicted, actual, gated=gated, fused=fused, weight_bytes=weight_bytes)
    return Traffic(predictor, counted)


def floor_us(size_bytes: int, gigabytes_per_s: float) -> float:
    """Return how long reading so many bytes takes at least."""
    return size_bytes / gigabytes_per_s / 1e3

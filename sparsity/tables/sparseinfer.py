# SPDX-License-Identifier: Apache-2.0
"""SparseInfer's Table I, memory figures and predictor times, from shapes.

Operations and bytes of one layer are those of `sparsity.predictor.traffic`; here they become the
paper's units, whole models, and least times on its hardware.
"""

import math
from dataclasses import dataclass

from sparsity.errors import ShapeError
from sparsity.predictor.traffic import (
    HALF_BYTES,
    PAPER_WORD_BITS,
    POWERINFER_RANK,
    Predictor,
    floor_us,
    low_rank_predictor,
    mlp,
    sign_predictor,
)
from sparsity.shapes import ModelShape, shape

PAPER_MODEL = "ProSparse-13B"
ORIN_GB_PER_S = 204.8
"""LPDDR5 of the Jetson AGX Orin 64 GB, 256 bits at 6,400 MT/s: NVIDIA's data sheet."""
WARP = 32
"""Threads of a warp, which in Listing 1 count one row together."""
ROWS_PER_BLOCK = 16
"""Warps of a thread block in Listing 1: a row each."""
MIB = 1 << 20
PREDICTED_ZEROS = 0.92
"""Sparsity that Table I's sparse MLP block implies; see `implied_sparsity`."""


@dataclass(frozen=True, slots=True)
class Operations:
    """Table I, one layer."""

    dense: int
    """Multiplications of the whole MLP block."""
    low_rank: int
    """Multiplications of PowerInfer's predictor."""
    signs: int
    """XORs of 32-bit words of SparseInfer's."""
    sparse: int
    """Multiplications of the MLP block at `PREDICTED_ZEROS`."""


def operations(model: str = PAPER_MODEL, sparsity: float = PREDICTED_ZEROS) -> Operations:
    """Count Table I for a model of `sparsity.shapes`; errors as in `shape` and `traffic.mlp`."""
    m = shape(model)
    return Operations(
        dense=mlp(m.d, m.k, gated=m.gated).multiplications,
        low_rank=low_rank_predictor(m.d, m.k, POWERINFER_RANK).operations,
        signs=sign_predictor(m.d, m.k).operations,
        sparse=mlp(m.d, m.k, sparsity, gated=m.gated).multiplications,
    )


def implied_sparsity(sparse: float, model: str = PAPER_MODEL) -> float:
    """Return the sparsity at which an MLP block takes so many multiplications."""
    return 1 - sparse / operations(model).dense


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that stay in memory for all layers of a model."""

    low_rank: int
    signs: int
    down_twice: int
    """A second copy of W_down in fp16, which the published code keeps and the paper leaves out."""

    @property
    def ratio(self) -> float:
        """The paper's reduction."""
        return self.low_rank / self.signs


def memory(model: str = PAPER_MODEL) -> Memory:
    """Count the predictors of all layers; errors as in `shape`."""
    m = shape(model)
    low_rank, signs = predictors(m)
    down = m.d * m.k * HALF_BYTES
    return Memory(*(each * m.layers for each in (low_rank.read_bytes, signs.read_bytes, down)))


def predictors(model: ModelShape) -> tuple[Predictor, Predictor]:
    """Return PowerInfer's predictor of a layer, and SparseInfer's."""
    sizes = model.d, model.k
    return low_rank_predictor(*sizes, POWERINFER_RANK), sign_predictor(*sizes)


@dataclass(frozen=True, slots=True)
class Roofline:
    """A time beside the least that reading the bytes can take."""

    size_bytes: int
    us: float
    floor_us: float

    @property
    def gb_per_s(self) -> float:
        """What the time achieves."""
        return self.size_bytes / self.us / 1e3


def roofline(size_bytes: int, us: float, gb_per_s: float = ORIN_GB_PER_S) -> Roofline:
    """Put a time beside its floor.

    Raises:
        ShapeError: nothing to read, or no time or bandwidth.
    """
    if size_bytes < 1 or us <= 0 or gb_per_s <= 0:
        raise ShapeError(f"{size_bytes} bytes in {us} us at {gb_per_s} GB/s: give more than 0")
    return Roofline(size_bytes, us, floor_us(size_bytes, gb_per_s))


@dataclass(frozen=True, slots=True)
class Listing:
    """What Listing 1's integer loop does at a width."""

    words: int
    """32-bit words of a row."""
    iterations: int
    """Of a warp over a row; the division is cut off."""
    dropped: int
    """Words at the end of a row that no thread looks at."""
    padded_bits: int
    """Bits past the width in the last word, which count as positive products."""


def listing(width: int) -> Listing:
    """Return how Listing 1 walks a row of `width` weights.

    Raises:
        ShapeError: no weight.
    """
    if width < 1:
        raise ShapeError(f"a row of {width} weights: give at least 1")
    words = -(-width // PAPER_WORD_BITS)
    iterations = words // WARP
    return Listing(words, iterations, words - iterations * WARP, words * PAPER_WORD_BITS - width)


def tie_probability(width: int) -> float:
    """Return how often as many products are positive as negative, for unrelated signs.

    Ties are not skipped: the paper's inequality is strict.
    """
    if width % 2:
        return 0.0
    log = math.lgamma(width + 1) - 2 * math.lgamma(width / 2 + 1) - width * math.log(2)
    return math.exp(log)

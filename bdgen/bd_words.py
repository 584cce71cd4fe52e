# SPDX-License-Identifier: Apache-2.0
"""One lattice to the eight words of a shim BD, in compiled code, for `bdgen.chain_words`.

Field places come from the register table; `bdgen.lattices` says what fits.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aie2.registers import SHIM_BD
from bdgen.compiled import entry, inner
from bdgen.lattices import (
    COUNT,
    MAX_REPEAT,
    MAX_STEP_WORDS,
    MAX_WRAP,
    OUTER,
    OUTER_STEP,
    REPEAT,
    REPEAT_STEP,
    RUN,
    STEP,
    Table,
)
from bdgen.stencils import AXCACHE
from bdgen.target import WORD_BYTES, Matrix, Target

Words = NDArray[np.uint32]


class Addressing(IntEnum):
    """How a BD comes by its address.

    `PATCH`: the firmware adds a host buffer's address to every BD. `ABSOLUTE`: the stream holds
    device addresses. `ITERATION`: a BD is patched once, to the start of the matrix; from then on
    its other words alone are rewritten, and ITERATION_CURRENT steps to the row. Only the first is
    known to work on silicon.
    """

    PATCH = 0
    ABSOLUTE = 1
    ITERATION = 2


class RowShape(NamedTuple):
    """What the BDs of one planner have in common.

    `wrap` is the first wrap of a row longer than `MAX_WRAP` words, `divisor` the largest
    ITERATION_CURRENT that divides the words of a row; `burst` and `axcache` are words 4 and 5 of a
    linear BD.
    """

    row_words: int
    wrap: int
    divisor: int
    burst: int
    axcache: int


BD_WORDS = SHIM_BD.words
LENGTH = SHIM_BD.field("buffer_length").word
LOW, HIGH = SHIM_BD.field("base_address_low").word, SHIM_BD.field("base_address_high").word
HIGH_MASK = SHIM_BD.field("base_address_high").mask
ADDRESS_END = (HIGH_MASK + 1) << 32
D0, D1, D2 = (SHIM_BD.field(f"d{n}_stepsize").word for n in range(3))
WRAP_SHIFT = SHIM_BD.field("d0_wrap").shift
ITERATION, TAIL = SHIM_BD.field("iteration_stepsize").word, SHIM_BD.field("valid_bd").word
CURRENT_SHIFT = SHIM_BD.field("iteration_current").shift
TIMES_SHIFT = SHIM_BD.field("iteration_wrap").shift
VALID = SHIM_BD.field("valid_bd").place(1)
LINKED, NEXT_SHIFT = SHIM_BD.field("use_next_bd").place(1), SHIM_BD.field("next_bd").shift
LOW_MASK = 0xFFFFFFFF
assert SHIM_BD.field("d1_wrap").shift == WRAP_SHIFT


def row_shape(target: Target, matrix: Matrix) -> RowShape:
    """What BDs of a target that read rows of a matrix have in common."""
    words = matrix.row_bytes // WORD_BYTES
    linear = SHIM_BD.encode(burst_length=target.device.burst_code, axcache=AXCACHE)
    return RowShape(
        row_words=words,
        wrap=int(first_wrap(words)),
        divisor=next(n for n in range(MAX_REPEAT - 1, 0, -1) if words % n == 0),
        burst=int(linear[D1]),
        axcache=int(linear[D2]),
    )


@entry
def first_wrap(words: int) -> int:
    """The larger of two wraps whose product is `words`, or 0 if there are none."""
    for wrap in range(min(words, MAX_WRAP), 0, -1):
        if words % wrap == 0:
            return wrap if words // wrap <= MAX_WRAP else 0
    return 0


@inner
def lattice_words(shape: RowShape, of: Table, nth: int) -> int:
    """Words that a BD moves each time it is loaded."""
    return of[nth, RUN] * of[nth, COUNT] * of[nth, OUTER] * shape.row_words


@inner
def write_shape(words: Words, at: int, shape: RowShape, of: Table, nth: int) -> None:
    """Write a lattice's length, dimensions and iteration: all words but address and tail."""
    run, count, step = of[nth, RUN], of[nth, COUNT], of[nth, STEP]
    outer, outer_step = of[nth, OUTER], of[nth, OUTER_STEP]
    if count == 1:
        count, step, outer = outer, outer_step, 1
    block = run * shape.row_words
    words[at + LENGTH] = block * count * outer
    if count == 1:
        write_linear(words, at, shape, block)
    elif block <= MAX_WRAP:
        words[at + D0] = block << WRAP_SHIFT
        wrap = count if count <= MAX_WRAP else 0
        words[at + D1] = shape.burst | wrap << WRAP_SHIFT | step * shape.row_words - 1
        words[at + D2] = shape.axcache | (outer_step * shape.row_words - 1 if outer > 1 else 0)
    else:
        first = shape.wrap if run == 1 else first_wrap(block)
        words[at + D0] = first << WRAP_SHIFT
        words[at + D1] = shape.burst | (block // first) << WRAP_SHIFT | first - 1
        words[at + D2] = shape.axcache | step * shape.row_words - 1
    words[at + ITERATION] = 0
    if of[nth, REPEAT] > 1:
        stepped = of[nth, REPEAT_STEP] * shape.row_words - 1
        words[at + ITERATION] = (of[nth, REPEAT] - 1) << TIMES_SHIFT | stepped


@inner
def write_linear(words: Words, at: int, shape: RowShape, length: int) -> None:
    """Write a linear BD of `length` words: all its words but address and tail."""
    words[at + LENGTH] = length
    words[at + D0] = 0
    words[at + D1] = shape.burst
    words[at + D2] = shape.axcache
    words[at + ITERATION] = 0


@inner
def write_address(words: Words, at: int, address: int) -> None:
    """Write an address, or the byte offset that a patch will replace."""
    words[at + LOW] = address & LOW_MASK
    words[at + HIGH] = address >> 32 & HIGH_MASK


@inner
def tail(bd: int, linked: bool) -> int:
    """The last word of BD `bd`: valid, and linked to the BD after it or to none."""
    return VALID | (LINKED | (bd + 1) << NEXT_SHIFT if linked else 0)


@inner
def iteration_to(shape: RowShape, row: int) -> tuple[int, int]:
    """ITERATION_CURRENT and step that reach a row from the start; (-1, 0) if nothing does."""
    offset = row * shape.row_words
    if offset == 0:
        return 0, 1
    if offset // shape.divisor <= MAX_STEP_WORDS:
        return shape.divisor, offset // shape.divisor
    for current in range(MAX_REPEAT - 1, shape.divisor, -1):
        if offset % current == 0 and offset // current <= MAX_STEP_WORDS:
            return current, offset // current
    return -1, 0


@inner
def iteration_word(current: int, step: int) -> int:
    """Word 6 of a BD that starts `current` steps of `step` words behind its address."""
    return current << CURRENT_SHIFT | (MAX_REPEAT - 1) << TIMES_SHIFT | step - 1

# SPDX-License-Identifier: Apache-2.0
"""Activation vector to finished instruction words, again and again: the hot path of `host`.

scan -> bitmap -> lattices -> chains -> words, all in arrays that a `Planner` makes once. A planner
serves one layer's shape; it may plan while the plan of another runs, since they share nothing.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aie2 import txn
from bdgen import chain_words, chains
from bdgen.bd_words import ADDRESS_END, Addressing, RowShape, Words, row_shape
from bdgen.bitmap import Bitmap, check
from bdgen.chain_words import Layout, write
from bdgen.chains import NBYTES, PAD, ROWS, Weights, cut, deal, deal_runs
from bdgen.compiled import entry, inner
from bdgen.costs import FREE, Costs, behind, starts
from bdgen.errors import PlanError, describe
from bdgen.forecast import Forecast, forecast
from bdgen.lattices import Table
from bdgen.pack import Effort, Packer
from bdgen.pen import AT, Counts
from bdgen.scan import ElementName, Scanner
from bdgen.stencils import header
from bdgen.target import WORD_BYTES, Matrix, Target

AddressingName = Literal["patch", "absolute", "iteration"]


@dataclass(frozen=True, slots=True)
class Options:
    """How a planner plans.

    `addresses` are the device addresses of weights and output, for addressing "absolute". Up to
    `max_gap` rows between runs are moved rather than split. Without `repeats` no chain is repeated:
    public designs repeat single BDs, but none has been seen to repeat a chain with iteration.
    `costs` decides how work is shared out. `ramp` are the BDs of a lane's first chains, short ones,
    so that all lanes move soon; `together` is of how many columns tokens are awaited at once, 0 for
    all. Both were chosen by simulation of the 7B shape; `bdgen.choose` varies them.
    """

    effort: Effort = "fast"
    addressing: AddressingName = "patch"
    addresses: tuple[int, int] | None = None
    max_gap: int = 0
    repeats: bool = True
    costs: Costs = FREE
    ramp: tuple[int, ...] = (3, 6)
    together: int = 0
    dtype: ElementName | None = None
    threshold: float = 0.0


class Plan(NamedTuple):
    """A stream and what it moves, in views of the planner's arrays: valid until it plans again.

    `words` is the TXN stream, a view of the buffer that was given. `lanes` has a row for each lane
    with the columns that `bdgen.chains` names.
    """

    words: Words
    pen: NDArray[np.int64]
    lattices: int
    pieces: Table
    chains: NDArray[np.int64]
    lanes: NDArray[np.int64]

    @property
    def counts(self) -> Counts:
        """What the stream holds."""
        return Counts(*self.pen[: len(Counts._fields)].tolist())

    @property
    def rows_moved(self) -> int:
        """Rows read from the matrix."""
        return int(self.lanes[:, ROWS].sum())

    @property
    def bytes_moved(self) -> int:
        """Bytes read from the matrix, padding not counted; the output has them from its start."""
        return int(self.lanes[:, NBYTES].sum())

    @property
    def padding_bytes(self) -> int:
        """Bytes that bring each lane to a whole number of fifo objects."""
        return int(self.lanes[:, PAD].sum())

    def rows(self) -> NDArray[np.int64]:
        """The row of the matrix in each place of the output, from its start."""
        listed = np.empty(self.rows_moved, np.int64)
        chains.list_rows(self.pieces, self.chains, self.lanes, listed)
        return listed


class Planner:
    """Plans gathers of one matrix on one target.

    PlanError for options that contradict each other or the target.
    """

    def __init__(self, target: Target, matrix: Matrix, options: Options = Options()) -> None:
        self.target, self.matrix, self.options = target, matrix, options
        mode = _addressing(options)
        _check_addresses(options, target, matrix)
        self._packer = Packer(
            matrix.rows,
            matrix.row_bytes,
            options.effort,
            repeats=options.repeats and mode is not Addressing.ITERATION,
            max_gap=options.max_gap,
        )
        receives = 1 if matrix.row_bytes % target.object_bytes == 0 else 2
        sends = target.bds_per_lane * target.channels - target.channels * receives
        half0 = sends // target.channels // 2
        half1 = sends // target.channels - half0
        arg, output_arg = options.addresses or (matrix.arg, matrix.output_arg)
        self._layout = Layout(
            int(mode),
            target.columns,
            target.channels,
            options.together or target.columns,
            receives,
            half0,
            half1,
            arg,
            output_arg,
        )
        self._shape = row_shape(target, matrix)
        self._halves = np.array([half0, half1], np.int64)
        self._ramp = np.array(options.ramp, np.int64)
        patches = 0 if mode is Addressing.ABSOLUTE else 1
        first = min(options.ramp[0] if options.ramp else half0, half0)
        begin = starts(options.costs, target, first, patches)
        self._behind = behind(options.costs, begin)
        bd_weight = options.costs.next_bd / options.costs.word
        fixed = header(target, 0, 0)[:HEADER_FIXED]
        self._numbers = np.array(
            [*self._layout, *self._shape, bd_weight, target.object_bytes, *fixed], np.float64
        )
        self._linear = options.effort == "runs"
        self._room = chains.room(matrix.rows, len(target.lanes))
        self._desk = chain_words.desk(target, self._layout, self._shape)
        self._scan = Scanner(matrix.rows, dtype=options.dtype, threshold=options.threshold)
        most = matrix.rows // 2 + 1 if options.effort == "runs" else matrix.rows
        self._capacity = chain_words.capacity(target, most)

    def buffer(self) -> Words:
        """A buffer that every stream of this planner fits."""
        return np.zeros(self._capacity, np.uint32)

    def plan_into(self, buffer: Words, activations: NDArray[Any]) -> Plan:
        """Plan the rows that an activation vector needs, into a buffer of `buffer()`.

        Overwrites the plan before. PlanError if the vector does not fit the matrix.
        """
        self._check_buffer(buffer)
        return self._plan(buffer, self._scan(activations))

    def plan_bitmap_into(self, buffer: Words, bitmap: Bitmap) -> Plan:
        """Plan the rows that a bitmap marks, into a buffer of `buffer()`."""
        self._check_buffer(buffer)
        return self._plan(buffer, check(bitmap, self.matrix.rows))

    def forecast(self, plan: Plan) -> Forecast:
        """How long a plan of this planner will take, in cycles, by its own costs."""
        return forecast(
            self._layout, self._shape, self.options.costs, plan.pieces, plan.chains, plan.lanes
        )

    def _plan(self, buffer: Words, bitmap: Bitmap) -> Plan:
        lattices = self._packer.table(bitmap)
        room, desk = self._room, self._desk
        _deal_and_write(
            lattices, self._linear, self._numbers, self._behind, *room, self._ramp, self._halves,
            buffer, *desk,
        )  # fmt: skip
        return Plan(
            buffer[: desk.pen[AT]], desk.pen, len(lattices), room.pieces, room.chains, room.lanes
        )

    def _check_buffer(self, buffer: Words) -> None:
        """Refuse what is not a buffer of this planner: it must hold any stream."""
        if (
            not isinstance(buffer, np.ndarray)
            or buffer.dtype != np.uint32
            or buffer.shape != (self._capacity,)
            or not buffer.flags.carray
        ):
            raise PlanError(f"{describe(buffer)} is no stream buffer; make one with buffer()")


def _addressing(options: Options) -> Addressing:
    """The addressing that options name; PlanError if it lacks what it needs."""
    names = {mode.name.lower(): mode for mode in Addressing}
    if options.addressing not in names:
        raise PlanError(f'addressing "{options.addressing}" is not one of {", ".join(names)}')
    if any(bds < 1 for bds in options.ramp) or options.together < 0:
        raise PlanError(
            f"a ramp of {options.ramp} and waits for {options.together} columns cannot be; give "
            "chains of at least 1 BD, and 0 or more columns"
        )
    mode = names[options.addressing]
    if (mode is Addressing.ABSOLUTE) != (options.addresses is not None):
        raise PlanError(
            'addressing "absolute" and device addresses go together; give both or neither'
        )
    return mode


def _check_addresses(options: Options, target: Target, matrix: Matrix) -> None:
    """Refuse device addresses that the address words of a BD cannot hold."""
    ends = matrix.nbytes, matrix.nbytes + target.object_bytes
    for address, nbytes in zip(options.addresses or (), ends, strict=False):
        if address % WORD_BYTES or not 0 <= address <= ADDRESS_END - nbytes:
            raise PlanError(
                f"device address {address:#x} of a buffer of {nbytes} bytes cannot be; give a "
                f"multiple of {WORD_BYTES}, and a buffer that ends at {ADDRESS_END:#x} at most"
            )


HEADER_FIXED = txn.HEADER_OPS_WORD
"""Words of a header that are the same for every stream of a planner."""

SHAPE = len(Layout._fields)
BD_WEIGHT = SHAPE + len(RowShape._fields)
OBJECT_BYTES = BD_WEIGHT + 1
HEADER = OBJECT_BYTES + 1
"""Places in a planner's numbers: after those of its layout those of its row shape, then these two
and the header.

One array of them goes into compiled code five times as fast as the tuples do; floats hold integers
up to 2**53.
"""


@inner
def _layout(numbers: Any) -> Layout:
    """The layout in a planner's numbers."""
    return Layout(
        int(numbers[0]), int(numbers[1]), int(numbers[2]), int(numbers[3]), int(numbers[4]),
        int(numbers[5]), int(numbers[6]), int(numbers[7]), int(numbers[8]),
    )  # fmt: skip


@inner
def _shape(numbers: Any) -> RowShape:
    """The row shape in a planner's numbers."""
    return RowShape(
        int(numbers[SHAPE]), int(numbers[SHAPE + 1]), int(numbers[SHAPE + 2]),
        int(numbers[SHAPE + 3]), int(numbers[SHAPE + 4]),
    )  # fmt: skip


@entry
def _deal_and_write(
    lattices: Any,
    linear: bool,
    numbers: Any,
    late: Any,
    pieces: Any,
    chain_table: Any,
    lanes: Any,
    marks: Any,
    order: Any,
    classes: Any,
    needs: Any,
    tally: Any,
    ramp: Any,
    halves: Any,
    words: Any,
    pen: Any,
    listed: Any,
    held: Any,
    stamps: Any,
    tallies: Any,
) -> None:
    """The second half of a plan, everything after the packing, in one call."""
    layout, shape = _layout(numbers), _shape(numbers)
    weights = Weights(float(shape.row_words), numbers[BD_WEIGHT])
    if linear:
        deal_runs(lattices, late, weights, pieces, marks, lanes, needs)
    else:
        deal(lattices, late, weights, pieces, marks, order, lanes, classes, needs, tally)
    row_bytes, object_bytes = shape.row_words * WORD_BYTES, int(numbers[OBJECT_BYTES])
    cut(marks, ramp, halves, row_bytes, object_bytes, chain_table, lanes)
    for place in range(HEADER_FIXED):
        words[place] = int(numbers[HEADER + place])
    write(words, layout, shape, pieces, chain_table, lanes, pen, listed, held, stamps, tallies)

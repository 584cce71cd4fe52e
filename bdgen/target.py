# SPDX-License-Identifier: Apache-2.0
"""What a program runs on and what it gathers from: the first arguments of every planner.

A `Target` is the array as the loaded xclbin has it, a `Matrix` the weight matrix in DDR; both are
checked once, here, so that `bdgen.schedule` and `bdgen.emit` need not.
"""

from dataclasses import dataclass

from aie2.devices import Device
from aie2.fields import WORD_BYTES as WORD_BYTES
from bdgen.errors import PlanError

REACH_BYTES = 1 << 32
"""Host buffers end here: the byte offset of a DDR patch that aiebu accepts has 32 bits."""

TRANSLATED_ARGS = 5
"""Host buffers whose address the firmware translates; later ones need aiecc's address fold."""


@dataclass(frozen=True, slots=True)
class Target:
    """The first `columns` columns of an xclbin whose ObjectFifo objects are `object_bytes`.

    `partition_columns` is what the TXN header says; it defaults to `columns`. PlanError if the
    device does not have the columns or channels, or an object is no whole number of words.
    """

    device: Device
    columns: int
    object_bytes: int
    channels: int = 1
    partition_columns: int | None = None

    def __post_init__(self) -> None:
        device = self.device
        if not 1 <= self.columns <= device.columns:
            raise PlanError(
                f"{self.columns} columns asked of {device.name}, which has {device.columns}; "
                f"give 1 to {device.columns}"
            )
        if not self.columns <= self.header_columns <= device.columns:
            raise PlanError(
                f"a partition of {self.header_columns} columns cannot hold {self.columns} on "
                f"{device.name}, which has {device.columns}; give {self.columns} to "
                f"{device.columns}"
            )
        if not 1 <= self.channels <= device.shim_channels:
            raise PlanError(
                f"{self.channels} channels a column asked of {device.name}; a shim has "
                f"{device.shim_channels} in each direction"
            )
        if self.object_bytes <= 0 or self.object_bytes % WORD_BYTES:
            raise PlanError(
                f"a fifo object of {self.object_bytes} bytes is not a whole number of 32-bit "
                f"words; give a positive multiple of {WORD_BYTES} bytes"
            )

    @property
    def header_columns(self) -> int:
        """Columns of the partition, as the TXN header states them."""
        return self.columns if self.partition_columns is None else self.partition_columns

    @property
    def lanes(self) -> tuple[tuple[int, int], ...]:
        """The (column, channel) pairs that move data, in the order rows are dealt to them."""
        return tuple((c, k) for c in range(self.columns) for k in range(self.channels))

    @property
    def bds_per_lane(self) -> int:
        """BDs each lane may use: the channels of a column share its shim's BDs, both directions."""
        return self.device.shim_bds // self.channels


@dataclass(frozen=True, slots=True)
class Matrix:
    """A weight matrix of `rows` rows of `row_bytes`, one after another in host buffer `arg`.

    Gathered rows go to host buffer `output_arg`. Host buffers count from 0. PlanError if a row is
    no whole number of words, or a buffer is out of a DDR patch's reach.
    """

    rows: int
    row_bytes: int
    arg: int = 0
    output_arg: int = 1

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise PlanError(f"a matrix of {self.rows} rows has nothing to gather; give at least 1")
        if self.row_bytes <= 0 or self.row_bytes % WORD_BYTES:
            raise PlanError(
                f"a row of {self.row_bytes} bytes is not a whole number of 32-bit words; "
                f"pad rows to a multiple of {WORD_BYTES} bytes"
            )
        if self.nbytes >= REACH_BYTES:
            raise PlanError(
                f"a matrix of {self.nbytes} bytes is not below the {REACH_BYTES} bytes a DDR patch "
                "reaches; split it over several programs"
            )
        if self.arg == self.output_arg:
            raise PlanError(
                f"weights and output are both host buffer {self.arg}; give them two buffers"
            )
        for arg in (self.arg, self.output_arg):
            if not 0 <= arg < TRANSLATED_ARGS:
                raise PlanError(
                    f"host buffer {arg} is not one of the first {TRANSLATED_ARGS}, whose addresses "
                    f"the firmware translates; give 0 to {TRANSLATED_ARGS - 1}"
                )

    @property
    def nbytes(self) -> int:
        """Bytes of the whole matrix."""
        return self.rows * self.row_bytes

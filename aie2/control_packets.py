# SPDX-License-Identifier: Apache-2.0
"""Stream words that steer: packet headers, and the control packets that reach a tile's registers.

Facts: mlir-aie lib/Dialect/AIEX (control packets), AM020 (stream packet header).
"""

from __future__ import annotations

from enum import IntEnum

from aie2.fields import Field, Layout

PACKET_HEADER = Layout(
    "packet header",
    1,
    (
        Field("parity", 0, 31, 31),
        Field("source_column", 0, 27, 21),
        Field("source_row", 0, 20, 16),
        Field("packet_type", 0, 14, 12),
        Field("out_of_order_id", 0, 10, 5, source="aiebu test/utility, cp_pktheader"),
        Field("packet_id", 0, 4, 0),
    ),
)
"""First word of a packet; parity makes the number of ones odd."""

CONTROL_HEADER = Layout(
    "control packet header",
    1,
    (
        Field("parity", 0, 31, 31),
        Field("answer_id", 0, 28, 24),
        Field("operation", 0, 23, 22),
        Field("beats", 0, 21, 20, bias=1),
        Field("address", 0, 19, 0),
    ),
)
"""First word for a control port: byte offset in the tile, words that follow or are asked for."""


class Operation(IntEnum):
    """What a control packet does."""

    WRITE = 0
    READ = 1

# SPDX-License-Identifier: Apache-2.0
"""Designs compiled by mlir-aie, and ways to damage a file: what the tests of aie2 share."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

GOLDEN = Path(__file__).parents[1] / "data/golden"
CASES = sorted(GOLDEN.iterdir())
STREAMS = sorted(GOLDEN.glob("*/insts*.bin"))
SMALL = GOLDEN / "gather_rows_c1_o4k_npu1"
WIDE = GOLDEN / "passthrough_c8_ch2_o4k_npu2"


def case_id(path: Path) -> str:
    """Name of a case, or of a stream in one."""
    return path.relative_to(GOLDEN).as_posix()


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with up to four bytes changed, and perhaps cut short or with bytes after it."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data) - 1))
        changed[at] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        return bytes(changed[: draw(st.integers(0, len(data)))])
    return bytes(changed) + draw(st.binary(max_size=8))

# SPDX-License-Identifier: Apache-2.0
"""Firmware images: what they execute, what it costs, and the streams and patterns they refuse."""

from functools import lru_cache

import numpy as np
import pytest
from streams import passthrough, stream

from aie2 import txn
from aie2.devices import NPU1
from bdgen import program
from bdgen.bitmap import pack
from bdgen.program import gather_words
from bdgen.request import Location, Request, RequestError
from bdgen.schedule import deal_rows
from bdgen.target import Matrix, Target
from firmware_sim import Phase1, SimulationError, simulate
from firmware_sim.calibration import costs

ROWS, ROW_BYTES = 64, 1024
TARGET, MATRIX = Target(NPU1, 4, 1024), Matrix(ROWS, ROW_BYTES)


@lru_cache
def weights():
    return np.random.default_rng(0).integers(0, 256, (ROWS, ROW_BYTES), np.uint8)


def run(words, firmware, l2=None, profile="central"):
    held = [weights().copy(), np.zeros(ROWS * ROW_BYTES + 4096, np.uint8)]
    result = simulate(passthrough(4), words, held, firmware=firmware, l2=l2 or {}, profile=profile)
    return result, held[1]


def mask(*rows):
    wanted = np.zeros(ROWS, np.bool_)
    wanted[list(rows)] = True
    return wanted


def phase1_words():
    return program.phase1(TARGET, MATRIX, pack(mask())).words


@pytest.mark.parametrize("profile", ["low", "central", "high"])
@pytest.mark.parametrize("wanted", [mask(), mask(0, 1, 2), mask(61, 62, 63), mask(0, 20, 40, 63)])
def test_writing_skipped_bds_is_never_cheaper_than_walking_them(wanted, profile):
    written, _ = run(phase1_words(), Phase1(wanted, ROW_BYTES, "written"), profile=profile)
    walked, _ = run(phase1_words(), Phase1(wanted, ROW_BYTES, "walked"), profile=profile)
    assert written.cycles >= walked.cycles
    assert written.counts.bytes_read == walked.counts.bytes_read == wanted.sum() * ROW_BYTES


def test_walking_over_everything_takes_its_ops_times_the_walk():
    words = phase1_words()
    result, _ = run(words, Phase1(mask(), ROW_BYTES, "walked"))
    assert result.cycles == round(txn.index(words)[0].size * costs("npu1").walk)
    assert result.counts.ops == 0


def test_walking_overlaps_the_transfer_that_a_wait_is_for():
    """The rows behind the last wanted one are walked while its data still moves."""
    wanted = mask(*range(16))
    short, _ = run(phase1_words(), Phase1(wanted, ROW_BYTES, "walked"))
    scripted = Phase1(wanted, ROW_BYTES, "walked")
    assert short.cycles > 0
    assert "kept 16 of 64 rows" in short.notes[0]
    assert scripted.name == short.firmware


@pytest.mark.parametrize(
    ("wanted", "row_bytes", "sentence"),
    [
        (np.zeros(4, np.int64), 1024, "^a phase1 pattern is one bool per row, not int64"),
        (np.zeros((2, 2), np.bool_), 1024, "^a phase1 pattern is one bool per row, not bool of"),
        (np.zeros(4, np.bool_), 0, "^a row of 0 bytes: give a multiple of 4"),
        (np.zeros(4, np.bool_), 6, "^a row of 6 bytes: give a multiple of 4"),
    ],
)
def test_a_pattern_that_is_none_is_refused(wanted, row_bytes, sentence):
    with pytest.raises(SimulationError, match=sentence):
        Phase1(wanted, row_bytes)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (Phase1(mask(), 512), "^the stream's BDs move 1024 bytes and the image's rows have 512"),
        (Phase1(mask()[:10], 1024), "^the stream has 64 rows and the image's pattern 10"),
        (
            Phase1(np.zeros(70, np.bool_), 1024),
            "^the stream has 64 rows and the image",
        ),
    ],
)
def test_an_image_for_another_matrix_is_refused(image, sentence):
    with pytest.raises(SimulationError, match=sentence):
        run(phase1_words(), image)


def test_a_stream_that_is_not_row_by_row_is_refused():
    with pytest.raises(SimulationError, match="^op 0 is not one that a row-by-row stream has"):
        run(stream([txn.Noop()], 4), Phase1(mask(), ROW_BYTES))


def vector(wanted, dtype):
    """Activations of each element type that want these rows, -0.0 elsewhere where there is one."""
    if dtype == "int4":
        nibbles = np.where(wanted, 9, 0).astype(np.uint8)
        return nibbles[::2] | nibbles[1::2] << 4
    if dtype == "int8":
        return np.where(wanted, -3, 0).astype(np.int8)
    values = np.where(wanted, np.float32(-1.5), np.float32(-0.0))
    if dtype == "bf16":
        return (values.view(np.uint32) >> 16).astype(np.uint16)
    return values.astype({"fp16": np.float16, "fp32": np.float32}[dtype])


@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32", "int8", "int4"])
@pytest.mark.parametrize("place", [Location.TILE, Location.DDR])
def test_the_scanner_reads_every_type_from_l2_and_from_ddr(dtype, place):
    wanted = mask(3, 4, 17, 40, 63)
    values = vector(wanted, dtype)
    held = [weights().copy(), np.zeros(ROWS * ROW_BYTES + 4096, np.uint8)]
    l2 = {}
    request = Request(
        place, ROWS, dtype, ROW_BYTES, column=2, row=1, arg=2, offset_bytes=0x40000 * (not place)
    )
    if place is Location.TILE:
        l2 = {(2, 1, 0x40000): values}
    else:
        held.append(values.copy())
    made = program.phase2(TARGET, MATRIX, request, pack(wanted))
    result = simulate(passthrough(4), made.words, held, firmware="phase2", l2=l2)
    assert result.ok
    assert result.counts.bytes_read == 5 * ROW_BYTES
    for row, at in zip(made.placement.row, made.placement.dst, strict=True):
        np.testing.assert_array_equal(held[1][at : at + ROW_BYTES], weights()[row])


def test_a_threshold_in_the_request_leaves_small_activations_out():
    values = np.linspace(-1, 1, ROWS).astype(np.float32)
    request = Request(Location.TILE, ROWS, "fp32", ROW_BYTES, 0.5, offset_bytes=0x40000)
    made = program.phase2(TARGET, MATRIX, request, pack(np.abs(values) >= 0.5))
    result, _ = run(made.words, "phase2", {(0, 1, 0x40000): values})
    assert result.counts.bytes_read == np.count_nonzero(np.abs(values) >= 0.5) * ROW_BYTES


def test_a_request_for_another_matrix_is_refused():
    rows = np.arange(ROWS)
    transfers = deal_rows(rows, MATRIX, 4)
    words = gather_words(TARGET, MATRIX, transfers, "chain", scratch_offset=MATRIX.nbytes).words
    decoded = txn.decode(words)
    request = Request(Location.TILE, ROWS // 2, "fp16", ROW_BYTES, offset_bytes=0x40000)
    ops = list(decoded.ops)
    first = next(n for n, op in enumerate(ops) if isinstance(op, txn.DdrPatch))
    patch = ops[first]
    assert isinstance(patch, txn.DdrPatch)
    ops[first] = txn.DdrPatch(patch.address, patch.arg, patch.arg_plus, request.pack())
    with pytest.raises(SimulationError, match="^phase2: the request is for 32 rows"):
        run(txn.encode(txn.Program(decoded.header, tuple(ops))), "phase2")


def test_a_stream_without_a_request_is_refused():
    with pytest.raises(RequestError, match="magic"):
        run(program.dense(TARGET, MATRIX).words, "phase2")
    with pytest.raises(SimulationError, match="^phase2: the stream has no DDR patch"):
        run(stream([], 4), "phase2")


def test_an_empty_stream_takes_no_time():
    result, _ = run(stream([], 4), "stock")
    assert (result.cycles, result.counts.ops) == (0, 0)

# SPDX-License-Identifier: Apache-2.0
"""The whole road, all modes: every wanted row arrives once and right, and nothing else moves."""

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aie2.devices import device
from firmware_sim import PROFILES, Phase1
from firmware_sim.errors import FirmwareError
from host.cases import PHASES, Setup, data_ok, execute, image_for, output_buffer, plan, prepare
from host.workload import Workload, masked, random_weights

DEVICES = {"npu1": 4, "npu2": 8}
PATTERNS = ("random", "alternating", "contiguous")


@lru_cache(maxsize=64)
def setup_for(name: str, columns: int, row_bytes: int, guard: str, channels: int = 1) -> Setup:
    return prepare(device(name), columns, row_bytes, guard=guard, channels=channels)


def gather(setup: Setup, work: Workload, phase: str, profile: str = "central", skip="written"):
    made = plan(setup, work, phase)
    output = output_buffer(work, made)
    result = execute(setup, work, made, profile, output, image_for(made, work, skip))
    return made, result, output


@st.composite
def machines(draw):
    name = draw(st.sampled_from(sorted(DEVICES)))
    columns = draw(st.integers(1, DEVICES[name]))
    row_bytes = draw(st.sampled_from([4, 12, 512, 516, 1024, 1152, 2048, 9088, 22528]))
    rows = draw(st.integers(1, 90 if row_bytes > 2048 else 200))
    sparsity = draw(st.sampled_from([0.0, 0.3, 0.5, 0.9, 0.97, 0.99]))
    pattern = draw(st.sampled_from(PATTERNS))
    guard = draw(st.sampled_from(["wait", "poll"]))
    seed = draw(st.integers(0, 9))
    return name, columns, rows, row_bytes, sparsity, pattern, guard, seed


@settings(max_examples=60)
@given(machines(), st.sampled_from(PHASES), st.sampled_from(PROFILES))
@example(("npu1", 4, 90, 9088, 0.9, "random", "wait", 0), "phase1", "central")
@example(("npu2", 8, 90, 22528, 0.5, "random", "poll", 0), "phase2", "high")
@example(("npu1", 3, 7, 4, 0.5, "random", "wait", 1), "host", "low")
def test_every_wanted_row_arrives_once_and_nothing_else(machine, phase, profile):
    name, columns, rows, row_bytes, sparsity, pattern, guard, seed = machine
    setup = setup_for(name, columns, row_bytes, guard)
    work = masked(random_weights(rows, row_bytes, seed), "made up", pattern, sparsity, seed)
    for skip in ("written", "walked") if phase == "phase1" else ("",):
        made, result, output = gather(setup, work, phase, profile, skip)
        assert data_ok(work, made, result, output), (skip, result.diagnostics)
        assert made.rows_moved == (rows if phase == "dense" else int(work.wanted.sum()))
        assert made.bytes_moved == made.rows_moved * row_bytes
        assert result.counts.bytes_read == made.bytes_moved + made.padding_bytes
        assert result.counts.bytes_written == result.counts.bytes_read
        assert result.counts.dropped_pushes == 0
        if phase in ("dense", "phase0", "host"):
            counts = result.counts
            written = (made.bds, made.pushes, made.tokens)
            assert (counts.bds, counts.pushes, counts.tokens) == written


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", sorted(DEVICES))
def test_two_channels_a_column_share_its_bds(name, channels, phase):
    setup = setup_for(name, 4, 4096, "wait", channels)
    work = masked(random_weights(100, 4096, 0), "made up", "random", 0.6, 0)
    made, result, output = gather(setup, work, phase)
    assert data_ok(work, made, result, output), result.diagnostics


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("wanted", [[False] * 40, [True] * 40, [True] + [False] * 39])
def test_no_row_one_row_and_all_rows(phase, wanted):
    setup = setup_for("npu1", 4, 1024, "wait")
    mask = np.array(wanted)
    work = Workload(
        "made up", "file", random_weights(40, 1024, 0), mask.astype(np.float16), "fp16", mask
    )
    made, result, output = gather(setup, work, phase)
    assert data_ok(work, made, result, output), result.diagnostics
    assert made.rows_moved == (40 if phase == "dense" else mask.sum())


@pytest.mark.parametrize("phase", PHASES)
def test_nan_activations_want_their_rows(phase):
    setup = setup_for("npu1", 4, 1024, "wait")
    values = np.zeros(40, np.float16)
    values[[3, 17]] = np.nan, -1.5
    values[20] = -0.0
    wanted = (values != 0) | np.isnan(values)
    work = Workload("made up", "file", random_weights(40, 1024, 0), values, "fp16", wanted)
    made, result, output = gather(setup, work, phase)
    assert data_ok(work, made, result, output)
    assert made.rows_moved == (40 if phase == "dense" else 2)


def test_phase1_with_another_matrix_is_refused():
    setup = setup_for("npu1", 4, 1024, "wait")
    work = masked(random_weights(40, 1024, 0), "made up", "random", 0.5, 0)
    made = plan(setup, work, "phase1")
    image = Phase1(wanted=work.wanted[:20], row_bytes=1024)
    with pytest.raises(FirmwareError, match="the stream has 40 rows and the image's pattern 20"):
        execute(setup, work, made, "central", output_buffer(work, made), image)


def test_a_wrong_byte_is_seen():
    """The check must be able to fail: spoil one byte of the output, or claim one row twice."""
    setup = setup_for("npu1", 4, 1024, "wait")
    work = masked(random_weights(64, 1024, 0), "made up", "random", 0.5, 0)
    made, result, output = gather(setup, work, "host")
    assert data_ok(work, made, result, output)
    output[17] ^= 1
    assert not data_ok(work, made, result, output)
    output[17] ^= 1
    output[made.output_bytes + 5] ^= 1
    assert not data_ok(work, made, result, output)
    output[made.output_bytes + 5] ^= 1
    work.weights[int(made.placement.row[0]), 0] ^= 1
    assert not data_ok(work, made, result, output)


def test_the_fifo_buffers_leave_room_for_the_activations():
    """The activations of a phase 2 request lie where no shipped design has a buffer."""
    from aie2.registers import MEMTILE_BD, MEMTILE_DMA
    from aie2.tiles import OWN_MEMORY_OFFSET, split
    from firmware_sim import read_configuration
    from host.cases import L2_OFFSET
    from iron_designs.shipped import catalogue

    ends = []
    for shipped in catalogue():
        held = read_configuration(shipped.read())
        written = dict(zip(held.addresses.tolist(), held.values.tolist(), strict=True))
        for address in written:
            where = split(address)
            inside = where.offset - MEMTILE_DMA.bd_base
            if (
                where.row == 1
                and inside % MEMTILE_DMA.bd_stride == 0
                and (0 <= inside < MEMTILE_DMA.bd_stride * MEMTILE_DMA.bd_count)
            ):
                words = [written[address + 4 * word] for word in range(MEMTILE_BD.words)]
                fields = MEMTILE_BD.decode(words)
                ends.append((fields["base_address"] + fields["buffer_length"]) * 4)
    assert ends
    assert max(ends) <= OWN_MEMORY_OFFSET + L2_OFFSET

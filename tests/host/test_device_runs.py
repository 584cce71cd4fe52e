# SPDX-License-Identifier: Apache-2.0
"""One Device: runs, buffers, repeats and lists, on the simulator through pyxrt's interface."""

import gc

import numpy as np
import pytest
from device_copies import WORDS, buffers, copy, hanging

from aie2 import xclbin
from aie2.devices import DEVICES
from firmware_sim import simulate
from host.device import (
    BadArguments,
    PartitionMisfit,
    RunAborted,
    RunFailed,
    RunTimeout,
    Settings,
    StreamMismatch,
    open_device,
)
from host.device.checks import reaches
from iron_designs.compiler.sequence import assemble
from iron_designs.runtime_sequence import RuntimeSequence, single, strided


@pytest.fixture
def opened():
    with open_device("sim") as device:
        yield device


def test_a_run_copies_and_tells_what_direct_simulation_tells(opened):
    made = copy()
    source, target = buffers(opened)
    record = opened.load(made.xclbin).run(made.insts, source, target)
    assert np.array_equal(target.array, source.array)
    plain = [np.arange(WORDS, dtype=np.uint32), np.zeros(WORDS, np.uint32)]
    direct = simulate(made.xclbin, made.insts, plain)
    assert record.state == "COMPLETED"
    assert record.us == direct.microseconds
    assert record.cycles == direct.cycles
    assert record.result is not None
    assert record.result.counts == direct.counts


def test_repeats_are_counted_and_the_first_run_in_a_context_is_cold(opened):
    made = copy()
    design, pair = opened.load(made.xclbin), buffers(opened)
    first = design.run(made.insts, *pair, repeats=3, warmup=2)
    assert len(first.warm_us) == len(first.submit_us) == len(first.device_us) == 3
    assert first.cold_us > 0
    assert min(first.warm_us) <= first.p50_us <= first.p99_us <= max(first.warm_us)
    assert np.isnan(design.run(made.insts, *pair).cold_us)


def test_what_a_program_writes_between_runs_is_seen(opened):
    made = copy()
    design, (source, target) = opened.load(made.xclbin), buffers(opened)
    view = source.array[:10]
    for value in (1, 2, 3):
        view[:] = value
        design.run(made.insts, source, target)
        assert (target.array[:10] == value).all()


def test_explicit_buffers_are_left_to_the_program(opened):
    made = copy()
    design = opened.load(made.xclbin)
    source = opened.buffer(WORDS, sync="explicit")
    target = opened.buffer(WORDS, sync="explicit")
    source.array[:] = 5
    design.run(made.insts, source, target)
    target.from_device()
    assert not target.array.any()  # nothing was brought over
    source.to_device()
    design.run(made.insts, source, target)
    assert not target.array.any()  # nothing was brought back
    target.from_device()
    assert (target.array == 5).all()


def test_a_frozen_buffer_is_read_only_and_brought_over_once(opened):
    made = copy()
    source, target = buffers(opened)
    source.freeze()
    with pytest.raises(ValueError, match="read-only"):
        source.array[0] = 1
    opened.load(made.xclbin).run(made.insts, source, target)
    assert np.array_equal(target.array, source.array)


def test_an_array_outlives_its_buffer_and_device():
    with open_device("sim") as device:
        buffer = device.buffer((4, 8), "float32")
        view = buffer.array[1:]
        view[:] = 2.5
        buffer.close()
        del buffer
    gc.collect()
    assert (view == 2.5).all()


def test_a_stream_per_token_keeps_its_instruction_buffer(opened):
    long, short = copy(lane_bytes=16 * WORDS), copy()
    design, (source, target) = opened.load(short.xclbin), buffers(opened, 4 * WORDS)
    stream = design.stream(len(long.insts))
    held = None
    for made, moved in ((short, WORDS), (long, 4 * WORDS), (short, WORDS)):
        target.array[:] = 0
        words = np.frombuffer(made.insts, np.uint32)
        stream.words[: words.size] = words
        stream.run(words.size, source, target, check=True)
        assert np.array_equal(target.array[:moved], source.array[:moved])
        assert not target.array[moved:].any()
        assert design._session is not None
        held = held or design._session.instructions
        assert design._session.instructions is held


def test_a_runlist_runs_in_order(opened):
    made = copy()
    design = opened.load(made.xclbin)
    first, second = buffers(opened)
    third = opened.buffer(WORDS)
    record = design.runlist([(made.insts, (first, second)), (made.insts, (second, third))])
    assert np.array_equal(third.array, first.array)
    assert len(record.device_us) == 2


@pytest.mark.parametrize(
    ("fault", "error"), [("TIMEOUT", RunTimeout), ("ERROR", RunFailed), ("ABORT", RunAborted)]
)
def test_a_device_lost_in_mid_run_is_one_error_and_the_next_run_works(fault, error):
    made = copy()
    with open_device(settings=Settings(faults=("", fault), messages=False)) as device:
        design, (source, target) = device.load(made.xclbin), buffers(device)
        design.run(made.insts, source, target)
        target.array[:] = 0
        with pytest.raises(error, match=fault) as failed:
            design.run(made.insts, source, target)
        assert failed.value.state == fault
        assert failed.value.hint
        assert design._session is None
        record = design.run(made.insts, source, target)
        assert record.cold_us > 0
        assert np.array_equal(target.array, source.array)


def test_a_hang_is_told_with_the_words_that_the_driver_adds():
    made = copy()
    with open_device(settings=Settings(messages=False)) as device:
        design, pair = device.load(made.xclbin), buffers(device)
        with pytest.raises(RunTimeout, match="sparsebd sim") as failed:
            design.run(hanging(made), *pair)
        assert failed.value.state == "TIMEOUT"
        assert "txn_op_idx" in failed.value.health
        assert design.run(made.insts, *pair).state == "COMPLETED"


def test_a_failed_runlist_is_one_error_and_the_next_works():
    made = copy()
    with open_device(settings=Settings(faults=("", "ERROR"), messages=False)) as device:
        design, pair = device.load(made.xclbin), buffers(device)
        with pytest.raises(RunFailed, match="runlist ended as ERROR"):
            design.runlist([(made.insts, pair)] * 3)
        assert design.run(made.insts, *pair).state == "COMPLETED"


def test_streams_for_other_devices_and_columns_are_refused(opened):
    made, strix, wide = copy(), copy("npu2"), copy(columns=2, lane_bytes=4 * WORDS)
    assert made.compiled.pdi == strix.compiled.pdi  # only the stream's header tells them apart
    design, pair = opened.load(made.xclbin), buffers(opened, 2 * WORDS)
    with pytest.raises(StreamMismatch, match="is for npu2, and this is npu1"):
        design.run(strix.insts, *pair)
    with pytest.raises(StreamMismatch, match="2 columns, and the xclbin has 1"):
        design.run(wide.insts, *pair)


def test_arguments_that_pyxrt_would_misread_are_refused(opened):
    made = copy()
    design, (source, target) = opened.load(made.xclbin), buffers(opened)
    for arguments, why in (
        ((source.array, target), "give buffers of device.buffer"),
        ((source, 5), "give buffers of device.buffer"),
        ((source,) * 6, "the xclbin declares 5"),
        ((source,), "uses host buffer 1 and 1 are given"),
        ((source, opened.buffer(WORDS - 1)), "reaches byte 16384 of host buffer 1"),
    ):
        with pytest.raises(BadArguments, match=why):
            design.run(made.insts, *arguments)
    for insts, why in (
        (b"12345678", "too few"),
        ([1, 2, 3], "bytes or a numpy array"),
        (np.zeros(8, np.float32), "bytes or a numpy array"),
        (made.insts[:-4], "truncated"),
    ):
        with pytest.raises(BadArguments, match=why):
            design.run(insts, source, target)
    with pytest.raises(BadArguments, match="0 repeats"):
        design.run(made.insts, source, target, repeats=0)
    with pytest.raises(BadArguments, match="no runs"):
        design.runlist([])
    with pytest.raises(BadArguments, match="multiple of 4"):
        design.stream(6)
    with pytest.raises(BadArguments, match="words are to run"):
        design.stream(64).run(17, source, target)


def test_reaches_count_every_step_of_a_bd():
    made = copy()
    sequence = RuntimeSequence((1 << 20, 1 << 20))
    sequence.configure(
        single("down_0_0", strided(0, 100, (3, 5000), (2, 1000), (4, 64), (8, 1))),
        single("up_0_0", strided(1, 0, (5, 3), (16, 1))),
    )
    words = np.frombuffer(
        assemble(sequence, made.compiled.objects.shim_channels, DEVICES["npu1"], 1), np.uint32
    )
    assert reaches(words) == [4 * (101 + 2 * 5000 + 1000 + 3 * 64 + 7), 4 * (1 + 4 * 3 + 15)]


def test_what_is_closed_says_so(opened):
    made = copy()
    design, (source, target) = opened.load(made.xclbin), buffers(opened)
    target.close()
    with pytest.raises(BadArguments, match="buffer is closed"):
        design.run(made.insts, source, target)
    design.close()
    with pytest.raises(BadArguments, match="design is closed"):
        design.run(made.insts, source, source)
    opened.close()
    opened.close()
    with pytest.raises(BadArguments, match="device is closed"):
        opened.buffer(1)


def test_a_design_that_does_not_fit_is_refused(opened):
    made = copy()
    with pytest.raises(BadArguments, match="no kernel 'OTHER': it has MLIR_AIE"):
        opened.load(made.xclbin, kernel="OTHER")
    wide = copy("npu2", columns=8)
    with pytest.raises(PartitionMisfit, match=r"8 columns .* do not fit the 5 of npu1"):
        opened.load(wide.xclbin)
    elsewhere = xclbin.build(made.compiled.pdi, column_width=1, start_columns=(7,))
    with pytest.raises(PartitionMisfit, match=r"begin at one of \[7\]"):
        opened.load(elsewhere)


def test_contexts_are_given_back(opened):
    made = copy()
    for _ in range(20):  # a Phoenix has six
        opened.load(made.xclbin).close()
    kept = [opened.load(made.xclbin) for _ in range(6)]
    with pytest.raises(PartitionMisfit, match="close what else uses the NPU"):
        opened.load(made.xclbin)
    kept.pop().close()
    opened.load(made.xclbin)


def test_buffers_hold_numbers(opened):
    with pytest.raises(BadArguments, match="Python objects"):
        opened.buffer(4, object)
    assert opened.buffer((2, 3), "float16").array.shape == (2, 3)

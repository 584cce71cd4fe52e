# SPDX-License-Identifier: Apache-2.0
"""Traps of pyxrt around arguments, buffers and enums; those of runs are in test_pyxrt_run_traps.

Each is listed in conformance.toml under its test's name.
"""

import gc
from pathlib import Path

import numpy as np
import pytest
from pyxrt_lane import COMPLETED, ERROR, FROM_DEVICE, TO_DEVICE, Lane

from firmware_sim import pyxrt
from firmware_sim.pyxrt import simulation
from firmware_sim.pyxrt.memory import FREED


def test_a_sync_that_is_missing_shows(capsys):
    lane = Lane()
    lane.input.write(bytes([7]) * lane.sizes[0], 0)
    assert lane.start().wait() == COMPLETED
    assert not lane.received().any()
    assert "buffer-not-synced" in capsys.readouterr().err
    lane.input.sync(TO_DEVICE)
    assert lane.start().wait() == COMPLETED
    assert not lane.output.read(8, 0).any()
    assert np.all(lane.received() == 7)


@pytest.mark.parametrize("count", [308.0, 2**31, np.arange(3), "308", None])
def test_arguments_that_are_no_buffer_and_no_32_bit_integer_are_not_set(count):
    lane = Lane(messages=False)
    run = lane.kernel(3, lane.instructions, count, lane.input, lane.output)
    assert run.wait() == ERROR
    assert "0 are too few" in simulation.reason(run)


def test_a_numpy_float_is_cut_to_an_integer():
    assert pyxrt.ert_cmd_state(np.float32(4.7)) == COMPLETED  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="incompatible constructor arguments"):
        pyxrt.ert_cmd_state(4.0)  # pyright: ignore[reportArgumentType]


def test_more_buffers_than_the_kernel_takes_are_refused():
    lane = Lane()
    five = [lane.input, lane.output, *(lane.data(64) for _ in range(3))]
    assert lane.start(*five).wait() == COMPLETED
    sentence = (
        "^firmware_sim.pyxrt: Bad argument index '8': kernel MLIR_AIE takes 8 arguments, of which "
        "5 are host buffers; pyxrt would crash here$"
    )
    with pytest.raises(RuntimeError, match=sentence):
        lane.start(*five, lane.data(64))
    with pytest.raises(IndexError, match=r"__n \(which is 8\) >= this->size\(\) \(which is 8\)$"):
        pyxrt.run(lane.kernel).set_arg(8, 1)


def test_group_ids_hold_the_context():
    lane = Lane()
    other = pyxrt.kernel(pyxrt.hw_context(lane.device, lane.uuid), "MLIR_AIE")
    assert [lane.kernel.group_id(place) for place in (0, 1, 2, 3, 7, 8)] == [
        0x1FFFF,
        0x10001,
        0x1FFFF,
        0x10000,
        0x10000,
        0x1FFFF,
    ]
    assert other.group_id(3) == 0x20000


def test_a_buffer_in_another_bank_is_warned_about_and_works(capsys):
    lane = Lane()
    lane.instructions = lane.filled(lane.stream, pyxrt.bo.cacheable, lane.kernel.group_id(3))
    data = lane.fill()
    assert lane.start().wait() == COMPLETED
    assert capsys.readouterr().err.startswith(
        "[XRT] WARNING: Kernel MLIR_AIE has no compute units with connectivity required for global "
        "argument at index 1."
    )
    assert np.array_equal(lane.received(), data)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("normal", r"^unsupported buffer type: none flag \(err=95\): Operation not supported$"),
        ("device_only", r"^Bad BO type. \(err=22\): Invalid argument$"),
        ("p2p", r"^Bad BO type. \(err=22\): Invalid argument$"),
        ("svm", r"^Bad BO type. \(err=22\): Invalid argument$"),
    ],
)
def test_an_npu_has_only_cacheable_and_host_only_buffers(kind, sentence):
    with pytest.raises(RuntimeError, match=sentence):
        pyxrt.bo(simulation.open(), 64, getattr(pyxrt.bo, kind), 0)


def test_a_sub_buffer_of_a_sub_buffer_is_elsewhere_for_the_device():
    lane = Lane()
    size = lane.sizes[0]
    root = lane.data(4 * size)
    root.write(np.repeat(np.arange(1, 5, dtype=np.uint8), size), 0)
    root.sync(TO_DEVICE)
    part = pyxrt.bo(root, 3 * size, size)
    inner = pyxrt.bo(part, size, size)
    assert part.address() == root.address() + size
    assert inner.address() == root.address() + size
    assert np.all(inner.read(size, 0) == 3)
    assert lane.start(inner, lane.output).wait() == COMPLETED
    assert np.all(lane.received() == 2)


def test_a_view_does_not_keep_its_buffer():
    lane = Lane()
    lane.fill()
    words = np.frombuffer(lane.input.map(), np.uint8)
    assert not np.all(words == FREED)
    del lane.input
    gc.collect()
    assert np.all(words == FREED)


def test_an_enum_is_no_integer():
    state = pyxrt.ert_cmd_state.ERT_CMD_STATE_NEW
    assert not isinstance(state, int)
    assert (int(state), state == 1, state == 1.0) == (1, True, False)
    assert pyxrt.bo.normal != 0
    with pytest.raises(TypeError, match="'<' not supported"):
        assert state < pyxrt.ert_cmd_state.ERT_CMD_STATE_QUEUED  # pyright: ignore


def test_in_place_operators_change_the_value_itself():
    mode = pyxrt.ext.access_mode
    value = mode(1)
    other = value
    value |= mode.write
    try:
        assert (int(value), int(other)) == (3, 3)
        assert value is not other
    finally:
        other &= mode.read
    assert int(mode.read) == 1


def test_a_path_object_is_no_text():
    path = Lane().path / "aie.xclbin"
    with pytest.raises(TypeError, match="incompatible constructor arguments"):
        pyxrt.xclbin(path)
    assert isinstance(path, Path)
    assert pyxrt.xclbin(bytes(path)).get_uuid().to_string()


def test_an_array_that_is_not_contiguous_is_refused():
    buffer = Lane().data(64)
    with pytest.raises(RuntimeError, match="give np.ascontiguousarray of it$"):
        buffer.write(np.arange(64, dtype=np.uint8)[::2], 0)
    buffer.write(np.arange(16, dtype=np.uint32).reshape(4, 4), 0)
    assert list(buffer.read(64, 0).view(np.uint32)) == list(range(16))


def test_a_sync_of_a_buffer_in_flight_is_warned_about(capsys):
    lane = Lane()
    run = lane.start()
    lane.output.sync(FROM_DEVICE)
    assert "has not been waited for" in capsys.readouterr().err
    run.wait()
    lane.output.sync(FROM_DEVICE)
    assert not capsys.readouterr().err


def test_two_uuids_are_never_equal():
    lane = Lane()
    one, other = lane.xclbin.get_uuid(), lane.xclbin.get_uuid()
    assert one != other
    assert one.to_string() == other.to_string() == lane.uuid.to_string()


def test_the_device_constructors_of_old_are_deprecated():
    lane = Lane()
    with pytest.warns(DeprecationWarning, match=r"^pyxrt.device.load_xclbin\(\) is deprecated"):
        uuid = lane.device.load_xclbin(str(lane.path / "aie.xclbin"))
    assert lane.device.get_xclbin_uuid().to_string() == uuid.to_string()
    with pytest.warns(DeprecationWarning, match=r"use kernel\(hw_context, name\) instead.$"):
        lane.kernel = pyxrt.kernel(lane.device, uuid, "MLIR_AIE")
    assert lane.start().wait() == COMPLETED


def test_the_same_buffer_given_twice_is_brought_together_after_the_run():
    lane = Lane()
    both = lane.data(sum(lane.sizes))
    data = np.random.default_rng(3).integers(0, 256, both.size(), np.uint8)
    both.write(data, 0)
    both.sync(TO_DEVICE)
    assert lane.start(pyxrt.bo(both, lane.sizes[0], lane.sizes[0]), both).wait() == COMPLETED
    both.sync(FROM_DEVICE)
    after = both.read(both.size(), 0).view(np.uint8)
    half = lane.sizes[0]
    assert np.array_equal(after[:half], data[half:])
    assert np.array_equal(after[half:], data[half:])

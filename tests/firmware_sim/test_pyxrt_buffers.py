# SPDX-License-Identifier: Apache-2.0
"""Buffer objects: ranges, addresses, views, and what they refuse, in XRT's words."""

import gc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyxrt_lane import FROM_DEVICE, TO_DEVICE, Lane

from firmware_sim import pyxrt
from firmware_sim.pyxrt import simulation
from firmware_sim.pyxrt.npu import HEAP_BASE, Heap

SIZE = 256
DEVICE = simulation.open()


def data(size_bytes: int = SIZE):
    return pyxrt.bo(DEVICE, size_bytes, pyxrt.bo.host_only, 0)


@given(st.integers(0, SIZE), st.integers(0, SIZE + 4), st.integers(0, SIZE), st.integers(0, SIZE))
def test_a_sync_copies_its_range_and_nothing_else(first, size, back, back_size):
    buffer = data()
    host, device = np.full(SIZE, 1, np.uint8), np.zeros(SIZE, np.uint8)
    buffer.write(host, 0)
    if first + size > SIZE:
        with pytest.raises(RuntimeError, match=rf"sync'ing: {first}, {size} \(err=22\)"):
            buffer.sync(TO_DEVICE, size, first)
        return
    buffer.sync(TO_DEVICE, size, first)
    device[first : first + size] = 1
    if back + back_size <= SIZE:
        buffer.write(np.full(SIZE, 2, np.uint8), 0)
        buffer.sync(FROM_DEVICE, back_size, back)
        host[:] = 2
        host[back : back + back_size] = device[back : back + back_size]
    assert np.array_equal(buffer.read(SIZE, 0).view(np.uint8), host)


def test_write_and_read_take_what_is_inside():
    buffer = data()
    buffer.write(b"abc", SIZE - 3)
    assert bytes(buffer.read(3, SIZE - 3)) == b"abc"
    assert buffer.read(0, SIZE).size == 0
    assert buffer.read(3, 0).dtype == np.int8
    past = "^attempting to {} past buffer size: Invalid argument$"
    with pytest.raises(RuntimeError, match=past.format("write")):
        buffer.write(b"abc", SIZE - 2)
    with pytest.raises(RuntimeError, match=past.format("read")):
        buffer.read(3, SIZE - 2)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        buffer.write([1, 2], 0)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        buffer.read(4)


def test_read_gives_a_copy_and_map_a_view():
    buffer = data()
    copy, view = buffer.read(SIZE, 0), buffer.map()
    view[0] = 9
    assert copy[0] == 0
    assert buffer.read(1, 0)[0] == 9
    assert (view.format, view.nbytes, view.readonly, view.contiguous) == ("B", SIZE, False, True)


@given(st.lists(st.tuples(st.integers(0, SIZE), st.integers(1, SIZE)), min_size=1, max_size=4))
def test_a_chain_of_sub_buffers_is_right_for_the_host(parts):
    root = data()
    root.write(np.arange(SIZE, dtype=np.uint8), 0)
    buffer, first, size = root, 0, SIZE
    for offset, wanted in parts:
        if offset + wanted > size:
            with pytest.raises(RuntimeError, match="^sub buffer size and offset: Invalid argument"):
                pyxrt.bo(buffer, wanted, offset)
            continue
        buffer = pyxrt.bo(buffer, wanted, offset)
        first, size = first + offset, wanted
        assert buffer.address() == root.address() + offset
    assert list(buffer.read(size, 0).view(np.uint8)) == list(range(first, first + size))
    assert list(buffer.map()) == list(range(first, first + size))
    buffer.sync(TO_DEVICE)
    root.write(bytes(SIZE), 0)
    root.sync(FROM_DEVICE)
    expected = np.zeros(SIZE, np.uint8)
    expected[first : first + size] = np.arange(first, first + size)
    assert np.array_equal(root.read(SIZE, 0).view(np.uint8), expected)


def test_a_sub_buffer_syncs_within_its_parent_as_xrt_does():
    root = data()
    part = pyxrt.bo(root, 64, 128)
    part.sync(TO_DEVICE, 128, 0)
    with pytest.raises(RuntimeError, match="^Invalid offset and size when syncing sub buffer: "):
        part.sync(TO_DEVICE, 129, 0)


def test_data_is_addressed_as_the_host_does_and_instructions_in_the_heap():
    buffer = data()
    words = np.frombuffer(buffer.map(), np.uint8)
    assert buffer.address() == words.ctypes.data
    device = simulation.open()
    first, second = (pyxrt.bo(device, 40_000, pyxrt.bo.cacheable, 0) for _ in range(2))
    assert (first.address(), second.address()) == (HEAP_BASE, HEAP_BASE + 0x10000)
    del first
    gc.collect()
    third = pyxrt.bo(device, 4, pyxrt.bo.cacheable, 0)
    assert third.address() == HEAP_BASE


def test_the_heap_is_full_at_64_mib():
    device = simulation.open()
    kept = pyxrt.bo(device, 64 << 20, pyxrt.bo.cacheable, 0)
    sentence = (
        r"^Heap at max size 67108864, can't expand further \(err=28\): No space left on device$"
    )
    with pytest.raises(RuntimeError, match=sentence):
        pyxrt.bo(device, 1, pyxrt.bo.cacheable, 0)
    del kept
    gc.collect()
    pyxrt.bo(device, 1, pyxrt.bo.cacheable, 0)


@given(st.lists(st.integers(1, 300_000), max_size=30), st.randoms())
def test_the_heap_gives_no_byte_twice(sizes, random):
    heap, taken = Heap(1 << 21), []
    for size in sizes:
        if taken and random.random() < 0.4:
            heap.free(taken.pop(random.randrange(len(taken)))[0])
        try:
            taken.append((heap.allocate(size), size))
        except RuntimeError:
            continue
        spans = sorted(taken)
        assert all(one + size <= two for (one, size), (two, _) in pairwise(spans))
        assert spans[-1][0] + spans[-1][1] <= HEAP_BASE + heap.size_bytes


@pytest.mark.parametrize(("size", "number"), [(0, 22), (1 << 60, 12), (2**64 - 1, 12)])
def test_a_size_that_cannot_be_is_refused_as_the_driver_does(size, number):
    with pytest.raises(RuntimeError, match=rf"CREATE_BO IOCTL failed \(err=-{number}\)"):
        data(size)


def test_a_buffer_without_flags_is_normal_and_an_npu_has_none():
    lane = Lane()
    with pytest.raises(RuntimeError, match="^unsupported buffer type: none flag"):
        pyxrt.bo(lane.context, 64, lane.kernel.group_id(3))
    made = pyxrt.bo(lane.context, 64, pyxrt.bo.host_only, lane.kernel.group_id(3))
    assert made.size() == 64


def test_there_is_no_gmio():
    with pytest.raises(RuntimeError, match="NPUs have no GMIO"):
        data().sync(pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_GMIO_TO_AIE)


def test_an_extended_buffer_is_a_buffer():
    lane = Lane()
    for made in (
        pyxrt.ext.bo(lane.device, 64),
        pyxrt.ext.bo(lane.context, 64),
        pyxrt.ext.bo(lane.device, 64, pyxrt.ext.read_write),
        pyxrt.ext.bo(hwctx=lane.context, size=64, access=pyxrt.ext.none),
    ):
        made.write(b"abcd", 60)
        assert bytes(made.read(4, 60)) == b"abcd"


def test_a_view_that_is_held_is_still_compared(capsys):
    lane = Lane()
    words = np.frombuffer(lane.input.map(), np.uint8)
    lane.input.sync(TO_DEVICE)
    lane.start().wait()
    assert not capsys.readouterr().err
    words[5] = 1
    lane.start().wait()
    assert "buffer-not-synced" in capsys.readouterr().err


def test_settings_can_leave_out_the_check_for_syncs(capsys):
    lane = Lane(check_syncs=False)
    lane.input.write(b"\1", 0)
    run = lane.start()
    run.wait()
    result = simulation.result(run)
    assert result is not None
    assert not result.diagnostics
    assert not capsys.readouterr().err

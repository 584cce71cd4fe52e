# SPDX-License-Identifier: Apache-2.0
"""Buffers of a Device: shapes, who holds the memory, and what is brought over when."""

import gc
import weakref

import numpy as np
import pytest
from device_copies import WORDS, copy

from host.device import BadArguments, open_device


@pytest.fixture
def opened():
    with open_device("sim") as device:
        yield device


@pytest.mark.parametrize(
    ("shape", "size"),
    [(4, (4,)), (np.int64(4), (4,)), ((2, np.int32(3)), (2, 3)), ([2, 3], (2, 3)), ((), ())],
)
def test_shapes_are_whole_numbers_of_any_kind(opened, shape, size):
    assert opened.buffer(shape).array.shape == size


@pytest.mark.parametrize("shape", [-1, (2, -3), (-2, -3), 4.5, (2, 1.0), "4", None, True])
def test_other_shapes_are_refused(opened, shape):
    with pytest.raises(BadArguments, match="give sizes of 0 or more"):
        opened.buffer(shape)


def test_an_unknown_dtype_is_refused(opened):
    with pytest.raises(BadArguments, match="float99"):
        opened.buffer(4, "float99")


def test_an_unknown_way_of_syncing_is_refused(opened):
    with pytest.raises(BadArguments, match="give auto, in, out or explicit"):
        opened.buffer(4, sync="always")


@pytest.mark.parametrize(
    "view",
    [
        lambda array: array[2:],
        lambda array: array.T,
        lambda array: np.asarray(array)[1:],
        lambda array: array.view(np.uint8).reshape(-1),
        lambda array: np.frombuffer(array, np.uint32),
        lambda array: memoryview(array),
    ],
    ids=["slice", "transpose", "asarray", "view", "frombuffer", "memoryview"],
)
def test_any_view_keeps_the_memory(opened, view):
    buffer = opened.buffer((4, 8), "uint32")
    buffer.array[:] = 0x01010101
    held = view(buffer.array)
    buffer.close()
    del buffer
    gc.collect()
    assert np.ascontiguousarray(held).tobytes().strip(b"\1") == b""


def test_what_is_computed_from_an_array_does_not_keep_the_memory(opened):
    buffer = opened.buffer((4, 8), "float32")
    gone = weakref.ref(buffer.bo._impl)
    result, total, copied = buffer.array + 1, buffer.array.sum(axis=0), buffer.array.copy()
    del buffer
    gc.collect()
    assert gone() is None
    assert all(type(array) is np.ndarray for array in (result, total, copied))


def test_a_closed_buffer_gives_its_memory_back_and_says_that_it_is_closed(opened):
    buffer = opened.buffer(8)
    gone = weakref.ref(buffer.bo._impl)
    buffer.close()
    assert gone() is None
    for use in (lambda: buffer.array, buffer.to_device, buffer.freeze):
        with pytest.raises(BadArguments, match="buffer is closed"):
            use()


def test_an_input_is_brought_over_and_not_back(opened):
    made = copy()
    design = opened.load(made.xclbin)
    source, target = opened.buffer(WORDS, sync="in"), opened.buffer(WORDS, sync="in")
    for value in (3, 4):
        source.array[:] = value
        design.run(made.insts, source, target)
        assert not target.array.any()
    target.from_device()
    assert (target.array == 4).all()


def test_an_output_is_brought_back_and_not_over(opened):
    made = copy()
    design = opened.load(made.xclbin)
    source, target = opened.buffer(WORDS), opened.buffer(2 * WORDS, sync="out")
    source.array[:] = 3
    target.array[:] = 9  # the device never sees it
    design.run(made.insts, source, target)
    assert (target.array[:WORDS] == 3).all()
    assert not target.array[WORDS:].any()


def test_in_a_runlist_each_buffer_is_brought_over_as_it_is_meant(opened):
    made = copy()
    design = opened.load(made.xclbin)
    source, between = opened.buffer(WORDS, sync="in"), opened.buffer(WORDS, sync="explicit")
    target = opened.buffer(WORDS, sync="out")
    source.array[:] = 6
    design.runlist([(made.insts, (source, between)), (made.insts, (between, target))])
    assert (target.array == 6).all()
    assert not between.array.any()

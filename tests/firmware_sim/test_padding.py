# SPDX-License-Identifier: Apache-2.0
"""A memtile's sending channel pads: before and after, in every dimension, with 0 or a value.

What silicon is known to do: mlir-aie test/npu-xrt/add_378_i32_using_dma_op_with_padding and
add_12_i8_using_2d_dma_op_with_padding; the length counts data and padding.
"""

import numpy as np
import pytest
from fabrics import MM2S, S2MM, Bd, Design, counting
from routing import dma
from side_by_side import assert_same

from aie2.devices import NPU1, NPU2
from aie2.dma_registers import MEMTILE_PAD_VALUES

SHIM, MEMTILE = (0, 0), (0, 1)


def padded(shape, pad, *, length=None, take=(), value=0, device=NPU1):
    """What comes out when counting words of this shape pass a memtile that pads them."""
    words = int(np.prod(shape))
    steps = [int(np.prod(shape[place + 1 :])) for place in range(len(shape))]
    whole = int(
        np.prod([before + size + after for size, (before, after) in zip(shape, pad, strict=True)])
    )
    send = Bd(length or whole, dims=list(zip(shape, steps, strict=True)), pad=pad)
    design = Design(device=device)
    design.tokens(SHIM)
    design.relay(MEMTILE, 0, 0, words, take=take, send=[send])
    if value:
        design.register(MEMTILE, MEMTILE_PAD_VALUES, value)
    design.routes.circuit(dma(SHIM, 0), dma(MEMTILE, 0))
    design.routes.circuit(dma(MEMTILE, 0), dma(SHIM, 0))
    design.run(dma(SHIM, 0), S2MM, Bd(send.words, arg=1), token=True)
    design.run(dma(SHIM, 0), MM2S, Bd(words))
    design.wait(dma(SHIM, 0))
    ran = assert_same(design, [counting(words), np.full(send.words, 77, np.uint32)])
    assert not ran.kinds
    return ran.buffers[1]


def expected(shape, pad, value=0):
    return np.pad(counting(int(np.prod(shape))).reshape(shape), pad, constant_values=value).ravel()


@pytest.mark.parametrize(
    ("shape", "pad"),
    [
        ((8,), [(3, 0)]),
        ((8,), [(0, 2)]),
        ((13,), [(2, 1)]),
        ((3, 4), [(0, 0), (1, 2)]),
        ((3, 4), [(2, 1), (0, 0)]),
        ((61, 14), [(2, 1), (1, 1)]),
        ((2, 3, 4), [(1, 0), (0, 0), (0, 0)]),
        ((2, 3, 4), [(0, 3), (0, 0), (0, 0)]),
        ((2, 3, 4), [(2, 1), (1, 3), (4, 5)]),
    ],
)
def test_every_dimension_is_padded_before_and_after(shape, pad):
    np.testing.assert_array_equal(padded(shape, pad), expected(shape, pad))


def test_the_length_ends_padding_too():
    whole = expected((3, 4), [(1, 1), (2, 2)])
    np.testing.assert_array_equal(padded((3, 4), [(1, 1), (2, 2)], length=17), whole[:17])


def test_aie2p_pads_with_a_value():
    pad = [(1, 2), (3, 0)]
    got = padded((2, 5), pad, value=0xCAFE, device=NPU2)
    np.testing.assert_array_equal(got, expected((2, 5), pad, 0xCAFE))


def test_padding_fields_of_a_receiving_bd_move_nothing():
    take = [Bd(8, dims=[(8, 1)], pad=[(2, 2)])]
    np.testing.assert_array_equal(padded((8,), [(0, 0)], take=take), counting(8))

# SPDX-License-Identifier: Apache-2.0
"""Runtime sequences as streams: BD ids over time, and what a sequence may not do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aie2 import txn
from aie2.devices import NPU1, NPU2
from aie2.registers import SHIM_BD, Direction
from iron_designs.compiler.sequence import assemble
from iron_designs.dataflow import Tile
from iron_designs.errors import DesignError
from iron_designs.runtime_sequence import RuntimeSequence, Task, linear, single, strided

CHANNELS = {
    "down": (Tile(0, 0), Direction.MM2S, 0),
    "up": (Tile(0, 0), Direction.S2MM, 0),
}


def stream(sequence, device=NPU1, **options):
    return txn.decode(assemble(sequence, CHANNELS, device, 1, **options)).ops


def configured(*bds, arguments=(1 << 20,) * 8):
    sequence = RuntimeSequence(arguments)
    sequence.configure(*(single("down", bd) for bd in bds))
    return sequence


def bd_fields(bd, device=NPU1):
    write = stream(configured(bd), device)[0]
    assert isinstance(write, txn.BlockWrite)
    return SHIM_BD.decode(write.payload)


def test_a_linear_bd_has_no_wraps():
    fields = bd_fields(linear(0, 7, 4096))
    assert fields["buffer_length"] == 4096
    assert fields["d0_wrap"] == fields["d1_wrap"] == fields["iteration_wrap"] == 0


@given(st.integers(1, 8), st.integers(1, 1000), st.integers(1, 1000), st.integers(1, 1000))
def test_steps_and_wraps_are_stored_as_the_registers_hold_them(d2, d1, d0, stride):
    bd = strided(0, 0, (d2, stride + 1), (d1, stride), (d0, 2))
    fields = bd_fields(bd)
    assert fields["buffer_length"] == d2 * d1 * d0
    assert (fields["d0_wrap"], fields["d0_stepsize"]) == (d0, 1)
    assert (fields["d1_wrap"], fields["d1_stepsize"]) == (d1, stride - 1 if d1 > 1 else 0)
    assert fields["d2_stepsize"] == (stride if d2 > 1 else 0)


def test_an_iteration_without_stride_repeats_and_does_not_step():
    bd = strided(0, 0, (4, 0), (1, 0), (1, 0), (64, 1))
    task = single("down", bd)
    assert task.repeat == 3
    assert bd_fields(bd)["iteration_wrap"] == 0


@pytest.mark.parametrize(("device", "code"), [(NPU1, 2), (NPU2, 3)])
def test_bursts_are_the_devices_longest(device, code):
    assert bd_fields(linear(0, 0, 4), device)["burst_length"] == code


def test_freed_bds_are_taken_again_lowest_first():
    sequence = RuntimeSequence((64, 64))
    first, second, third = (single("down", linear(0, n, 1)) for n in range(3))
    sequence.configure(first, second)
    sequence.free(first, first)
    sequence.configure(third)
    addresses = [op.address for op in stream(sequence) if isinstance(op, txn.BlockWrite)]
    assert addresses == [0x1D000, 0x1D020, 0x1D000]


def test_sixteen_bds_live_at_once_and_no_more():
    stream(configured(*[linear(0, 0, 1)] * 16))
    with pytest.raises(DesignError, match="more than its 16 BDs in use at once"):
        stream(configured(*[linear(0, 0, 1)] * 17))


@pytest.mark.parametrize(
    ("arg", "fold", "offset"), [(4, True, 8), (5, True, 0x80000008), (5, False, 8)]
)
def test_offsets_are_folded_from_the_sixth_buffer_on(arg, fold, offset):
    patch = stream(configured(linear(arg, 2, 4)), fold=fold)[1]
    assert isinstance(patch, txn.DdrPatch)
    assert (patch.arg, patch.arg_plus) == (arg, offset)


def refused(build, why):
    sequence = RuntimeSequence((64, 64))
    build(sequence)
    with pytest.raises(DesignError, match=why):
        stream(sequence)


def test_a_task_is_configured_before_it_is_used():
    task = single("down", linear(0, 0, 4), token=True)
    for use in ("start", "wait", "free"):
        refused(lambda s, use=use: getattr(s, use)(task), "before it is configured")


def test_a_task_is_configured_once():
    task = single("down", linear(0, 0, 4))
    refused(lambda s: s.configure(task, task), "configured twice")


def test_only_a_task_with_a_token_is_awaited():
    task = single("down", linear(0, 0, 4))
    refused(lambda s: (s.configure(task), s.wait(task)), "issues no token")


@pytest.mark.parametrize(
    ("task", "why"),
    [
        (Task("sideways", (linear(0, 0, 4),)), "meets no shim"),
        (Task("down", ()), "has no BD"),
        (Task("down", (linear(2, 0, 4),)), "host buffer 2, and the sequence has 2"),
        (Task("down", (strided(0, 0, (2, 1), (1024, 2)),)), "d0_wrap is 1024"),
        (Task("down", (strided(0, 0, (65, 1), (1, 0), (1, 0), (4, 1)),)), "iteration_wrap"),
        (Task("down", (strided(0, 0, (2, (1 << 20) + 1), (1, 0), (1, 0), (4, 1)),)), "stepsize"),
    ],
)
def test_what_a_shim_cannot_hold_is_refused(task, why):
    refused(lambda s: s.configure(task), why)


def test_a_task_repeats_at_most_256_times():
    task = Task("down", (linear(0, 0, 4),), repeat=256)
    refused(lambda s: (s.configure(task), s.start(task)), "0 to 255")

# SPDX-License-Identifier: Apache-2.0
"""Where silicon drops, wedges or corrupts, the simulator says so, by name and place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import (
    MM2S,
    S2MM,
    bd,
    buffers,
    copy,
    passthrough,
    patch,
    push,
    stream,
    token_id,
    wait,
)

from aie2 import txn
from aie2.devices import NPU2
from aie2.errors import Aie2Error, FormatError
from firmware_sim import Configuration, SimulationError, Stalled, simulate


def run(ops, words=1024, **kwargs):
    held = kwargs.pop("held", None) or buffers(words)
    return simulate(passthrough(), stream(ops), held, **kwargs), held


def kinds(result):
    return [diagnostic.kind for diagnostic in result.diagnostics]


def test_a_plain_copy_is_right_and_silent():
    result, (source, target) = run(copy(1024))
    np.testing.assert_array_equal(source, target)
    assert result.diagnostics == ()
    assert (result.counts.bds, result.counts.pushes, result.counts.tokens) == (2, 2, 1)
    assert result.counts.bytes_read == result.counts.bytes_written == 4096


def test_a_push_into_a_full_queue_is_dropped_and_named():
    ops = [bd(0, 1024), patch(0, 0, 0)] + [push(MM2S, 0)] * 8
    with pytest.raises(Stalled, match="queue-overflow"):
        run([*ops, bd(1, 8192), patch(1, 1, 0), token_id(), push(S2MM, 1, token=True), wait()])


def test_overflow_sets_the_sticky_bit_until_it_is_cleared():
    status = 0x1D228
    ops = [bd(0, 1024), patch(0, 0, 0)] + [push(MM2S, 0)] * 8
    polled = [txn.MaskPoll(status, 1 << 18, 1 << 18)]
    cleared = [txn.Write(status, 1 << 18), txn.MaskPoll(status, 0, 1 << 18)]
    result, _ = run([*ops, *polled, *cleared])
    assert "queue-overflow" in kinds(result)


def test_a_bd_rewritten_while_queued_is_named():
    ops = copy(1024)
    ops.insert(-1, bd(1, 512))
    result, _ = run(ops)
    assert "live-bd-rewritten" in kinds(result)
    assert "BD 1 of shim(0,0)" in str(result.diagnostics[0])


def test_an_invalid_bd_halts_its_channel():
    ops = copy(1024)
    ops[2] = bd(1, 1024, valid_bd=0)
    with pytest.raises(Stalled, match=r"shim\(0,0\) MM2S 0 loaded BD 1, whose valid bit is clear"):
        run(ops)


def test_a_partial_fifo_object_waits_for_ever_and_says_for_whom():
    with pytest.raises(Stalled) as stalled:
        run(copy(200))
    text = str(stalled.value)
    assert "op 7 waits for a token of shim(0,0) S2MM 0" in text
    assert (
        "memtile(0,1) MM2S 0 (BD 2, 256 words left) waits for lock 1 of memtile(0,1) >= 1" in text
    )
    assert "memtile(0,1) S2MM 0 (BD 0, 56 words left) waits for data from shim(0,0) MM2S 0" in text
    assert "shim(0,0) MM2S 0 is idle" in text


def test_a_wait_without_a_token_says_that_no_task_is_left():
    ops = copy(1024)
    ops[5] = push(S2MM, 0, token=False)
    with pytest.raises(Stalled, match=r"shim\(0,0\) S2MM 0 is idle: no task was pushed") as stalled:
        run(ops)
    assert kinds(stalled.value.result) == ["token-never-issued"]


def test_a_token_with_an_id_that_has_no_route_never_arrives():
    ops = copy(1024)
    ops[4] = token_id(controller=3)
    with pytest.raises(Stalled, match="token-unrouted"):
        run(ops)


def test_an_address_past_the_buffer_is_named_and_hurts_nobody():
    held = buffers(1024)
    held[1] = np.zeros(512, np.uint32)
    result, held = run(copy(1024), held=held)
    assert "bad-address" in kinds(result)
    assert not result.ok
    np.testing.assert_array_equal(held[1], held[0][:512])


def test_a_patch_of_a_missing_argument_is_named():
    ops = copy(1024)
    ops[3] = patch(1, 4, 0)
    result, _ = run(ops)
    assert "bad-patch" in kinds(result)


def test_a_poll_that_nothing_can_satisfy_stops():
    with pytest.raises(Stalled, match="op 0 polls register 0x1d228, which nothing will change"):
        run([txn.MaskPoll(0x1D228, 1 << 22, 1 << 22)])


def test_a_polled_lock_request_takes_and_gives_the_lock():
    request = 0x40000 + (5 << 10)
    take, give = request | 1 << 9 | (1 << 2), request | (1 << 2)
    read_back = txn.ReadRegs((0x14050,))
    result, _ = run([txn.MaskPoll(give, 1, 1), read_back])
    assert result.reads == {0x14050: 1}
    result, _ = run([txn.MaskPoll(give, 1, 1), txn.MaskPoll(take, 1, 1), read_back])
    assert result.reads == {0x14050: 0}
    with pytest.raises(Stalled, match="op 0 polls register"):
        run([txn.MaskPoll(take, 1, 1)])


def test_a_task_that_the_stream_leaves_behind_is_named():
    result, _ = run(copy(200)[:-1])
    assert "unfinished-task" in kinds(result)


def test_a_write_to_a_register_that_is_not_modelled_is_a_warning():
    result, _ = run([*copy(1024), txn.Write(0x20000, 1)])
    assert kinds(result) == ["unmodelled-register"]
    assert result.ok


def test_a_write_outside_the_partition_is_named():
    result, _ = run([*copy(1024), push(MM2S, 0, column=3)])
    assert kinds(result) == ["outside-partition"]


def test_routes_rewritten_while_words_move_are_named():
    ops = copy(4096)
    delay = [txn.Write(0x14000, 0)] * 40
    with pytest.raises(Stalled, match="route-rewritten"):
        run([*ops[:-1], *delay, txn.Write(0x3F010, 0), ops[-1]], held=buffers(4096))


def test_a_stream_can_take_a_route_away_between_tasks():
    ops = copy(1024)
    with pytest.raises(Stalled, match=r"S2MM 0 .* has no route") as stalled:
        run([*ops, txn.Write(0x3F010, 0), *ops[1:]])
    assert stalled.value.result.counts.bytes_written == 4 * 1024


def test_a_channel_without_route_is_named():
    ops = [bd(0, 256), patch(0, 0, 0), txn.Write(0x1D21C, 0)]
    result, _ = run(ops)
    assert "no-route" in kinds(result)


def test_iteration_outlives_a_task_and_rewinds_with_the_bd():
    """The same BD pushed twice goes on where it was; written again it starts anew."""
    step = {"iteration_wrap": 3, "iteration_stepsize": 255}
    send = [bd(1, 256, **step), patch(1, 0, 0)]
    ops = [bd(0, 1024), patch(0, 1, 0), token_id(), push(S2MM, 0, token=True)]
    ops += [*send, push(MM2S, 1), push(MM2S, 1, repeat=1)]
    poll = txn.MaskPoll(0x1D228, 0, 0x0078003C)
    result, (source, target) = run([*ops, poll, *send, push(MM2S, 1), wait()])
    np.testing.assert_array_equal(target, np.r_[source[:768], source[:256]])
    assert result.ok


def test_strided_bds_read_what_their_steps_say():
    ops = copy(256)
    ops[2] = bd(1, 256, d0_wrap=16, d0_stepsize=1, d1_stepsize=63, d1_wrap=4, d2_stepsize=3)
    _, (source, target) = run(ops)
    index = [a * 4 + b * 64 + c * 2 for a in range(4) for b in range(4) for c in range(16)]
    np.testing.assert_array_equal(target[:256], source[index])


def test_the_device_of_the_stream_must_be_the_one_asked_for():
    with pytest.raises(SimulationError, match="^the stream was made for npu2 and npu1 was asked"):
        simulate(passthrough(), stream(copy(256), device=NPU2), buffers(), device="npu1")


@pytest.mark.parametrize(
    ("held", "sentence"),
    [
        ([np.zeros((8, 8))[:, ::2], np.zeros(8)], "^buffer 0 is not a C-contiguous numpy array"),
        ([np.zeros(8), [1, 2]], "^buffer 1 is not a C-contiguous numpy array"),
    ],
)
def test_unusable_buffers_are_refused(held, sentence):
    with pytest.raises(SimulationError, match=sentence):
        run(copy(256), held=held)


def test_buffers_that_overlap_are_refused():
    whole = np.zeros(64, np.uint32)
    with pytest.raises(SimulationError, match="^buffers 0 and 1 share memory"):
        run(copy(256), held=[whole[:32], whole[16:48]])


def test_a_read_only_buffer_is_refused():
    whole = np.zeros(64, np.uint32)
    whole.flags.writeable = False
    with pytest.raises(SimulationError, match="^buffer 0 is read-only"):
        run(copy(256), held=[whole, np.zeros(64, np.uint32)])


@pytest.mark.parametrize("length", [0, 3, 12, 40, 100])
def test_truncated_streams_are_refused(length):
    with pytest.raises(FormatError):
        simulate(passthrough(), stream(copy(256))[:length], buffers())


def test_unknown_firmware_and_profile_are_refused():
    with pytest.raises(SimulationError, match="^firmware 'phase9' is not one of"):
        run(copy(256), firmware="phase9")
    with pytest.raises(SimulationError, match="^profile 'best' is not one of"):
        run(copy(256), profile="best")
    with pytest.raises(SimulationError, match="^a phase1 image has its pattern built in"):
        run(copy(256), firmware="phase1")


def test_a_wait_for_a_channel_that_does_not_exist_stops():
    with pytest.raises(Stalled, match="op 0 waits for a token"):
        run([txn.Tct(0, 0, S2MM, 99)])


def test_a_memtile_bd_that_does_not_exist_halts_its_channel():
    memtile_queue = 0xA0604 + (1 << 20) + 8
    result, _ = run([txn.Write(memtile_queue, 63)])
    assert {"no-route", "bd-missing"} <= set(kinds(result))


@settings(max_examples=150)
@given(st.data())
def test_damaged_streams_give_a_result_or_a_typed_error(data):
    """Words of a good stream replaced at random: nothing crashes, nothing hangs."""
    words = np.frombuffer(stream(copy(1024) + copy(256, receive=2, send=3)), np.uint32).copy()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, words.size - 1))
        words[at] ^= data.draw(st.sampled_from([1, 2, 0x10, 0x80, 0x1000, 0x100000, 1 << 25]))
    held = buffers(1024)
    try:
        result = simulate(passthrough(), words, held)
    except (Aie2Error, SimulationError) as error:
        assert str(error)
        return
    assert result.cycles >= 0


def test_many_warnings_never_hide_a_mistake():
    """More distinct warnings than are kept, then words that are lost."""
    writes = [txn.Write(0x20000 + 4 * n, 1) for n in range(400)]
    held = [np.arange(1024, dtype=np.uint32), np.zeros(512, np.uint32)]
    result, _ = run([*writes, *copy(1024)], held=held)
    assert not result.ok
    assert "bad-address" in kinds(result)
    assert result.met["unmodelled-register"] == 400


def test_the_same_mistake_is_told_once_and_counted():
    ops = [bd(0, 1024), patch(0, 0, 0)] + [push(MM2S, 0)] * 12
    result, _ = run(ops)
    dropped = [note for note in result.diagnostics if note.kind == "queue-overflow"]
    assert len(dropped) == 1
    assert dropped[0].times == result.met["queue-overflow"] == result.counts.dropped_pushes > 1
    assert f"({dropped[0].times} times)" in str(dropped[0])


def test_a_stream_that_ends_before_its_data_has_moved_is_named():
    result, _ = run(copy(1024)[:-1])
    assert "ends-early" in kinds(result)
    assert not result.ok


def test_words_left_in_the_array_are_a_warning():
    send_more = [bd(2, 64), patch(2, 0, 0), push(MM2S, 2)]
    result, _ = run([*copy(256), *send_more, txn.MaskPoll(0x1D228, 0, 0x0078003C)])
    assert kinds(result) == ["left-in-array"]
    assert result.ok


def test_a_patch_beyond_every_buffer_reads_nobody_else_s_data():
    ops = copy(256)
    ops[3] = patch(1, 0, 1 << 36)
    result, (_, target) = run(ops)
    assert "patch-offset" in kinds(result)
    assert not target.any()


def test_a_poll_of_an_unmodelled_register_is_named():
    result, _ = run([txn.MaskPoll(0x34000, 0, 1)])
    assert kinds(result) == ["unmodelled-read"]


def test_a_controller_id_can_be_polled_back():
    result, _ = run([token_id(), txn.MaskPoll(0x1D200, 0xF00, 0xFF00), *copy(256)])
    assert result.ok


def test_a_bd_that_waits_for_a_lock_to_fall_is_woken():
    """Lock 0 must be 0: it falls when another BD takes its last unit."""
    fields = {"lock_acq_enable": 1, "lock_acq_id": 0}
    ops = [txn.Write(0x14000, 1)]
    ops += [bd(0, 256, **fields, lock_acq_value=0), patch(0, 1, 0), token_id()]
    ops += [push(S2MM, 0, token=True)]
    ops += [bd(1, 256, **fields, lock_acq_value=-1), patch(1, 0, 0), push(MM2S, 1), wait()]
    result, (source, target) = run(ops)
    np.testing.assert_array_equal(target[:256], source[:256])
    assert result.ok


def test_locks_written_after_the_pushes_of_a_configuration_still_count():
    held = passthrough()
    lock = (held.addresses >> 20 == 1) & (held.addresses & 0xFF000 == 0xC0000)
    order = np.r_[np.flatnonzero(~lock), np.flatnonzero(lock)]
    late = Configuration(1, held.addresses[order], held.values[order], held.masks[order])
    source, target = buffers(1024)
    result = simulate(late, stream(copy(1024)), [source, target])
    np.testing.assert_array_equal(source, target)
    assert result.ok


def test_finite_memtile_tasks_leave_the_task_log_alone():
    result, _ = run(copy(1024))
    assert result.tasks.size == 2
    assert set(result.tasks["row"]) == {0}
    assert list(result.tasks["words"]) == [1024, 1024]


def test_a_chain_that_never_ends_is_stopped():
    endless = [bd(0, 256, next_bd=0, use_next_bd=1), patch(0, 0, 0), push(MM2S, 0)]
    receive = [bd(1, 256, next_bd=1, use_next_bd=1), patch(1, 1, 0), push(S2MM, 1)]
    with pytest.raises(Stalled, match="^still running after 2 s of device time"):
        run([*endless, *receive, wait()], clock_mhz=3.0)


def test_a_stream_for_more_columns_than_the_design_has_is_refused():
    with pytest.raises(SimulationError, match="^the stream is for 4 columns and the design has 1"):
        simulate(passthrough(), stream(copy(256), columns=4), buffers())


def test_trace_set_up_is_no_change_of_routes():
    result, _ = run([*copy(256), txn.Write(0x3FF00, 1)])
    assert kinds(result) == []


def test_tokens_arrive_by_a_circuit_route_too():
    """Control port to south 0 without packets: every token id reaches the controller."""
    held = passthrough()
    circuit = held.with_values({0x3F008: 0x80000000, 0x3F100: 0x80000000})
    result = simulate(circuit, stream(copy(1024)), buffers())
    assert result.ok
    assert result.counts.tokens == 1

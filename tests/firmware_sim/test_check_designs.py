# SPDX-License-Identifier: Apache-2.0
"""What can be said against a stream without running it, and never what is not true of it."""

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import (
    GOLDEN,
    MM2S,
    S2MM,
    bd,
    buffers,
    copy,
    golden,
    golden_names,
    passthrough,
    patch,
    push,
    stream,
    token_id,
    wait,
)

from aie2 import txn
from aie2.devices import DEVICES, NPU2
from aie2.errors import Aie2Error
from aie2.registers import CORE_BD, MEMTILE_BD, MEMTILE_DMA, SHIM_BD, SWITCHES
from aie2.tiles import OFFSET_MASK, TileKind, address
from bdgen import program
from bdgen.bitmap import pack
from bdgen.target import Matrix, Target
from firmware_sim import Configuration, SimulationError, Stalled, read_configuration, simulate
from firmware_sim.array import mmio
from firmware_sim.array.state import KINDS as TILE_KINDS
from firmware_sim.check import check
from firmware_sim.check.bds import describe
from firmware_sim.check.registers import MEMORY_BYTES, classify
from firmware_sim.diagnostics import KINDS, WARNINGS
from iron_designs.shipped import catalogue

NAMES = golden_names()
QUEUE_NOTES = {name for name in NAMES if "queue" in golden(name).get("note", "")}
MORE_KINDS = {
    *("wait-without-token", "wait-before-data", "poll-never-true", "token-left", "ends-early"),
    *("task-never-runs", "too-many-buffers", "patch-misplaced", "other-device", "other-columns"),
}
"""Findings that the simulator has no diagnostic for, or names elsewhere."""


def found(ops, configuration=None, **kwargs):
    return check(configuration or passthrough(), stream(ops, **kwargs))


def kinds(findings):
    return [(finding.kind, finding.severity) for finding in findings]


def mem_queue(direction, channel, word):
    return txn.Write(address(0, 1, MEMTILE_DMA.queue_address(direction, channel)), word)


def mem_reset(direction, channel):
    """Take a memtile channel's configured task away."""
    control = address(0, 1, MEMTILE_DMA.ctrl(direction, channel))
    return [txn.Write(control, 2), txn.Write(control, 0)]


def mem_bd(number, *, column=0, **fields):
    known = {"valid_bd": 1, "buffer_length": 256, "base_address": 0x20000} | fields
    words = tuple(int(word) for word in MEMTILE_BD.encode(**known))
    return txn.BlockWrite(address(column, 1, MEMTILE_DMA.bd_address(number)), words)


# What compilers made


@pytest.mark.parametrize("name", NAMES)
def test_golden_cases_are_clean_but_for_what_their_notes_say(name):
    case = GOLDEN / name
    findings = check(case / "aie.xclbin", case / "insts.bin")
    assert not [finding for finding in findings if finding.severity == "error"]
    expected = {"queue-overflow"} if name in QUEUE_NOTES else set()
    if name.startswith("args8"):
        expected = {"patch-not-folded"}
    assert {finding.kind for finding in findings} == expected


def test_the_nine_queue_notes_are_here():
    assert len(QUEUE_NOTES) == 9


def test_folded_arguments_beyond_the_declared_are_a_warning():
    case = GOLDEN / "args8_c1_npu1"
    (finding,) = check(case / "aie.xclbin", case / "insts_folded.bin")
    assert (finding.kind, finding.severity, finding.times) == ("too-many-buffers", "warning", 5)


def test_every_kind_has_the_simulators_name_where_it_has_one():
    from firmware_sim.check.findings import SENTENCES

    known = {kind.name for kind in KINDS}
    assert set(SENTENCES) - known == MORE_KINDS


# One test per finding


def test_a_plain_copy_has_nothing_against_it():
    assert found(copy(1024)) == ()


def test_more_pushes_than_the_queue_holds_are_a_race():
    ops = [bd(0, 1024), patch(0, 0, 0), *[push(MM2S, 0)] * 6]
    findings = found([*ops, bd(1, 6144), patch(1, 1, 0), token_id(), push(S2MM, 1, token=True)])
    overflow = next(each for each in findings if each.kind == "queue-overflow")
    assert (overflow.severity, overflow.op, overflow.times) == ("warning", 7, 1)
    assert overflow.where == "shim(0,0) MM2S 0"
    assert overflow.message.startswith("shim(0,0) MM2S 0 is pushed BD 0 as task 6 with no wait")
    assert "a race" in overflow.message


def test_five_pushes_fit():
    ops = [bd(0, 1024), patch(0, 0, 0), *[push(MM2S, 0)] * 5]
    findings = found([*ops, bd(1, 5120), patch(1, 1, 0), token_id(), push(S2MM, 1, token=True)])
    assert "queue-overflow" not in {each.kind for each in findings}


def test_receiving_tasks_to_which_nothing_was_sent_overflow_for_certain():
    ops = [bd(0, 256), patch(0, 1, 0), *[push(S2MM, 0)] * 6]
    overflow = next(each for each in found(ops) if each.kind == "queue-overflow")
    assert overflow.severity == "error"
    assert "nothing has been sent" in overflow.message


def test_a_poll_of_the_queue_full_bit_makes_room():
    full = txn.MaskPoll(0x1D228, 0, 1 << 22)
    ops = [bd(0, 256), patch(0, 0, 0)]
    for _ in range(8):
        ops += [full, push(MM2S, 0)]
    assert "queue-overflow" not in {each.kind for each in found(ops)}


def test_a_poll_that_the_channel_is_idle_frees_its_bds():
    idle = txn.MaskPoll(0x1D228, 0, 0x0078003C)
    assert found([*copy(256)[:-1], idle, bd(1, 256), wait()]) == ()


def test_a_bd_rewritten_before_any_wait_may_be_live():
    ops = copy(1024)
    ops.insert(-1, bd(1, 512))
    (finding,) = found(ops)
    assert (finding.kind, finding.severity, finding.op) == ("live-bd-rewritten", "warning", 7)
    assert finding.message.startswith("BD 1 of shim(0,0) is rewritten, and shim(0,0) MM2S 0, to ")
    assert "op 6 pushed it, may still have it" in finding.message


def test_a_bd_given_a_new_address_before_any_wait_may_be_live():
    ops = copy(1024)
    ops.insert(-1, patch(1, 0, 1024))
    assert kinds(found(ops)) == [("live-bd-patched", "warning")]


def test_a_bd_pushed_again_before_any_wait_may_be_live():
    ops = copy(1024)
    ops.insert(-1, push(MM2S, 1))
    assert kinds(found(ops)) == [("live-bd-pushed", "warning")]


def test_a_wait_on_the_receiving_side_covers_what_fed_it():
    assert found([*copy(1024), *copy(1024)]) == ()


def test_a_wait_of_another_column_covers_nothing_here():
    ops = [*copy(1024)[:-1], *copy(1024, column=1), bd(1, 256), wait()]
    findings = found(ops, passthrough(4), columns=4)
    assert kinds(findings) == [("live-bd-rewritten", "warning")]


def test_a_token_covers_its_own_task_and_not_the_next():
    ops = [bd(0, 256), patch(0, 1, 0), bd(1, 256), patch(1, 1, 1024), bd(2, 512), patch(2, 0, 0)]
    ops += [token_id(), push(S2MM, 0, token=True), push(S2MM, 1, token=True), push(MM2S, 2), wait()]
    assert found([*ops, bd(0, 256), wait()]) == ()
    assert kinds(found([*ops, bd(1, 256), wait()])) == [("live-bd-rewritten", "warning")]


def test_a_bd_of_a_chain_that_runs_for_ever_is_live_for_certain():
    (finding,) = found([*copy(1024), mem_bd(1)])
    assert (finding.kind, finding.severity) == ("live-bd-rewritten", "error")
    assert "the configuration pushed it, runs it for ever" in finding.message


def test_a_bd_that_was_never_written_is_invalid():
    ops = [op for op in copy(1024) if op != bd(1, 1024)]
    findings = found(ops)
    assert kinds(findings)[0] == ("bd-invalid", "error")
    assert "which nothing has written" in findings[0].message


def test_a_bd_with_its_valid_bit_clear_is_invalid():
    ops = copy(1024)
    ops[2] = bd(1, 1024, valid_bd=0)
    (finding,) = found(ops)
    assert (finding.kind, finding.severity, finding.op) == ("bd-invalid", "error", 6)
    assert "whose valid bit is clear" in finding.message


def test_a_bd_that_no_tile_has_is_missing():
    findings = found([*copy(1024), mem_queue(S2MM, 1, 50)])
    assert ("bd-missing", "error") in kinds(findings)


def test_a_bd_of_the_wrong_half_is_named():
    findings = found([*copy(1024), mem_bd(30), *mem_reset(MM2S, 0), mem_queue(MM2S, 0, 30)])
    assert ("bd-parity", "error") in kinds(findings)


def test_a_task_behind_one_that_never_ends_never_runs():
    findings = found([*copy(1024), mem_bd(30), mem_queue(MM2S, 0, 30)])
    assert set(kinds(findings)) == {("task-never-runs", "warning"), ("bd-parity", "warning")}


def test_a_bd_of_length_0_is_named():
    ops = copy(1024)
    ops[2] = bd(1, 0)
    assert kinds(found(ops)) == [("bd-empty", "error")]


def test_compression_is_only_not_modelled():
    findings = found([*copy(1024), mem_bd(4, enable_compression=1), mem_queue(MM2S, 0, 4)])
    assert ("bd-feature", "warning") in kinds(findings)


@pytest.mark.parametrize(
    "fields",
    [
        {"iteration_current": 3, "iteration_wrap": 2},
        {"lock_acq_enable": 1, "lock_acq_id": 200},
        {"lock_acq_enable": 1, "lock_acq_id": 3},  # of a west neighbour that column 0 lacks
        {"lock_rel_value": 1, "lock_rel_id": 130},  # of an east neighbour that one column lacks
    ],
)
def test_fields_out_of_range_are_named(fields):
    findings = found([*copy(1024), mem_bd(4, **fields), *mem_reset(MM2S, 0), mem_queue(MM2S, 0, 4)])
    assert ("bd-field", "error") in kinds(findings)


@pytest.mark.parametrize(
    "fields",
    [
        {"base_address": 0x60000},  # beyond west, own and east memory
        {"base_address": 0x100},  # the west neighbour of column 0
        {"base_address": 0x40000},  # the east neighbour of the last column
        {"base_address": 0x3FF01},  # the last word is beyond
        {"base_address": 0x3FC00, "d0_wrap": 4, "d1_stepsize": 31},
    ],
)
def test_addresses_beyond_the_memories_are_named(fields):
    findings = found([*copy(1024), mem_bd(4, **fields), *mem_reset(MM2S, 0), mem_queue(MM2S, 0, 4)])
    assert ("bad-address", "error") in kinds(findings)


def test_an_address_that_just_fits_is_not():
    for fields in ({"base_address": 0x3FF00}, {"base_address": 0x20000}):
        findings = found(
            [*copy(1024), mem_bd(4, **fields), *mem_reset(MM2S, 0), mem_queue(MM2S, 0, 4)]
        )
        assert "bad-address" not in {each.kind for each in findings}


def test_a_shim_bd_without_a_host_buffer_is_named():
    ops = copy(1024)
    del ops[3]
    (finding,) = found(ops)
    assert (finding.kind, finding.severity) == ("bad-address", "error")
    ops[2] = bd(1, 1024, base_address_low=0x1000)
    assert kinds(found(ops)) == [("bad-address", "warning")]


def test_a_wait_that_no_push_issues_a_token_for_never_ends():
    ops = copy(1024)
    ops[5] = push(S2MM, 0)
    findings = found(ops)
    assert kinds(findings)[0] == ("wait-without-token", "error")
    assert findings[0].message.startswith("waits for a token of shim(0,0) S2MM 0, but no task")


def test_one_wait_too_many_never_ends():
    (finding,) = found([*copy(1024), wait()])
    assert (finding.kind, finding.severity, finding.op) == ("wait-without-token", "error", 8)
    assert "earlier waits have taken all 1 that tasks" in finding.message


def test_a_wait_outside_the_partition_never_ends():
    findings = found([*copy(1024), txn.Tct(0, 0, S2MM, 0, columns=2)])
    assert kinds(findings) == [("wait-without-token", "error")]


def test_a_wait_for_a_channel_that_the_tile_lacks_never_ends():
    assert kinds(found([*copy(1024), txn.Tct(0, 0, S2MM, 3)])) == [("wait-without-token", "error")]


def test_a_wait_before_anything_was_sent_never_ends():
    ops = copy(1024)
    ops[6], ops[7] = ops[7], ops[6]
    findings = found(ops)
    assert kinds(findings)[0] == ("wait-before-data", "error")


def test_a_poll_for_bits_outside_its_mask_never_ends():
    assert ("poll-never-true", "error") in kinds(found([txn.MaskPoll(0x1D228, 3, 2)]))


def test_a_token_nobody_waits_for_is_left():
    ops = [*copy(1024)]
    ops[6] = push(MM2S, 1, token=True)
    findings = found([*ops[:5], token_id(direction=MM2S), *ops[5:]])
    assert kinds(findings) == [("token-left", "warning")]


def test_a_stream_that_ends_without_a_wait_ends_early():
    assert set(kinds(found(copy(1024)[:-1]))) == {
        ("ends-early", "warning"),
        ("token-left", "warning"),
    }


def test_a_merge_takes_the_tokens_of_its_columns():
    assert found([*copy(1024)[:-1], txn.MergeSync(1, 1)]) == ()
    findings = found([*copy(1024)[:-1], txn.MergeSync(2, 1)])
    assert ("wait-without-token", "error") in kinds(findings)


def test_a_token_id_that_has_no_route_is_named():
    ops = copy(1024)
    ops[4] = token_id(controller=3)
    (finding,) = found(ops)
    assert (finding.kind, finding.severity) == ("token-unrouted", "error")
    assert "its controller id 3 has no route" in finding.message


def test_a_token_id_that_is_set_later_may_be_in_time():
    ops = copy(1024)
    ops[4], ops[5] = ops[5], ops[4]
    assert kinds(found(ops)) == [("token-unrouted", "warning")]


def test_a_wait_for_a_token_that_gets_lost_never_ends():
    ops = [mem_bd(4), *mem_reset(MM2S, 0), mem_queue(MM2S, 0, 1 << 31 | 4), txn.Tct(0, 1, MM2S, 0)]
    assert kinds(found([*copy(1024), *ops])) == [
        ("wait-without-token", "error"),
        ("token-unrouted", "warning"),
    ]


def test_a_channel_without_route_is_named():
    ops = [bd(0, 256), patch(0, 0, 0), txn.Write(0x1D21C, 0)]
    assert ("no-route", "error") in kinds(found(ops))


def test_a_route_that_ends_nowhere_is_named():
    switch = SWITCHES[TileKind.MEMTILE]
    slave = {name: first for name, first, _ in switch.slaves}["south"]
    offsets = [switch.slave_base + 4 * (slave + number) for number in range(6)]
    closed = [txn.Write(address(0, 1, offset), 0) for offset in offsets]
    findings = found([*closed, *copy(1024)])
    assert ("route-dead-end", "error") in kinds(findings)
    assert "takes nothing in" in next(f for f in findings if f.kind == "route-dead-end").message


def test_a_packet_id_that_no_slot_takes_is_named():
    configuration = packet_design(3)
    ops = copy(1024)
    ops[2] = bd(1, 1024, enable_packet=1, packet_id=3)
    assert "packet-unrouted" not in {each.kind for each in found(ops, configuration)}
    ops[2] = bd(1, 1024, enable_packet=1, packet_id=5)
    assert ("packet-unrouted", "error") in kinds(found(ops, configuration))


def packet_design(packet_id):
    """The passthrough with shim south 3 switched by packet to where its circuit led."""
    base, switch = passthrough(), SWITCHES[TileKind.SHIM]
    south = {name: first for name, first, _ in switch.slaves}["south"] + 3
    masters = np.flatnonzero(
        (base.addresses >= switch.master_base)
        & (base.addresses < switch.slave_base)
        & (base.values & 0x1F == south)
        & (base.values >> 31 == 1)
    )
    more = [
        (int(base.addresses[masters[0]]), 0xC0000000 | 1 << 3),
        (switch.slave_base + 4 * south, 0xC0000000),
        (switch.slot_base + 0x10 * south, packet_id << 24 | 0x1F << 16 | 1 << 8),
    ]
    addresses, values = (np.array(each, np.uint32) for each in zip(*more, strict=True))
    masks = np.full(len(more), 0xFFFFFFFF, np.uint32)
    return replace(
        base,
        addresses=np.concatenate([base.addresses, addresses]),
        values=np.concatenate([base.values, values]),
        masks=np.concatenate([base.masks, masks]),
    )


def test_an_argument_beyond_those_declared_is_named():
    ops = copy(1024)
    ops[1] = patch(0, 3, 0)
    (finding,) = found(ops, replace(passthrough(), host_buffers=2))
    assert (finding.kind, finding.severity, finding.op) == ("bad-patch", "error", 1)


def test_an_argument_that_is_not_folded_is_a_warning():
    ops = copy(1024)
    ops[1] = patch(0, 6, 0)
    assert kinds(found(ops, replace(passthrough(), host_buffers=8))) == [
        ("patch-not-folded", "warning")
    ]
    ops[1] = patch(0, 6, 1 << 31)
    assert found(ops, replace(passthrough(), host_buffers=8)) == ()


def test_an_offset_that_no_buffer_has_is_named():
    ops = copy(1024)
    ops[1] = patch(0, 1, 1 << 32)
    assert kinds(found(ops)) == [("patch-offset", "error")]


def test_an_offset_that_is_no_whole_word_is_named():
    ops = copy(1024)
    ops[1] = patch(0, 1, 2)
    assert kinds(found(ops)) == [("misaligned", "warning")]


def test_a_patch_of_another_word_is_named():
    findings = found([*copy(1024), txn.DdrPatch(0x1D008, 0, 0)])
    assert ("patch-misplaced", "warning") in kinds(findings)


def test_a_misaligned_address_is_named():
    assert ("misaligned", "error") in kinds(found([*copy(1024), txn.Write(0x1D001, 1)]))


def test_an_address_outside_the_partition_is_named_once_for_each_tile():
    findings = found([*copy(1024), *[txn.Write(address(2, 0, 0x1D204), 0)] * 3])
    assert kinds(findings) == [("outside-partition", "error")]
    assert findings[0].times == 3


def test_registers_that_are_not_known_are_warnings():
    findings = found([*copy(1024), txn.Write(0x20000, 1), txn.MaskPoll(0x20000, 0, 1)])
    assert set(kinds(findings)) == {
        ("unmodelled-register", "warning"),
        ("unmodelled-read", "warning"),
    }


def test_ops_of_the_full_elf_flow_are_warnings():
    findings = found([*copy(1024), txn.CreateScratchpad(0, 64, 0)])
    assert kinds(findings) == [("unmodelled-op", "warning")]


def test_a_pdi_that_is_not_there_is_named():
    findings = found([*copy(1024), txn.LoadPdi(7, 0, 0)])
    assert kinds(findings) == [("load-pdi", "error")]


def test_a_pdi_that_is_there_starts_anew():
    base = passthrough()
    both = replace(base, others={0: (base.addresses, base.values, base.masks)})
    assert found([*copy(1024), txn.LoadPdi(0, 0, 0), *copy(1024)], both) == ()
    stale = [*copy(1024), txn.LoadPdi(0, 0, 0), push(MM2S, 1)]
    assert ("bd-invalid", "error") in kinds(found(stale, both))


def test_a_stream_for_more_columns_than_the_design_is_named():
    findings = found(copy(1024), columns=4)
    assert kinds(findings) == [("other-columns", "error")]


def test_a_design_wider_than_the_streams_device_is_named():
    wide = passthrough(8, 1024, "npu2")
    assert kinds(check(wide, stream(copy(1024)))) == [("other-device", "error")]
    assert check(wide, stream(copy(1024), 8, NPU2)) == ()


@pytest.mark.parametrize("length", [0, 3, 12, 40, 100])
def test_truncated_streams_are_refused(length):
    with pytest.raises(Aie2Error):
        check(passthrough(), stream(copy(256))[:length])


def test_a_stream_for_an_unknown_device_is_refused():
    words = np.frombuffer(stream(copy(256)), np.uint32).copy()
    words[0] = words[0] & 0xFF00FFFF | 77 << 16
    with pytest.raises(Aie2Error, match="generation 77"):
        check(passthrough(), words)


def test_a_container_without_configuration_is_refused():
    with pytest.raises((Aie2Error, SimulationError)):
        check(b"xclbin2\0", stream(copy(256)))


@pytest.mark.parametrize("columns", [0, 9, 40])
def test_a_design_wider_than_any_device_is_refused(columns):
    with pytest.raises(SimulationError, match=f"^the design is {columns} columns wide; devices"):
        found(copy(256), replace(passthrough(), columns=columns))


# Never what is not true


@pytest.mark.parametrize("code", range(len(TILE_KINDS)))
def test_addresses_are_what_the_simulator_takes_them_for(code, monkeypatch):
    simulator: Any = mmio  # whose compiled functions hold the Python ones
    monkeypatch.setattr(mmio, "classify_rest", simulator.classify_rest.py_func)
    rng = np.random.default_rng(code)
    starts = [SWITCHES[TILE_KINDS[code]].master_base, 0x1D000, 0x1DE00, 0x1F000, 0xA0000, 0xA0600]
    near = [start + 4 * n for start in (*starts, 0x14000, 0xC0000, 0x40000) for n in range(64)]
    offsets = np.r_[near, rng.integers(0, (OFFSET_MASK + 1) // 4, 3000) * 4]
    places = classify(offsets | code << 20, 1)
    size = MEMORY_BYTES[TILE_KINDS[code]]
    for at, offset in enumerate(offsets.tolist()):
        what, number, word = simulator.classify.py_func(code, offset, size)
        assert places.what[at] == what
        if what not in (mmio.NOTHING, mmio.SILENT, mmio.LOCK_REQUEST):
            assert (places.number[at], places.word[at]) == (number, word if what == mmio.BD else 0)


@given(st.data())
@settings(max_examples=40)
def test_what_planners_make_is_never_an_error(data):
    shipped = data.draw(st.sampled_from(catalogue()))
    device = DEVICES[shipped.device]
    target = Target(device, shipped.columns, shipped.object_bytes, shipped.channels)
    rows = data.draw(st.integers(1, 80))
    row_bytes = data.draw(st.sampled_from((64, 1020, 1024, 4096)))
    mask = np.random.default_rng(data.draw(st.integers(0, 99))).random(rows) < 0.5
    matrix, bitmap = Matrix(rows, row_bytes), pack(mask)
    guard = data.draw(st.sampled_from(("wait", "poll")))
    makers = {
        "dense": lambda: program.dense(target, matrix),
        "phase0": lambda: program.phase0(target, matrix, bitmap, guard),
        "host": lambda: program.host(target, matrix, bitmap),
    }
    planned = makers[data.draw(st.sampled_from(sorted(makers)))]()
    configuration = read_configuration(shipped.read())
    findings = check(configuration, planned.words)
    assert not [each for each in findings if each.severity == "error"], findings
    held = [np.zeros(matrix.nbytes, np.uint8), np.zeros(planned.output_bytes + 64, np.uint8)]
    assert simulate(configuration, planned.words, held).ok


OPS = (
    *copy(512),
    *copy(256, receive=2, send=3),
    *(push(MM2S, 1, token=True), push(MM2S, 4), push(S2MM, 2), wait(MM2S), bd(1, 512, valid_bd=0)),
    *(token_id(controller=3), token_id(direction=MM2S), mem_bd(5), mem_queue(MM2S, 0, 5)),
    *(txn.MaskPoll(0x1D228, 0, 0x0078003C), txn.Write(0x1D208, 0), bd(4, 0), patch(4, 0, 64)),
)


@given(st.lists(st.sampled_from(OPS), max_size=16), st.integers(0, 8))
@settings(max_examples=300)
def test_what_runs_without_a_mistake_is_never_an_error(more, at):
    """Any stream that the simulator runs without a mistake passes, whatever order its ops have."""
    ops = copy(512)
    ops[at:at] = more
    try:
        result = simulate(passthrough(), stream(ops), buffers(4096))
        clean = {note.kind for note in result.diagnostics} <= WARNINGS
    except Stalled:
        clean = False
    errors = [each for each in found(ops) if each.severity == "error"]
    assert not (clean and errors), (ops, errors)


@pytest.mark.parametrize("layout", [SHIM_BD, MEMTILE_BD, CORE_BD], ids=lambda each: each.name)
@given(data=st.data())
@settings(max_examples=60)
def test_bds_are_taken_apart_as_their_layout_says(layout, data):
    kind = [SHIM_BD, MEMTILE_BD, CORE_BD].index(layout)
    words = np.zeros((1, 8), np.uint32)
    drawn = st.lists(st.integers(0, 0xFFFFFFFF), min_size=8, max_size=8)
    words[0] = data.draw(drawn)
    fields = layout.decode(words[0, : layout.words])
    bds = describe([kind], [0], words, 1)
    assert bds.length == [fields["buffer_length"]]
    assert bds.next == [fields["next_bd"] if fields["use_next_bd"] else -1]
    assert (bds.fault[0] == KINDS.index(kind_named("bd-invalid"))) == (not fields["valid_bd"])


def kind_named(name):
    return next(kind for kind in KINDS if kind.name == name)


def test_a_stream_of_4000_rows_takes_well_under_a_second():
    target = Target(DEVICES["npu1"], 1, 1024)
    mask = np.ones(8000, bool)
    mask[::2] = False
    planned = program.host(target, Matrix(8000, 1024), pack(mask))
    assert planned.rows_wanted == 4000
    check(passthrough(), planned.words)
    started = time.perf_counter()
    assert check(passthrough(), planned.words) == ()
    assert time.perf_counter() - started < 1


def test_findings_are_plain_data():
    from dataclasses import asdict

    (finding,) = found([*copy(1024), wait()])
    assert json.loads(json.dumps(asdict(finding)))["kind"] == "wait-without-token"
    assert str(finding).startswith("error: wait-without-token at op 8: waits for a token of ")
    assert isinstance(passthrough(), Configuration)

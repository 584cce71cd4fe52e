# SPDX-License-Identifier: Apache-2.0
"""What a design is and what a stream does, as data, from the register writes alone."""

import json
import time
from dataclasses import asdict

import numpy as np
import pytest
from streams import GOLDEN, MM2S, S2MM, bd, copy, golden_names, passthrough, patch, push, stream

from aie2 import txn
from aie2.core_registers import CORE_CONTROL_ADDRESS, PROGRAM_MEMORY
from aie2.devices import DEVICES
from aie2.registers import CORE_BD, DMA, LOCKS, MEMTILE_BD, SWITCHES
from aie2.tiles import address, kind
from bdgen import program
from bdgen.bitmap import pack
from bdgen.target import Matrix, Target
from firmware_sim import Configuration
from firmware_sim.explain import explain
from firmware_sim.explain.facts import Dimension, Iteration, LockUse, Packet

OWN, EAST = 0x20000, 0x40000
"""Word addresses of a memtile's own and its east neighbour's memory."""


def register(column, row, offset, value):
    return [(address(column, row, offset), value)]


def set_bd(number, *, column=0, row=1, **fields):
    dma = DMA[kind(row)]
    layout = MEMTILE_BD if row == 1 else CORE_BD
    words = layout.encode(**{"valid_bd": 1, **fields})
    start = address(column, row, dma.bd_address(number))
    return [(start + 4 * place, int(word)) for place, word in enumerate(words)]


def start(direction, channel, number, *, column=0, row=1, repeat=0):
    at = DMA[kind(row)].queue_address(direction, channel)
    return register(column, row, at, repeat << 16 | number)


def lock(number, value, *, column=0, row=1):
    place = LOCKS[kind(row)]
    return register(column, row, place.base + place.stride * number, value)


def ring(direction, channel, first, places, words, locks, **fields):
    """A chain of BDs without end, one for each place, that hands two locks to and fro."""
    take, give = locks
    writes = start(direction, channel, first)
    for number, place in enumerate(places):
        following = first + (number + 1) % len(places)
        writes += set_bd(
            first + number,
            base_address=OWN + place,
            buffer_length=words,
            use_next_bd=1,
            next_bd=following,
            lock_acq_enable=1,
            lock_acq_id=64 + take,
            lock_acq_value=-1,
            lock_rel_id=64 + give,
            lock_rel_value=1,
            **fields,
        )
    return writes


def design(*parts, columns=1):
    writes = [write for part in parts for write in part]
    addresses, values = (np.array(each, np.uint32) for each in zip(*writes, strict=True))
    return Configuration(columns, addresses, values, np.full(len(writes), 0xFFFFFFFF, np.uint32))


def only_bd(*parts, columns=1):
    (tile,) = explain(design(*parts, columns=columns)).tiles
    (channel,) = tile.channels
    (task,) = channel.tasks
    return task.bds[0]


# The design


def test_the_header_says_where_a_design_fits():
    header = explain(GOLDEN / "gather_chain_c8_npu2/aie.xclbin").header
    assert (header.columns, header.devices, header.start_columns) == (8, ("npu2",), (0,))
    assert (header.kernels, header.host_buffers, header.cores) == (("MLIR_AIE",), 5, ())


def test_a_passthrough_is_recognised():
    found = explain(passthrough())
    assert found.shapes == (
        "object FIFO through memtile(0,1): 2 x 1024 bytes, S2MM 0 -> MM2S 0",
        "passthrough lane: shim(0,0) MM2S 0 -> memtile(0,1) -> shim(0,0) S2MM 0",
    )
    assert [tile.name for tile in found.tiles] == ["shim(0,0)", "memtile(0,1)"]
    assert found.notes == ()
    assert found.stream is None


def test_a_chain_says_where_it_loops_and_what_it_locks():
    receive = explain(passthrough()).tiles[1].channels[0]
    (task,) = receive.tasks
    assert (receive.name, task.chain, task.loops_to) == ("memtile(0,1) S2MM 0", (0, 1), 0)
    first = task.bds[0]
    assert (first.words, first.memory, first.address, first.linear) == (
        *(256, "memtile(0,1)", 0, True),
    )
    assert first.acquires == LockUse("memtile(0,1)", 0, 1)
    assert first.releases == LockUse("memtile(0,1)", 1, 1)
    assert first.next == 1


def test_locks_and_buffers_say_who_uses_them():
    memtile = explain(passthrough()).tiles[1]
    receive, send = "memtile(0,1) S2MM 0", "memtile(0,1) MM2S 0"
    assert [(each.lock, each.initial, each.taken_by, each.given_by) for each in memtile.locks] == [
        (0, 2, (receive,), (send,)),
        (1, 0, (send,), (receive,)),
    ]
    assert [(each.address, each.nbytes, each.written_by) for each in memtile.buffers] == [
        (0, 1024, (receive,)),
        (0x10000, 1024, (receive,)),
    ]


def test_routes_go_from_end_to_end():
    found = explain(passthrough())
    assert [(route.source, route.ends[0].sink) for route in found.routes] == [
        ("shim(0,0) MM2S 0", "memtile(0,1) S2MM 0"),
        ("memtile(0,1) MM2S 0", "shim(0,0) S2MM 0"),
    ]
    assert found.routes[0].ends[0].hops == (
        "shim(0,0) south 3 -> north 4",
        "memtile(0,1) south 4 -> dma 0",
    )
    (token,) = found.token_routes
    assert (token.packet_id, token.ends[0].sink) == (15, "controller")


def test_a_dead_end_says_what_it_is_missing():
    base = passthrough()
    closed = [(address(0, 1, SWITCHES[kind(1)].slave_base + 4 * n), 0) for n in range(18)]
    addresses, values = (np.array(each, np.uint32) for each in zip(*closed, strict=True))
    changed = Configuration(
        1,
        np.concatenate([base.addresses, addresses]),
        np.concatenate([base.values, values]),
        np.concatenate([base.masks, np.full(len(closed), 0xFFFFFFFF, np.uint32)]),
    )
    route = explain(changed).routes[0]
    assert route.ends[0].sink == ""
    assert route.ends[0].why == "memtile(0,1) south 4 takes nothing in"


@pytest.mark.parametrize(
    ("fields", "dimensions"),
    [
        ({}, (Dimension(64, 1),)),
        ({"d0_wrap": 16, "d1_stepsize": 15}, (Dimension(64, 1),)),
        ({"d0_wrap": 16, "d1_stepsize": 63}, (Dimension(16, 1), Dimension(4, 64))),
        (
            {"d0_wrap": 4, "d1_wrap": 4, "d1_stepsize": 7, "d2_stepsize": 99},
            (Dimension(4, 1), Dimension(4, 8), Dimension(4, 100)),
        ),
        ({"d0_stepsize": 1}, (Dimension(64, 2),)),
        (
            {"d0_wrap": 12, "d0_zero_before": 2, "d0_zero_after": 2, "d1_stepsize": 11},
            (Dimension(12, 1, 2, 2), Dimension(4, 12)),
        ),
    ],
)
def test_patterns_are_sizes_and_steps_in_words(fields, dimensions):
    bd_facts = only_bd(set_bd(0, base_address=OWN, buffer_length=64, **fields), start(MM2S, 0, 0))
    assert bd_facts.dimensions == dimensions


def test_iteration_packets_and_neighbours_are_told():
    writes = set_bd(
        0,
        base_address=EAST + 4,
        buffer_length=8,
        iteration_wrap=3,
        iteration_stepsize=99,
        iteration_current=1,
        enable_packet=1,
        packet_id=5,
        packet_type=2,
        lock_acq_enable=1,
        lock_acq_id=130,
        lock_acq_value=2,
    )
    found = only_bd(writes, start(MM2S, 0, 0), columns=2)
    assert (found.memory, found.address) == ("memtile(1,1)", 16)
    assert found.iteration == Iteration(4, 100, 1)
    assert found.packet == Packet(5, 2, 0)
    assert found.acquires == LockUse("memtile(1,1)", 2, 2, exactly=True)


def test_memory_that_no_tile_has_is_nowhere():
    assert only_bd(set_bd(0, base_address=EAST, buffer_length=8), start(MM2S, 0, 0)).memory == (
        "nowhere"
    )


def test_bds_that_nothing_starts_are_told_apart():
    (tile,) = explain(design(set_bd(3, buffer_length=4, base_address=OWN))).tiles
    assert [each.bd for each in tile.other_bds] == [3]


# Shapes


def test_a_fifo_read_in_another_order_says_so():
    found = explain(
        design(
            ring(S2MM, 0, 0, (0, 64), 64, (0, 1)),
            ring(MM2S, 0, 2, (0, 64), 64, (1, 0), d0_wrap=8, d1_wrap=8, d1_stepsize=63),
            lock(0, 2),
        )
    )
    assert found.shapes == (
        "object FIFO through memtile(0,1): 2 x 256 bytes, S2MM 0 -> MM2S 0, with MM2S 0 in another "
        "order (n-d) or padded",
    )


@pytest.mark.parametrize("initial", [0, 1, 3])
def test_a_fifo_whose_locks_do_not_agree_is_not_told(initial):
    found = explain(
        design(
            ring(S2MM, 0, 0, (0, 64), 64, (0, 1)),
            ring(MM2S, 0, 2, (0, 64), 64, (1, 0)),
            lock(0, initial),
        )
    )
    assert found.shapes == ()


def test_a_split_is_recognised():
    found = explain(
        design(
            ring(S2MM, 0, 0, (0, 64, 128, 192), 64, (0, 1)),
            ring(MM2S, 0, 4, (0, 128), 64, (1, 0)),
            ring(MM2S, 1, 24, (64, 192), 64, (1, 0)),
        )
    )
    assert found.shapes == (
        "split in memtile(0,1): S2MM 0 (4 x 256 bytes) -> MM2S 0 (2 x 256 bytes), MM2S 1 (2 x 256 "
        "bytes)",
    )


def test_a_join_is_recognised():
    found = explain(
        design(
            ring(S2MM, 0, 0, (0, 128), 64, (0, 1)),
            ring(S2MM, 1, 24, (64, 192), 64, (0, 1)),
            ring(MM2S, 0, 4, (0, 128), 128, (1, 0)),
        )
    )
    assert found.shapes == (
        "join in memtile(0,1): S2MM 0 (2 x 256 bytes), S2MM 1 (2 x 256 bytes) -> MM2S 0 (2 x 512 "
        "bytes)",
    )


def test_cores_are_named_and_not_executed():
    found = explain(
        design(
            register(0, 2, PROGRAM_MEMORY, 0x1234),
            register(0, 2, PROGRAM_MEMORY + 4, 0x1234),
            register(0, 2, CORE_CONTROL_ADDRESS, 1),
            lock(0, 1, row=2),
            set_bd(
                0,
                row=2,
                buffer_length=16,
                use_next_bd=1,
                lock_acq_enable=1,
                lock_acq_id=0,
                lock_acq_value=-1,
                lock_rel_id=1,
                lock_rel_value=1,
            ),
            start(S2MM, 0, 0, row=2),
        )
    )
    (core,) = found.tiles
    assert (core.name, core.program_bytes, core.core_runs) == ("core(0,2)", 8, True)
    assert found.header.cores == ("core(0,2)",)
    assert found.notes == (
        "core code is not executed here: what cores do with locks and data is not known",
    )
    assert found.shapes == ("core(0,2) S2MM 0 (1 x 64 bytes) fills buffers for the core",)


# The stream


def test_a_stream_says_what_it_moves_and_what_its_waits_end():
    found = explain(passthrough(), stream(copy(1024))).stream
    assert found is not None
    assert (found.device, found.version, found.touched_columns) == ("npu1", "0.1", (0,))
    assert found.lengths_words == {1024: 2}
    receive, send = found.pushes
    assert (receive.channel, receive.op, receive.token) == ("shim(0,0) S2MM 0", 5, True)
    assert (send.channel, send.nbytes, send.moves[0].argument) == ("shim(0,0) MM2S 0", 4096, 0)
    (waiting,) = found.waits
    assert (waiting.op, waiting.ends, waiting.covers) == (7, (5,), (6,))
    assert [(each.argument, each.direction, each.end_byte) for each in found.arguments] == [
        (0, "read", 4096),
        (1, "written", 4096),
    ]
    assert found.other_writes == {"channel control": 1}


def test_chains_repeats_and_iteration_count_into_the_bytes():
    send = [bd(1, 64, use_next_bd=1, next_bd=2), patch(1, 0, 0)]
    send += [bd(2, 32, iteration_wrap=3, iteration_stepsize=99), patch(2, 0, 4096)]
    found = explain(passthrough(), stream([*send, push(MM2S, 1, repeat=3)])).stream
    assert found is not None
    (task,) = found.pushes
    assert (task.chain, task.times, task.nbytes) == ((1, 2), 4, 4 * 4 * 96)
    (argument,) = found.arguments
    assert (argument.first_byte, argument.end_byte) == (0, 4096 + 4 * (3 * 100 + 32))


def test_a_patch_is_lost_when_its_bd_is_written_again():
    ops = [bd(1, 64), patch(1, 0, 0), bd(1, 32), push(MM2S, 1)]
    found = explain(passthrough(), stream(ops)).stream
    assert found is not None
    assert found.pushes[0].moves[0].argument is None


def test_polls_and_merges_are_waits_too():
    idle = txn.MaskPoll(0x1D228, 0, 0x0078003C)
    ops = [*copy(256)[:-1], idle, txn.MergeSync(1, 1)]
    found = explain(passthrough(), stream(ops)).stream
    assert found is not None
    assert [(each.op, each.text, each.ends) for each in found.waits] == [
        (7, "the status of shim(0,0) MM2S 0 to be 0x0 under mask 0x78003c", (6,)),
        (8, "1 tokens of 1 columns", ()),
    ]


@pytest.mark.parametrize("name", golden_names())
def test_every_golden_case_is_plain_data(name):
    found = explain(GOLDEN / name / "aie.xclbin", GOLDEN / name / "insts.bin")
    assert any(shape.startswith("object FIFO") for shape in found.shapes)
    assert found.stream is not None
    ended = {op for each in found.stream.waits for op in (*each.ends, *each.covers)}
    assert ended == {task.op for task in found.stream.pushes}
    assert json.loads(json.dumps(asdict(found)))["header"]["columns"] == found.header.columns


def test_a_long_stream_takes_a_second_or_two():
    target = Target(DEVICES["npu1"], 1, 1024)
    planned = program.host(target, Matrix(4000, 1024), pack(np.arange(4000) % 3 != 0))
    explain(passthrough(), planned.words)
    started = time.perf_counter()
    found = explain(passthrough(), planned.words)
    assert time.perf_counter() - started < 2
    assert found.stream is not None
    assert sum(each.nbytes for each in found.stream.arguments if each.direction == "read") >= (
        planned.bytes_moved
    )

# SPDX-License-Identifier: Apache-2.0
"""Register writes of lowered designs: aiecc's own for a matmul, and what registers cannot hold."""

from collections import Counter
from hashlib import sha256
from struct import pack

import pytest
from hypothesis import given, settings
from matmul_flow import matmul
from random_flows import dataflows

from aie2.devices import NPU1, NPU2
from aie2.registers import DMA, LOCKS, MEMTILE_BD, Direction
from aie2.tiles import TileKind, address
from iron_designs.compiler import configuration, memory, objects, routes
from iron_designs.compiler.configuration import bd_ids
from iron_designs.compiler.sequence import assemble
from iron_designs.compiler.writes import Block, Write
from iron_designs.dataflow import Dataflow, Dim, Fifo, Link, Tile
from iron_designs.errors import DesignError
from iron_designs.runtime_sequence import RuntimeSequence, ShimBd, single, strided

SHIM, MEMTILE, CORE = Tile(0, 0), Tile(0, 1), Tile(0, 2)
STACK = 0xD00
"""Bytes that each core of the matmul keeps below its buffers."""


def configured(design, place=memory.place):
    lowered = objects.lower(design)
    addresses = place(lowered.buffers, design.device)
    return configuration.configure(
        design, lowered, addresses, routes.route(lowered.flows, design.columns)
    )


def design(*fifos, links=(), device=NPU2, columns=8):
    return Dataflow(device, columns, fifos, tuple(links))


def through(words=64, *, depth=2, **up):
    """Shim, memtile, shim."""
    fifos = Fifo("in", SHIM, (MEMTILE,), words, depth), Fifo("out", MEMTILE, (SHIM,), words, **up)
    return design(*fifos, links=[Link(("in",), ("out",))])


def blocks(ops, tile, kind=TileKind.MEMTILE):
    """BD id and words of each BD of a tile, in the order in which they are written."""
    base = address(tile.column, tile.row, DMA[kind].bd_base)
    span = DMA[kind].bd_count * DMA[kind].bd_stride
    mine = [op for op in ops if isinstance(op, Block) and 0 <= op.address - base < span]
    return [((op.address - base) // DMA[kind].bd_stride, op.words) for op in mine]


def in_sequence(buffers, device):
    """As aiecc does with alloc-scheme=basic-sequential: largest first, cores above their stack."""
    addresses, used = {}, {}
    for buffer in sorted(buffers, key=lambda buffer: -buffer.words):
        tile = buffer.tile
        start = used.setdefault(tile, STACK if tile.kind is TileKind.CORE else 0)
        addresses[buffer], used[tile] = start, start + 4 * buffer.words
    return addresses


def as_bytes(op):
    if isinstance(op, Block):
        return pack(f"<2I{len(op.words)}I", 2, op.address, *op.words)
    if op.mask is None:
        return pack("<3I", 0, op.address, op.value)
    return pack("<4I", 1, op.address, op.mask, op.value)


def test_a_matmul_is_configured_by_aieccs_writes_one_by_one():
    """mlir-aie's whole_array example for npu2 as aiecc built it in March 2026.

    All of its CDO but what belongs to core programs: 872 writes from the first lock to the last
    mux, as a digest of (kind, address, operands).
    """
    ops = configured(matmul(), in_sequence)
    assert len(ops) == 872
    digest = sha256(b"".join(map(as_bytes, ops))).hexdigest()
    assert digest == "e82313538c6b0e020795df06d1a7e5e9fc7734837f8e8a5683c9bf57e29ca49c"


MATMUL_BDS = """
    0  00000200 001a2400 00000000 00000000 00000000 00000000 00000000 8141ff40
    2  00000200 003a2400 00040000 0008000f 00100001 0000003f 00000000 8140ff41
    24 00000200 019a2000 00000000 00000000 00000000 00000000 00000000 8143ff42
    26 00000200 01ba2000 00080000 0008000f 00080003 0000003f 00000000 8142ff43
    4  00000400 005a0000 00000000 00000000 00000000 00000000 00000000 8145ff44
    28 00000400 01da0400 00000000 00000000 00000000 00000000 00000000 8147ff46
    6  00000400 007a0800 00000000 00000000 00000000 00000000 00000000 8149ff48
    30 00000400 01fa0c00 00000000 00000000 00000000 00000000 00000000 814bff4a
    8  00000400 009a0000 00100000 0008001f 00080007 0000007f 00000000 8144ff45
    9  00000400 00aa0400 00100000 0008001f 00080007 0000007f 00000000 8146ff47
    10 00000400 00ba0800 00100000 0008001f 00080007 0000007f 00000000 8148ff49
    11 00000400 00ca0c00 00100000 0008001f 00080007 0000007f 00000000 814aff4b
    12 00000400 00da1000 00100000 0008001f 00080007 0000007f 00000000 8144ff45
    13 00000400 00ea1400 00100000 0008001f 00080007 0000007f 00000000 8146ff47
    14 00000400 00fa1800 00100000 0008001f 00080007 0000007f 00000000 8148ff49
    15 00000400 008a1c00 00100000 0008001f 00080007 0000007f 00000000 814aff4b
    31 00000400 01ea1c00 00000000 00000000 00000000 00000000 00000000 814bff4a
    7  00000400 006a1800 00000000 00000000 00000000 00000000 00000000 8149ff48
    29 00000400 01ca1400 00000000 00000000 00000000 00000000 00000000 8147ff46
    5  00000400 004a1000 00000000 00000000 00000000 00000000 00000000 8145ff44
    27 00000200 01aa2200 00080000 0008000f 00080003 0000003f 00000000 8142ff43
    25 00000200 018a2200 00000000 00000000 00000000 00000000 00000000 8143ff42
    3  00000200 002a2600 00040000 0008000f 00100001 0000003f 00000000 8140ff41
    1  00000200 000a2600 00000000 00000000 00000000 00000000 00000000 8141ff40
"""
"""BDs of memtile (0, 1) in that CDO, in its order: id, then the words of the BD."""


def test_a_memtiles_bds_have_aieccs_ids_words_and_order():
    ops = configured(matmul(), in_sequence)
    found = [
        f"{bd_id:<2} {' '.join(f'{word:08x}' for word in words)}"
        for bd_id, words in blocks(ops, MEMTILE)
    ]
    assert found == [line.strip() for line in MATMUL_BDS.strip().splitlines()]


def test_channels_start_at_their_first_bd_in_order():
    """Task queues of memtile (0, 1) in that CDO: S2MM from 0xa0604, MM2S from 0xa0634."""
    queues = {0xA0604 + 8 * n for n in range(12)}
    base = address(0, 1, 0)
    started = [
        (op.address - base, op.value)
        for op in configured(matmul(), in_sequence)
        if isinstance(op, Write) and op.address - base in queues
    ]
    assert started == [
        *((0xA0604, 0), (0xA0634, 2), (0xA060C, 24), (0xA063C, 26), (0xA0614, 4)),
        *((0xA061C, 28), (0xA0624, 6), (0xA062C, 30), (0xA0644, 8)),
    ]


def test_a_buffer_in_a_neighbours_memory_is_seen_beside_ones_own():
    """AIETargetModel.cpp: the west memtile from 0, one's own from 512 KiB, the east one's above."""
    shim, memtile = Tile(1, 0), Tile(1, 1)
    large = Fifo("large", shim, (memtile,), 96_000, depth=3)
    out = Fifo("out", memtile, (shim,), 96_000, depth=3)
    ops = configured(design(large, out, links=[Link(("large",), ("out",))], device=NPU1, columns=4))
    starts = {MEMTILE_BD.decode(words)["base_address"] for _, words in blocks(ops, memtile)}
    assert starts == {0x20000, 0, 0x40000}


def test_a_core_bd_has_three_dimensions_at_most():
    order = (Dim(1, 1),) * 4
    fifo = Fifo("f", SHIM, (CORE,), 64, from_stream=(order,))
    with pytest.raises(DesignError, match="at core .* has 4 dimensions: its BDs have 3$"):
        configured(design(fifo))
    four = (Dim(2, 8), Dim(2, 4), Dim(2, 2), Dim(2, 1))
    (_, words), *_ = blocks(configured(through(to_stream=four, depth=1)), MEMTILE)
    assert words
    with pytest.raises(DesignError, match="has 5 dimensions: its BDs have 4$"):
        configured(through(to_stream=(Dim(1, 1), *four)))


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ((Dim(2, 33), Dim(32, 1)), "reaches word 64 of 'in_cons_buff_0', which has 64"),
        ((Dim(65, 1),), "reaches word 64"),
        ((Dim(8, 0),), "a size or stride below 1"),
        ((Dim(0, 1),), "a size or stride below 1"),
    ],
)
def test_a_transform_stays_in_its_buffer(order, why):
    """AIEDialect.cpp, DMABDOp: strides from 1, no access beyond the buffer."""
    with pytest.raises(DesignError, match=why):
        configured(through(to_stream=order))
    assert configured(through(to_stream=(Dim(2, 32), Dim(32, 1))))


def test_a_part_with_a_transform_does_not_reach_into_what_lies_behind_the_object():
    parts = [
        Fifo(f"p{n}", MEMTILE, (Tile(0, 2 + n),), 16, to_stream=(Dim(17, 1),)) for n in range(2)
    ]
    whole = Fifo("whole", SHIM, (MEMTILE,), 32)
    with pytest.raises(DesignError, match="reaches word 32 of 'whole_cons_buff_0', which has 32"):
        configured(design(whole, *parts, links=[Link(("whole",), ("p0", "p1"), (0, 16))]))


@pytest.mark.parametrize(("size", "why"), [(1024, "d0_wrap 1024, and it holds 0 to 1023")])
def test_a_wrap_that_a_register_cannot_hold_is_refused(size, why):
    with pytest.raises(DesignError, match=why):
        configured(through(size, to_stream=(Dim(size, 1),)))
    assert configured(through(size, to_stream=(Dim(size - 1, 1),)))


def test_objects_are_as_long_as_bds_can_be():
    assert configured(through(131_071, depth=1))
    with pytest.raises(DesignError, match="buffer_length 131072, and it holds 0 to 131071"):
        configured(through(131_072, depth=1))


@pytest.mark.parametrize(("depth", "repeat"), [(8, 8), (64, None), (2, 32)])
def test_locks_count_to_63(depth, repeat):
    """Their value has 6 bits; aiecc refuses more when it writes the CDO."""
    with pytest.raises(DesignError, match="would start at 64, and locks count to 63"):
        configured(through(1, depth=depth, repeat=repeat))


def test_a_channel_has_half_of_its_memtiles_bds():
    """S2MM 0 and MM2S 0 share the lower half: 8 and 16."""
    assert configured(through(1, depth=8, repeat=2))
    with pytest.raises(DesignError, match="more than the 24 BDs that MM2S channel 0 can run"):
        configured(through(1, depth=9, repeat=2))


def test_a_core_has_16_bds():
    assert configured(design(Fifo("f", SHIM, (CORE,), 1, depth=16)))
    with pytest.raises(DesignError, match="core .* more than the 16 BDs that S2MM channel 0"):
        configured(design(Fifo("f", SHIM, (CORE,), 1, depth=17)))


def test_shims_dmas_are_joined_to_their_switch_by_the_mux():
    """Shims in the matmul's CDO: MM2S 0 and 1 at south 3 and 7, S2MM 0 at south 2."""
    muxes = configured(matmul(), in_sequence)[-12:]
    assert muxes == [
        op
        for column in range(4)
        for op in (
            Write(address(column, 0, 0x1F000), 0x400, 0xC00),
            Write(address(column, 0, 0x1F000), 0x4000, 0xC000),
            Write(address(column, 0, 0x1F004), 0x10, 0x30),
        )
    ]


def test_a_shims_switch_takes_tokens_south_after_its_circuits():
    """Switch of shim (0, 0) in the matmul's CDO."""
    base = address(0, 0, 0x3F000)
    writes = [
        (op.address - base, op.value)
        for op in configured(matmul(), in_sequence)
        if isinstance(op, Write) and 0 <= op.address - base < 0x400
    ]
    assert writes == [
        *((0x03C, 0x80000005), (0x114, 0x80000000), (0x044, 0x80000009), (0x124, 0x80000000)),
        *((0x010, 0x80000010), (0x140, 0x80000000)),
        *((0x008, 0xC0000045), (0x100, 0xC0000000), (0x200, 0x0F1F0135)),
    ]


def test_a_shim_may_send_to_itself():
    """Channel 0 to channel 0: south 3 to south 2 of its own switch."""
    ops = configured(design(Fifo("loop", SHIM, (SHIM,), 64), columns=1))
    assert ops[4:6] == [Write(0x3F010, 0x80000005), Write(0x3F114, 0x80000000)]


@settings(max_examples=40)
@given(dataflows())
def test_what_random_designs_write_is_written_once(drawn):
    lowered = objects.lower(drawn)
    try:
        ops = configured(drawn)
    except DesignError as error:
        assert "BDs" in str(error)
        return
    blocks_at = Counter(op.address for op in ops if isinstance(op, Block))
    assert set(blocks_at.values()) <= {1}
    assert sum(blocks_at.values()) == sum(len(one.bds) for one in lowered.channels)
    assert len({op.address for op in ops[: len(lowered.locks)]}) == len(lowered.locks)
    circuits = [op.address for op in ops if isinstance(op, Write) and op.mask is None]
    assert all(place % 4 == 0 for place in circuits)


@settings(max_examples=40)
@given(dataflows())
def test_odd_channels_of_memtiles_run_the_upper_bds(drawn):
    try:
        found = bd_ids(objects.lower(drawn).channels)
    except DesignError as error:
        assert "BDs" in str(error)
        return
    taken = Counter((channel.tile, one) for channel, ids in found.items() for one in ids)
    assert set(taken.values()) == {1}
    for channel, ids in found.items():
        assert len(ids) == len(channel.bds)
        if channel.tile.kind is TileKind.MEMTILE:
            assert all(one // 24 == channel.index % 2 for one in ids)


def test_every_lock_of_a_design_is_set_at_its_own_register():
    ops = configured(through(depth=3))
    step, base = LOCKS[TileKind.MEMTILE].stride, address(0, 1, LOCKS[TileKind.MEMTILE].base)
    values = {op.address: op.value for op in ops if isinstance(op, Write) and op.mask is None}
    assert (values[base], values[base + step]) == (3, 0)


CHANNELS = {"down": (SHIM, Direction.MM2S, 0)}


def stream(bd):
    sequence = RuntimeSequence((1 << 20,))
    sequence.configure(single("down", bd))
    return assemble(sequence, CHANNELS, NPU1, 1)


def test_a_shim_bd_is_as_long_as_its_sizes_say():
    """AIEDMATasksToNPU.cpp: the lowest three dimensions make the length."""
    once = Dim(1, 0)
    assert stream(ShimBd(0, 0, 32, (once, once, Dim(4, 8), Dim(8, 1))))
    with pytest.raises(DesignError, match="moves 31 words, and its sizes come to 32"):
        stream(ShimBd(0, 0, 31, (once, once, Dim(4, 8), Dim(8, 1))))


def test_the_stride_of_a_single_word_does_not_matter():
    """AIEXDialect.cpp: a stride of 0 is allowed where there is one step."""
    assert stream(strided(0, 0, (4, 8), (1, 0))) == stream(strided(0, 0, (4, 8), (1, 1)))

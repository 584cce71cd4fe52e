# SPDX-License-Identifier: Apache-2.0
"""The register tables, row by row, and against words and masks that others have published."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aie2 import registers
from aie2.devices import DEVICES
from aie2.errors import RegisterError
from aie2.registers import (
    CHANNEL_CTRL,
    CHANNEL_STATUS,
    CORE_BD,
    CORE_DMA,
    DMA,
    LOCKS,
    MEMTILE_BD,
    MEMTILE_DMA,
    MEMTILE_QUEUE,
    SHIM_BD,
    SHIM_DEMUX,
    SHIM_DMA,
    SHIM_MUX,
    SHIM_QUEUE,
    SWITCH_MASTER,
    SWITCH_SLAVE,
    SWITCH_SLOT,
    SWITCHES,
    Direction,
    Field,
    Layout,
)
from aie2.tiles import TileKind

LAYOUTS = [value for value in vars(registers).values() if isinstance(value, Layout)]
ROWS = [(layout, field) for layout in LAYOUTS for field in layout.fields]
ROW_IDS = [f"{layout.name}-{field.name}" for layout, field in ROWS]
S2MM, MM2S = Direction


def test_all_the_tables_are_here():
    assert len(LAYOUTS) == 18
    assert len(ROWS) > 170


@pytest.mark.parametrize(("layout", "field"), ROWS, ids=ROW_IDS)
def test_limits_fill_exactly_the_field(layout: Layout, field: Field):
    high = layout.encode(**{field.name: field.max})
    low = layout.encode(**{field.name: field.min})
    both = int(high[field.word]) | int(low[field.word])
    assert both == field.mask << field.lsb
    assert high.sum() == high[field.word]
    for words, value in ((high, field.max), (low, field.min)):
        fields = layout.decode(words)
        assert fields.pop(field.name) == value
        assert not any(fields.values())


@pytest.mark.parametrize(("layout", "field"), ROWS, ids=ROW_IDS)
def test_one_beyond_the_limits_is_refused(layout: Layout, field: Field):
    for value in (field.min - 1, field.max + 1):
        sentence = (
            f"{field.name} is {value}: its {field.width} bits hold {field.min} to {field.max}"
        )
        with pytest.raises(RegisterError, match=f"^{re.escape(sentence)}$"):
            layout.encode(**{field.name: value})


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_fields_do_not_overlap(layout: Layout):
    bits = [(field.word, bit) for field in layout.fields for bit in range(field.lsb, field.msb + 1)]
    assert len(bits) == len(set(bits))
    assert len({field.name for field in layout.fields}) == len(layout.fields)
    assert {word for word, _ in bits} == set(range(layout.words))
    assert max(bit for _, bit in bits) <= 31


@given(st.data())
def test_decode_undoes_encode(data: st.DataObject):
    layout = data.draw(st.sampled_from(LAYOUTS))
    values = {f.name: data.draw(st.integers(f.min, f.max)) for f in layout.fields}
    assert layout.decode(layout.encode(**values)) == values


def test_unknown_field_is_refused():
    with pytest.raises(RegisterError, match=r"^shim task queue has no field 'bd': it has enable_"):
        SHIM_QUEUE.encode(bd=1)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "shim task queue has 1 words, not 0"),
        ([1, 2], "shim task queue has 1 words, not 2"),
        ([1 << 32], "shim task queue: 0x100000000 is not a 32-bit word"),
        ([-1], "shim task queue: -0x1 is not a 32-bit word"),
    ],
)
def test_what_is_not_its_words_is_refused(words, sentence):
    with pytest.raises(RegisterError, match=f"^{sentence}$"):
        SHIM_QUEUE.decode(words)


def test_strided_shim_bd_has_the_words_that_mlir_aie_writes():
    """Its test of npu.dma_memcpy_nd: i32, sizes [1,2,32,32], strides [4096,2048,64,1], npu1."""
    words = SHIM_BD.encode(
        buffer_length=2048,
        d0_wrap=32,
        d1_wrap=32,
        d1_stepsize=64 - 1,
        d2_stepsize=2048 - 1,
        burst_length=2,
        axcache=2,
        valid_bd=1,
    )
    assert words.tolist() == [2048, 0, 0, 0x02000000, 0x8200003F, 0x020007FF, 0, 0x02000000]


def test_memtile_bd_has_the_words_that_mlir_aie_writes():
    """First BD of the configuration of a passthrough with objects of 4 KiB."""
    words = MEMTILE_BD.encode(
        buffer_length=1024,
        next_bd=1,
        use_next_bd=1,
        base_address=0x80000 // 4,
        valid_bd=1,
        lock_rel_value=1,
        lock_rel_id=65,
        lock_acq_enable=1,
        lock_acq_value=-1,
        lock_acq_id=64,
    )
    assert words.tolist() == [0x400, 0x1A0000, 0, 0, 0, 0, 0, 0x8141FF40]


def test_core_bd_ends_like_a_shim_bd():
    fields = {"next_bd": 3, "use_next_bd": 1, "valid_bd": 1, "lock_acq_value": -2}
    assert CORE_BD.encode(**fields)[-1] == SHIM_BD.encode(**fields)[-1] == 0x1E000FC0


def test_status_bits_are_those_that_aie_rt_waits_for():
    idle = CHANNEL_STATUS.encode(
        task_queue_size=7,
        channel_running=1,
        stalled_tct=1,
        stalled_stream=1,
        stalled_lock_rel=1,
        stalled_lock_acq=1,
    )
    full = CHANNEL_STATUS.encode(task_queue_size=4)
    assert (idle[0], full[0]) == (0x0078003C, 0x00400000)


def test_controller_id_is_where_mlir_aie_writes_it():
    assert CHANNEL_CTRL.encode(controller_id=15)[0] == 0xF00


@pytest.mark.parametrize(
    ("dma", "direction", "channel", "ctrl", "queue", "status"),
    [
        (SHIM_DMA, S2MM, 0, 0x1D200, 0x1D204, 0x1D220),
        (SHIM_DMA, S2MM, 1, 0x1D208, 0x1D20C, 0x1D224),
        (SHIM_DMA, MM2S, 0, 0x1D210, 0x1D214, 0x1D228),
        (SHIM_DMA, MM2S, 1, 0x1D218, 0x1D21C, 0x1D22C),
        (MEMTILE_DMA, S2MM, 5, 0xA0628, 0xA062C, 0xA0674),
        (MEMTILE_DMA, MM2S, 0, 0xA0630, 0xA0634, 0xA0680),
        (MEMTILE_DMA, MM2S, 5, 0xA0658, 0xA065C, 0xA0694),
        (CORE_DMA, S2MM, 1, 0x1DE08, 0x1DE0C, 0x1DF04),
        (CORE_DMA, MM2S, 1, 0x1DE18, 0x1DE1C, 0x1DF14),
    ],
)
def test_channel_registers_lie_where_the_manual_says(dma, direction, channel, ctrl, queue, status):
    assert dma.ctrl(direction, channel) == ctrl
    assert dma.queue_address(direction, channel) == queue
    assert dma.status(direction, channel) == status


@pytest.mark.parametrize("dma", DMA.values(), ids=lambda dma: dma.kind.value)
def test_no_two_dma_registers_share_an_address(dma):
    words = [dma.bd_address(bd) + 4 * w for bd in range(dma.bd_count) for w in range(dma.bd.words)]
    for direction in Direction:
        for channel in range(dma.channels(direction)):
            words += [dma.ctrl(direction, channel), dma.queue_address(direction, channel)]
            words += [dma.status(direction, channel)]
    assert len(words) == len(set(words))


def test_what_a_tile_does_not_have_is_refused():
    with pytest.raises(RegisterError, match=r"^shim BD 16 does not exist: there are 0 to 15$"):
        SHIM_DMA.bd_address(16)
    with pytest.raises(RegisterError, match=r"^memtile BD -1 does not exist: there are 0 to 47$"):
        MEMTILE_DMA.bd_address(-1)
    sentence = r"^shim MM2S channel 2 does not exist: there are 0 to 1$"
    for call in (SHIM_DMA.ctrl, SHIM_DMA.queue_address, SHIM_DMA.status):
        with pytest.raises(RegisterError, match=sentence):
            call(MM2S, 2)


@pytest.mark.parametrize("device", DEVICES.values(), ids=lambda device: device.name)
def test_devices_agree_with_the_tables(device):
    assert device.shim_bds == SHIM_DMA.bd_count
    assert device.memtile_bds == MEMTILE_DMA.bd_count
    assert device.shim_channels == SHIM_DMA.s2mm_channels == SHIM_DMA.mm2s_channels
    assert device.memtile_channels == MEMTILE_DMA.s2mm_channels == MEMTILE_DMA.mm2s_channels
    assert device.burst_code <= SHIM_BD.field("burst_length").max
    assert device.burst_bytes == 64 << device.burst_code
    assert CHANNEL_STATUS.field("task_queue_size").max >= device.queue_depth


@pytest.mark.parametrize(
    ("layout", "fields", "word"),
    [
        (SHIM_MUX, {"south3": 1}, 0x400),
        (SHIM_MUX, {"south7": 1}, 0x4000),
        (SHIM_DEMUX, {"south2": 1}, 0x10),
        (SHIM_DEMUX, {"south3": 1}, 0x40),
        (SWITCH_MASTER, {"enable": 1, "config": 16}, 0x80000010),
        (SWITCH_MASTER, {"enable": 1, "packet_enable": 1, "config": 5 | 8 << 3}, 0xC0000045),
        (SWITCH_SLAVE, {"enable": 1, "packet_enable": 1}, 0xC0000000),
        (SWITCH_SLOT, {"id": 15, "mask": 31, "enable": 1, "msel": 3, "arbiter": 5}, 0x0F1F0135),
        (MEMTILE_QUEUE, {"start_bd_id": 2, "repeat_count": 1}, 0x10002),
    ],
    ids=lambda value: value.name if isinstance(value, Layout) else "",
)
def test_words_that_mlir_aie_writes_in_configurations(layout: Layout, fields, word: int):
    assert layout.encode(**fields).tolist() == [word]


@pytest.mark.parametrize(
    ("kind", "first", "last"),
    [
        (TileKind.SHIM, 0x14000, 0x140F0),
        (TileKind.MEMTILE, 0xC0000, 0xC03F0),
        (TileKind.CORE, 0x1F000, 0x1F0F0),
    ],
)
def test_locks_lie_where_the_manual_says(kind: TileKind, first: int, last: int):
    locks = LOCKS[kind]
    assert (locks.base, locks.base + locks.stride * (locks.count - 1)) == (first, last)


PORTS = {
    (TileKind.SHIM, "masters"): "ctrl 0 fifo 1 south 2-7 west 8-11 north 12-17 east 18-21",
    (TileKind.SHIM, "slaves"): "ctrl 0 fifo 1 south 2-9 west 10-13 north 14-17 east 18-21 trace 22",
    (TileKind.MEMTILE, "masters"): "dma 0-5 ctrl 6 south 7-10 north 11-16",
    (TileKind.MEMTILE, "slaves"): "dma 0-5 ctrl 6 south 7-12 north 13-16 trace 17",
    (TileKind.CORE, "masters"): "core 0 dma 1-2 ctrl 3 fifo 4 south 5-8 west 9-12 north 13-18 "
    "east 19-22",
    (TileKind.CORE, "slaves"): "core 0 dma 1-2 ctrl 3 fifo 4 south 5-10 west 11-14 north 15-18 "
    "east 19-22 trace 23-24",
}
"""Port indices as the manual's table has them."""


@pytest.mark.parametrize(("kind", "side"), PORTS)
def test_ports_are_numbered_as_the_manual_says(kind: TileKind, side: str):
    said = [
        name + (f" {first}-{first + count - 1}" if count > 1 else f" {first}")
        for name, first, count in getattr(SWITCHES[kind], side)
    ]
    assert " ".join(said) == PORTS[kind, side]


def test_switch_tables_do_not_run_into_each_other():
    for switch in SWITCHES.values():
        masters = switch.masters[-1][1] + switch.masters[-1][2]
        slaves = switch.slaves[-1][1] + switch.slaves[-1][2]
        assert switch.master_base + switch.port_stride * masters <= switch.slave_base
        assert switch.slave_base + switch.port_stride * slaves <= switch.slot_base


def test_every_kind_of_tile_is_in_every_table():
    assert set(DMA) == set(SWITCHES) == set(LOCKS) == set(TileKind)

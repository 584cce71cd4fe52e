# SPDX-License-Identifier: Apache-2.0
"""What would break on a device first: words that mlir-aie would not have written.

Streams are compared with aiecc's own (tests/data/golden) and with `aie2.txn.encode` of ops that a
slow, plain writer makes.
"""

import json
from collections import Counter
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aie2 import txn
from aie2.devices import NPU1, NPU2, device
from aie2.registers import SHIM_BD, Direction
from bdgen import emit, program, schedule
from bdgen.bitmap import pack
from bdgen.emit import Job
from bdgen.target import Matrix, Target

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


def golden(name):
    """The words of a golden stream, its target, and its mask if it has one."""
    case = json.loads((GOLDEN / name / "case.json").read_text())
    words = np.frombuffer((GOLDEN / name / "insts.bin").read_bytes(), "<u4")
    npu = device(case["device"].split("_")[0])
    target = Target(npu, case["columns"], case["rows_fifo_object_bytes"])
    mask = np.zeros(64, np.bool_)
    mask[case.get("wanted_rows", [])] = True
    return words, target, mask


CHAINS = sorted(path.name for path in GOLDEN.glob("gather_chain_c*"))
PASSTHROUGHS = sorted(path.name for path in GOLDEN.glob("passthrough_c*_ch1_*"))
SINGLES = sorted(path.name for path in GOLDEN.glob("gather_rows_q4_*"))


def test_golden_streams_are_there():
    assert (len(CHAINS), len(PASSTHROUGHS), len(SINGLES)) == (5, 10, 2)


@pytest.mark.parametrize("name", CHAINS)
def test_chains_are_what_aiecc_wrote(name):
    words, target, mask = golden(name)
    matrix = Matrix(64, 8192)
    rows = schedule.deal_rows(np.flatnonzero(mask), matrix, len(target.lanes))
    made = program.gather_words(target, matrix, rows, "chain", scratch_offset=rows.total_bytes)
    assert np.array_equal(made.words, words)


@pytest.mark.parametrize("name", PASSTHROUGHS)
def test_dense_writes_what_aiecc_wrote_for_passthroughs(name):
    words, target, _ = golden(name)
    assert np.array_equal(program.dense(target, Matrix(target.columns * 16, 4096)).words, words)


@pytest.mark.parametrize("name", SINGLES)
def test_phase0_has_the_ops_that_aiecc_wrote_in_another_order(name):
    words, target, mask = golden(name)
    made = program.phase0(target, Matrix(64, 8192), pack(mask))
    assert Counter(txn.decode(made.words).ops) == Counter(txn.decode(words).ops)
    assert txn.decode(made.words).header == txn.decode(words).header


def plain_bd(target, column, bd_id, arg, offset, nbytes, next_bd):
    address = (column << 25) + 0x1D000 + 0x20 * bd_id
    link = {} if next_bd is None else {"next_bd": next_bd, "use_next_bd": 1}
    payload = SHIM_BD.encode(
        buffer_length=nbytes // 4,
        base_address_low=offset >> 2,
        burst_length=target.device.burst_code,
        axcache=2,
        valid_bd=1,
        **link,
    )
    return [
        txn.BlockWrite(address, tuple(payload.tolist())),
        txn.DdrPatch(address + 4, arg, offset),
    ]


def plain_batch(target, transfers, batches, job, lane, nth):
    """Ops of one batch, written down as one would in prose: what opens it, then its tasks."""
    column, channel = target.lanes[lane]
    lowest = channel * (16 // target.channels)
    first, pad = int(batches.first[nth]), int(batches.pad[nth])
    receives = [(job.output_arg, int(batches.dst[nth]), int(batches.nbytes[nth]))]
    sends = [
        (job.arg, int(transfers.src[n]), int(transfers.nbytes[n]))
        for n in range(first, first + int(batches.sends[nth]))
    ]
    if pad:
        receives.append((job.output_arg, job.scratch, pad))
        sends.append((job.output_arg, job.scratch, pad))
    last_receive, last_send = lowest + len(receives) - 1, lowest + len(receives) + len(sends) - 1
    receive_ops, tasks = [], []
    for bd_id, piece in enumerate(receives, lowest):
        link = bd_id + 1 if bd_id < last_receive else None
        receive_ops += plain_bd(target, column, bd_id, *piece, link)
    queue = (column << 25) + 0x1D200 + 8 * channel
    push_receive = [
        txn.MaskWrite(queue, 0xF00, 0x1F00),
        txn.Write(queue + 4, 0x80000000 + lowest),
    ]
    for number, piece in enumerate(sends):
        bd_id = last_receive + 1 + number
        link = bd_id + 1 if job.chain and bd_id < last_send else None
        task = plain_bd(target, column, bd_id, *piece, link)
        if not job.chain:
            if number >= job.polls_after:
                status = (column << 25) + 0x1D228 + 4 * channel
                task.append(txn.MaskPoll(status, 0, 0x400000))
            task.append(txn.Write(queue + 0x14, bd_id))
        tasks.append(task)
    if not job.chain:
        return receive_ops + push_receive, tasks
    send_ops = [op for task in tasks for op in task]
    pushes = [*push_receive, txn.Write(queue + 0x14, last_receive + 1)]
    return (send_ops + receive_ops if job.send_first else receive_ops + send_ops) + pushes, []


def plain_stream(target, transfers, batches, job):
    """All ops of a stream: batch after batch, lane after lane, each lane awaited in between.

    In turn, single tasks go round the lanes: the first of each, then the second of each.
    """
    ops, per_lane = [], np.diff(batches.lane_starts)
    waits = [txn.Tct(column, 0, Direction.S2MM, channel) for column, channel in target.lanes]
    for nth in range(max(per_lane, default=0)):
        round_robin = []
        for lane, count in enumerate(per_lane):
            if nth < count:
                ops += [waits[lane]] if nth else []
                start = int(batches.lane_starts[lane])
                opening, tasks = plain_batch(target, transfers, batches, job, lane, start + nth)
                ops += opening
                if job.in_turn:
                    round_robin.append(tasks)
                else:
                    ops += [op for task in tasks for op in task]
        for turn in zip_longest(*round_robin, fillvalue=[]):
            ops += [op for task in turn for op in task]
    ops += [wait for wait, count in zip(waits, per_lane, strict=True) if count]
    npu = target.device
    header = txn.Header(0, 1, npu.generation, 6, target.header_columns, 1)
    return txn.Program(header, tuple(ops))


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from((NPU1, NPU2)),
    st.integers(1, 4),
    st.integers(1, 2),
    st.integers(0, 120),
    st.sampled_from((4, 512, 1020, 4096)),
    st.sampled_from(("chain", "tasks")),
    st.sampled_from(("wait", "poll")),
    st.booleans(),
    st.booleans(),
)
def test_words_are_those_of_the_ops(
    npu, columns, channels, rows, row_bytes, mode, guard, always_pad, send_first
):
    target, matrix = Target(npu, columns, 1024, channels), Matrix(200, row_bytes, 3, 2)
    transfers = schedule.deal_rows(np.arange(rows) + 7, matrix, len(target.lanes))
    limits = program.limits(target, mode, guard, always_pad)
    batches = schedule.batch(transfers, target.object_bytes, limits)
    job = Job(mode == "chain", send_first and mode == "chain", guard == "poll", 4, 3, 2, 1 << 20)
    words, counts = emit.write_stream(target, transfers, batches, job)
    expected = plain_stream(target, transfers, batches, job)
    assert txn.decode(words) == expected
    assert words.tobytes() == txn.encode(expected)
    assert counts.words == len(words)
    assert counts.ops == len(expected.ops)


def test_reserved_words_are_those_of_the_first_patch_only():
    made = program.dense(Target(NPU1, 2, 1024), Matrix(8, 1024))
    emit.write_reserved(made.words, (1, 2, 3, 0xFFFFFFFF))
    patches = [op for op in txn.decode(made.words).ops if isinstance(op, txn.DdrPatch)]
    assert [p.reserved for p in patches] == [(1, 2, 3, 0xFFFFFFFF)] + [(0, 0, 0, 0)] * 3


def test_offsets_reach_up_to_four_gibibytes():
    matrix = Matrix((1 << 20) - 1, 4096)
    mask = np.zeros(matrix.rows, np.bool_)
    mask[-1] = True
    made = program.host(Target(NPU2, 1, 4096), matrix, pack(mask))
    patches = [op for op in txn.decode(made.words).ops if isinstance(op, txn.DdrPatch)]
    assert max(patch.arg_plus for patch in patches) == matrix.nbytes - 4096

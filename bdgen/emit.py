# SPDX-License-Identifier: Apache-2.0
"""Writes batches as TXN words: the step between `bdgen.schedule` and `bdgen.program`.

A compiled loop copies the ready-made ops of `bdgen.stencils` and fills in the few words that
differ from BD to BD.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from aie2 import txn
from aie2.registers import SHIM_BD
from bdgen.compiled import entry, inner
from bdgen.schedule import Batches, Transfers
from bdgen.stencils import Blanks, Stencils, Words, blanks, header, stencils
from bdgen.target import WORD_BYTES, Target


class Job(NamedTuple):
    """How batches are written.

    With `chain` the send BDs of a batch are one task, otherwise each is one. `send_first` puts
    them before the receive BD. With `in_turn` single tasks go round the lanes one by one, so that
    no lane starves while a poll waits for room in another's queue. Send push number `polls_after`
    of a batch, from 0, and all after it are preceded by a poll. `arg` and `output_arg` are the
    host buffers of weights and output, `scratch` the byte offset in the output that padding is
    read from and written to.
    """

    chain: bool
    send_first: bool
    in_turn: bool
    polls_after: int
    arg: int
    output_arg: int
    scratch: int


class Counts(NamedTuple):
    """What a stream holds: BDs written, queue pushes, token waits, ops and words in all."""

    bds: int
    pushes: int
    tokens: int
    ops: int
    words: int


class Sheet(NamedTuple):
    """All that the compiled loops read, and the words they write."""

    words: Words
    ready: Stencils
    blank: Blanks
    transfers: Transfers
    batches: Batches
    job: Job


def write_stream(
    target: Target, transfers: Transfers, batches: Batches, job: Job
) -> tuple[Words, Counts]:
    """Write a whole TXN stream, header included, and say what it holds."""
    ready = stencils(target)
    counts = _count(ready, batches, job)
    words = np.empty(counts.words, np.uint32)
    words[: txn.HEADER_WORDS] = header(target, counts.ops, counts.words)
    _write(Sheet(words, ready, blanks(), transfers, batches, job), txn.HEADER_WORDS)
    return words, counts


def write_reserved(words: Words, reserved: tuple[int, int, int, int]) -> None:
    """Fill in the reserved words of a stream's first DDR patch, that of the first BD written."""
    at = txn.HEADER_WORDS + txn.BLOCK_WRITE_HEADER_WORDS + SHIM_BD.words
    op = words[at : at + txn.DDR_PATCH_WORDS]
    patch = txn.DdrPatch.from_words(op.tolist())
    op[:] = replace(patch, reserved=reserved).to_words()


def _count(ready: Stencils, batches: Batches, job: Job) -> Counts:
    """Count what batches will take, so that the stream is allocated once and exactly."""
    made = len(batches.first)
    pads = int(np.count_nonzero(batches.pad))
    tasks = batches.sends + (batches.pad > 0)
    sends = int(tasks.sum())
    pushes = made if job.chain else sends
    polls = 0 if job.chain else int(np.maximum(tasks - job.polls_after, 0).sum())
    bds = made + pads + sends
    words = (
        txn.HEADER_WORDS
        + bds * ready.bd.shape[-1]
        + made * (ready.receive.shape[-1] + ready.wait.shape[-1])
        + pushes * ready.send.shape[-1]
        + polls * ready.poll.shape[-1]
    )
    bd_ops, receive_ops, wait_ops = 2, 2, 1
    ops = bd_ops * bds + (receive_ops + wait_ops) * made + pushes + polls
    return Counts(bds, made + pushes, made, ops, words)


@entry
def _write(sheet: Sheet, at: int) -> int:
    """Write all batches from word `at` on; return the word after the last.

    Batch after batch, and within that lane after lane; a lane's token is awaited just before its
    BDs are written anew, so that lanes move data while others are programmed.
    """
    words, wait, starts = sheet.words, sheet.ready.wait, sheet.batches.lane_starts
    lanes = len(starts) - 1
    deepest = 0
    for lane in range(lanes):
        deepest = max(deepest, starts[lane + 1] - starts[lane])
    for nth in range(deepest):
        for lane in range(lanes):
            if starts[lane] + nth < starts[lane + 1]:
                if nth > 0:
                    at = _copy(words, at, wait, lane)
                at = _open_batch(sheet, at, lane, starts[lane] + nth)
                if not sheet.job.chain and not sheet.job.in_turn:
                    at = _write_tasks(sheet, at, lane, lane + 1, nth)
        if not sheet.job.chain and sheet.job.in_turn:
            at = _write_tasks(sheet, at, 0, lanes, nth)
    for lane in range(lanes):
        if starts[lane] < starts[lane + 1]:
            at = _copy(words, at, wait, lane)
    return at


@inner
def _open_batch(sheet: Sheet, at: int, lane: int, batch: int) -> int:
    """Write a chain's batch whole; of single tasks, the receive side that they will feed."""
    words, ready, job = sheet.words, sheet.ready, sheet.job
    if job.chain and job.send_first:
        at = _write_sends(sheet, at, lane, batch)
    at = _write_receives(sheet, at, lane, batch)
    if job.chain and not job.send_first:
        at = _write_sends(sheet, at, lane, batch)
    at = _copy(words, at, ready.receive, lane)
    if job.chain:
        at = _copy(words, at, ready.send[lane], _first_send(sheet, batch))
    return at


@inner
def _write_tasks(sheet: Sheet, at: int, first: int, end: int, nth: int) -> int:
    """Write the send tasks of lanes `first` to `end` in turn, of their batch number `nth`."""
    words, ready, starts = sheet.words, sheet.ready, sheet.batches.lane_starts
    task = 0
    written = True
    while written:
        written = False
        for lane in range(first, end):
            batch = starts[lane] + nth
            if batch < starts[lane + 1] and task < _tasks(sheet, batch):
                at = _write_send(sheet, at, lane, batch, task)
                if task >= sheet.job.polls_after:
                    at = _copy(words, at, ready.poll, lane)
                at = _copy(words, at, ready.send[lane], _first_send(sheet, batch) + task)
                written = True
        task += 1
    return at


@inner
def _first_send(sheet: Sheet, batch: int) -> int:
    """BD, within the lane's, of the first send of a batch: behind its receive BDs."""
    return 2 if sheet.batches.pad[batch] > 0 else 1


@inner
def _tasks(sheet: Sheet, batch: int) -> int:
    """Send BDs of a batch, that of its padding included."""
    return sheet.batches.sends[batch] + (1 if sheet.batches.pad[batch] > 0 else 0)


@inner
def _write_receives(sheet: Sheet, at: int, lane: int, batch: int) -> int:
    """Write the receive BD of a batch, chained to that of its padding if it is padded."""
    words, bds, blank, job = sheet.words, sheet.ready.bd[lane], sheet.blank, sheet.job
    pad, nbytes, dst = (
        sheet.batches.pad[batch],
        sheet.batches.nbytes[batch],
        sheet.batches.dst[batch],
    )
    link = 1 if pad > 0 else 0
    at = _write_bd(words, at, bds, 0, link, blank, job.output_arg, dst, nbytes)
    if pad > 0:
        at = _write_bd(words, at, bds, 1, 0, blank, job.output_arg, job.scratch, pad)
    return at


@inner
def _write_sends(sheet: Sheet, at: int, lane: int, batch: int) -> int:
    """Write all send BDs of a batch."""
    for nth in range(_tasks(sheet, batch)):
        at = _write_send(sheet, at, lane, batch, nth)
    return at


@inner
def _write_send(sheet: Sheet, at: int, lane: int, batch: int, nth: int) -> int:
    """Write send BD number `nth` of a batch, its padding last; a chain's are linked."""
    words, bds, blank, job = sheet.words, sheet.ready.bd[lane], sheet.blank, sheet.job
    bd = _first_send(sheet, batch) + nth
    link = 1 if job.chain and nth + 1 < _tasks(sheet, batch) else 0
    if nth == sheet.batches.sends[batch]:
        pad = sheet.batches.pad[batch]
        return _write_bd(words, at, bds, bd, link, blank, job.output_arg, job.scratch, pad)
    piece = sheet.batches.first[batch] + nth
    src, nbytes = int(sheet.transfers.src[piece]), int(sheet.transfers.nbytes[piece])
    return _write_bd(words, at, bds, bd, link, blank, job.arg, src, nbytes)


@inner
def _write_bd(
    words: Words,
    at: int,
    bds: Words,
    bd: int,
    link: int,
    blank: Blanks,
    arg: int,
    offset: int,
    nbytes: int,
) -> int:
    """Write a BD and its patch: `nbytes` at byte `offset` of host buffer `arg`.

    The offset also goes into the BD's address word, as mlir-aie does; the patch overwrites it.
    """
    size = bds.shape[2]
    for word in range(size):
        words[at + word] = bds[bd, link, word]
    words[at + blank.length] = nbytes // WORD_BYTES
    words[at + blank.address] = offset
    words[at + blank.arg] = arg
    words[at + blank.arg_plus] = offset
    return at + size


@inner
def _copy(words: Words, at: int, ops: Words, nth: int) -> int:
    """Copy the `nth` of some ready-made ops; return the word after it."""
    size = ops.shape[1]
    for word in range(size):
        words[at + word] = ops[nth, word]
    return at + size

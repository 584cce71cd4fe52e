# SPDX-License-Identifier: Apache-2.0
"""The first rounds of a `host` stream in words, read from the stream itself, op by op.

Which rows a BD stands for comes from the plan's tables; that the stream moves them is what the
simulator checks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aie2 import tiles, txn
from aie2.registers import SHIM_BD, SHIM_DMA, SHIM_QUEUE, Direction
from aie2.txn import BlockWrite, DdrPatch, MaskWrite, Op, Tct, Write
from bdgen.chains import CHAIN_COUNT, CHAIN_FIRST, CHAIN_REPEAT, FIRST_CHAIN, PADDING
from bdgen.lattices import COUNT, FIRST, OUTER, OUTER_STEP, REPEAT, REPEAT_STEP, RUN, STEP
from bdgen.planner import Plan
from bdgen.target import WORD_BYTES, Target
from host.explain_text import INDENT, count, listed

RUNS = 6
"""Runs of a BD's innermost level that are listed."""


class Push(NamedTuple):
    """A task that is queued: on which channel, from which BD on, how often, with a token or not."""

    direction: Direction
    channel: int
    bd: int
    times: int
    token: bool


class Block(NamedTuple):
    """Words of BDs that are written together: from which BD and word of it on, and how many."""

    bd: int
    word: int
    words: int


@dataclass
class Turn:
    """What a stream does to one column in one round, after some waits; all counted from 1.

    The waits that end a stream are in a turn of no column.
    """

    round: int = 0
    column: int = -1
    waits: list[Tct] = field(default_factory=list[Tct])
    blocks: list[Block] = field(default_factory=list["Block"])
    patches: int = 0
    ids: int = 0
    pushes: list[Push] = field(default_factory=list[Push])

    @property
    def sends(self) -> list[Push]:
        """The pushes of sending channels."""
        return [push for push in self.pushes if push.direction is Direction.MM2S]


def turns(ops: Iterable[Op]) -> Iterator[Turn]:
    """Part a stream of `bdgen.chain_words` into turns: one ends behind its pushes."""
    seen: Counter[int] = Counter()
    turn = Turn()
    for op in ops:
        if isinstance(op, Tct):
            if turn.column >= 0:
                yield turn
                turn = Turn()
            turn.waits.append(op)
            continue
        if not isinstance(op, BlockWrite | DdrPatch | MaskWrite | Write):
            continue
        column, _, offset = tiles.split(op.address)
        push = _push(offset, op.value) if isinstance(op, Write) else None
        writes = push is None and not isinstance(op, MaskWrite)
        if turn.column not in (-1, column) or (writes and turn.pushes):
            yield turn
            turn = Turn()
        if turn.column < 0:
            seen[column] += 1
            turn.round, turn.column = seen[column], column
        _add(turn, op, push, offset)
    yield turn


def _add(turn: Turn, op: Op, push: Push | None, offset: int) -> None:
    """Add an op to its turn."""
    if push is not None:
        turn.pushes.append(push)
    elif isinstance(op, DdrPatch):
        turn.patches += 1
    elif isinstance(op, MaskWrite):
        turn.ids += 1
    else:
        words = len(op.payload) if isinstance(op, BlockWrite) else 1
        bd, place = divmod(offset - SHIM_DMA.bd_base, SHIM_DMA.bd_stride)
        turn.blocks.append(Block(bd, place // WORD_BYTES, words))


def _push(offset: int, value: int) -> Push | None:
    """The push that a register write is, if it is one."""
    for direction in (Direction.S2MM, Direction.MM2S):
        for channel in range(SHIM_DMA.channels(direction)):
            if SHIM_DMA.queue_address(direction, channel) == offset:
                fields = SHIM_QUEUE.decode([value])
                times, token = fields["repeat_count"] + 1, bool(fields["enable_token_issue"])
                return Push(direction, channel, fields["start_bd_id"], times, token)
    return None


def _block_texts(blocks: Sequence[Block]) -> Iterator[str]:
    """Block writes in words; the same words of several BDs are told together."""
    parts: dict[tuple[int, int], list[int]] = {}
    for block in blocks:
        whole = block.words // SHIM_BD.words
        if block.word == 0 and block.words == whole * SHIM_BD.words:
            yield f"{_bds(block.bd, whole)} in {block.words} words"
        else:
            parts.setdefault((block.word, block.words), []).append(block.bd)
    for (word, words), bds in parts.items():
        last = "" if words == 1 else f" to {word + words - 1}"
        yield f"word{'' if words == 1 else 's'} {word}{last} of BD {listed(bds)}"


def _bds(first: int, many: int) -> str:
    return f"BD {first}" if many == 1 else f"BDs {first} to {first + many - 1}"


def rounds(target: Target, plan: Plan, most: int) -> Iterator[str]:
    """Lines that tell the first rounds: all columns, and of the first column every BD."""
    known = 0
    for turn in turns(txn.decode(plan.words).ops):
        if turn.round > most:
            return
        yield from (_wait(op) for op in turn.waits)
        if turn.round > known:
            known = turn.round
            yield f"round {known}"
        if turn.column >= 0:
            yield from (INDENT + line for line in _turn(target, plan, turn))


def _wait(op: Tct) -> str:
    """A wait in words."""
    columns = range(op.column, op.column + op.columns)
    where = f"column{'s' if op.columns > 1 else ''} {listed(columns)}"
    return f"wait for a token of {op.direction.name} {op.channel} in {where}"


def _turn(target: Target, plan: Plan, turn: Turn) -> Iterator[str]:
    """What happens to a column: a line, and for the first column a line a push and a BD."""
    parts = list(_block_texts(turn.blocks))
    parts += [f"{turn.patches} DDR patch{'' if turn.patches == 1 else 'es'}"] * (turn.patches > 0)
    parts += [count(turn.ids, "controller id")] * (turn.ids > 0)
    sends = [
        f"MM2S {push.channel} sends {_sent(target, plan, turn, push)[1]}" for push in turn.sends
    ]
    if turn.column:
        yield f"column {turn.column}: {', '.join(parts)}; {', '.join(sends)}"
        return
    yield f"column {turn.column}: {', '.join(parts)}"
    for push in turn.pushes:
        if push.direction is Direction.S2MM:
            yield f"{INDENT}push {_name(push)}: from BD {push.bd} on, to receive all of the lane"
            continue
        pieces, what = _sent(target, plan, turn, push)
        times = f", {push.times} times" if push.times > 1 else ""
        yield f"{INDENT}push {_name(push)}: {_bds(push.bd, max(len(pieces), 1))}{times}: {what}"
        for nth, piece in enumerate(pieces):
            yield f"{2 * INDENT}BD {push.bd + nth}: {lattice_text(piece)}"


def _sent(target: Target, plan: Plan, turn: Turn, push: Push) -> tuple[list[list[int]], str]:
    """The pieces of the chain that is sent, none if it is padding, and what that is in words."""
    lane = target.lanes.index((turn.column, push.channel))
    chain = plan.chains[plan.lanes[lane, FIRST_CHAIN] + turn.round - 1]
    if chain[CHAIN_REPEAT] == PADDING:
        return [], "padding"
    first = chain[CHAIN_FIRST]
    pieces = plan.pieces[first : first + chain[CHAIN_COUNT]].tolist()
    return pieces, count(sum(p[RUN] * p[COUNT] * p[OUTER] * p[REPEAT] for p in pieces), "row")


def _name(push: Push) -> str:
    return f"{push.direction.name} {push.channel}{' with token' if push.token else ''}"


def lattice_text(piece: Sequence[int]) -> str:
    """The rows of a lattice in words: the innermost level listed, the others as they go on."""
    firsts = [piece[FIRST] + nth * piece[STEP] for nth in range(min(piece[COUNT], RUNS))]
    runs = [str(row) if piece[RUN] == 1 else f"{row} to {row + piece[RUN] - 1}" for row in firsts]
    more = f", {piece[COUNT]} in all" if piece[COUNT] > RUNS else ""
    single = piece[RUN] * piece[COUNT] == 1
    text = f"row{'' if single else 's'} {', '.join(runs)}{more}"
    for level, step, how in ((OUTER, OUTER_STEP, ""), (REPEAT, REPEAT_STEP, " (chain)")):
        if piece[level] > 1:
            again = "again" if piece[level] == 2 else f"{piece[level] - 1} times again"
            text += f"; {again} {piece[step]} further on{how}"
    return text

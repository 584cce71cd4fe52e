# SPDX-License-Identifier: Apache-2.0
"""Why a plan is as it is: the ways considered, the shapes of its BDs, prices, its first rounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from pydantic import BaseModel

from aie2.registers import SHIM_BD
from bdgen import bitmap as bitmaps
from bdgen.choose import Choice, Way, choose
from bdgen.costs import Costs, lane_word
from bdgen.lattices import Lattices, size
from bdgen.lower_bound import fewest_bds
from bdgen.pack import pack
from bdgen.planner import AddressingName, Planner
from host.cases import SIMULATED_ADDRESSES
from host.explain_text import count, section
from host.gathers import Gather, repeats
from host.measure import way_text
from host.plan_rounds import rounds

SHAPES = 12
"""Shapes of lattices that are printed, those with most rows."""
ROUNDS = 3
"""Rounds of the stream that are told: the third is the first with a wait."""


class WayFigures(BaseModel):
    """A way of moving the rows, and what it is forecast."""

    mode: str
    columns: int
    addressing: str
    ramp: list[int]
    together: int
    max_gap: int
    rows: int
    bds: int
    total_us: float
    controller_us: float
    transfer_us: float
    limit: str
    best: bool


class Shape(BaseModel):
    """Lattices of one shape: rows in a run, runs stepped over, how often the chain repeats."""

    run: int
    steps: tuple[int, ...]
    repeat: int
    bds: int
    rows: int


class Prices(BaseModel):
    """What things cost in the profile, in cycles; the controller's but for `row` and `next_bd`."""

    bd: float
    """Writing the eight words of a BD, in a block write with others."""
    patch: float
    push_busy: float
    push_idle: float
    wait: float
    first_wait: float
    """What the first wait takes more."""
    row: float
    """A lane's time for a row while all lanes move."""
    next_bd: float
    lanes: int


class Explained(BaseModel):
    """All that `--explain` adds."""

    ways: list[WayFigures]
    verdict: list[str]
    shapes: list[Shape]
    fewest_bds: int
    """No exact cover of the rows has fewer."""
    lattices: int
    prices: Prices
    balance: str
    rounds: list[str]


def explain(gather: Gather) -> Explained:
    """Find out why."""
    setup, work, options = gather.setup, gather.workload, gather.planner.options
    listed = gather.plan.rows()
    moved = np.zeros(work.rows, np.bool_)
    moved[listed] = True
    bitmap, target, matrix = bitmaps.pack(moved), setup.target, gather.planner.matrix
    wanted = bitmaps.pack(work.wanted)
    choice = choose(target, matrix, wanted, options)
    lattices = pack(
        bitmap, work.rows, work.row_bytes, effort=options.effort, repeats=repeats(options)
    )
    return Explained(
        ways=_ways(choice, setup.clock),
        verdict=[*_verdict(choice, setup.clock), *_unproven(gather, choice, wanted)],
        shapes=_shapes(lattices),
        fewest_bds=fewest_bds(bitmap, work.rows, work.row_bytes, repeats=repeats(options)),
        lattices=gather.plan.lattices,
        prices=_prices(options.costs, work.row_bytes, len(target.lanes)),
        balance=_balance(gather),
        rounds=list(rounds(target, gather.plan, ROUNDS)),
    )


def _ways(choice: Choice, clock_mhz: float) -> list[WayFigures]:
    """What was considered, each way once: one thing after the other is varied, back and forth."""
    found: dict[tuple[object, ...], WayFigures] = {}
    for way in sorted(choice.considered, key=lambda way: way is not choice.best):
        options = way.options
        together = options.together or way.target.columns
        of = (options.addressing, options.ramp, min(together, way.target.columns), options.max_gap)
        key = (way.gathers, way.target.columns, *of)
        found.setdefault(key, _figures(way, way is choice.best, clock_mhz))
    return sorted(found.values(), key=lambda way: way.total_us)


def _figures(way: Way, best: bool, clock_mhz: float) -> WayFigures:
    return WayFigures(
        mode="host" if way.gathers else "dense",
        columns=way.target.columns,
        addressing=way.options.addressing,
        ramp=list(way.options.ramp),
        together=way.options.together or way.target.columns,
        max_gap=way.options.max_gap,
        rows=way.rows,
        bds=way.counts.bds,
        total_us=way.forecast.total / clock_mhz,
        controller_us=way.forecast.controller / clock_mhz,
        transfer_us=way.forecast.transfer / clock_mhz,
        limit=way.forecast.limit,
        best=best,
    )


def _verdict(choice: Choice, clock_mhz: float) -> Iterator[str]:
    """Which way is best, against dense, and what would have to be better."""
    best, dense = choice.best, choice.dense
    us = best.forecast.total / clock_mhz
    if not best.gathers:
        quickest = quickest_gather(choice)
        yield f"best: dense, {us:.1f} us; the best gather, {way_text(quickest)}, takes"
        yield f"{quickest.forecast.total / clock_mhz:.1f}: there {_busy(quickest, clock_mhz)}"
        return
    takes = f"{us:.1f} us; dense takes {dense.forecast.total / clock_mhz:.1f}"
    yield f"best: {way_text(best)}, {takes}"
    yield f"{best.rows} rows move instead of {dense.rows}; {_busy(best, clock_mhz)}"


def quickest_gather(choice: Choice) -> Way:
    """The best of the ways that are not dense, by forecast."""
    gathers = (way for way in choice.considered if way.gathers)
    return min(gathers, key=lambda way: way.forecast.total)


def _busy(way: Way, clock_mhz: float) -> str:
    told = way.forecast
    return (
        f"the {told.limit} limits:\n"
        f"the controller works {told.controller / clock_mhz:.1f} us, the busiest lane "
        f"{told.transfer / clock_mhz:.1f} us"
    )


def _unproven(gather: Gather, choice: Choice, wanted: bitmaps.Bitmap) -> Iterator[str]:
    """What addressing that nobody has tried on silicon is forecast."""
    base = quickest_gather(choice)
    others: tuple[AddressingName, ...] = ("absolute", "iteration")
    for name in others:
        if name == base.options.addressing:
            continue
        addresses = SIMULATED_ADDRESSES if name == "absolute" else None
        options = replace(base.options, addressing=name, addresses=addresses)
        planner = Planner(base.target, gather.planner.matrix, options)
        told = planner.forecast(planner.plan_bitmap_into(planner.buffer(), wanted))
        yield (
            f"with addressing {name}, unproven on silicon: "
            f"{told.total / gather.setup.clock:.1f} us, the {told.limit} limits"
        )


def _shapes(lattices: Lattices) -> list[Shape]:
    """Shapes by the rows that they bring, most first."""
    bds, rows = Counter[tuple[int, tuple[int, ...], int]](), Counter[object]()
    for lattice, held in zip(lattices, size(lattices).tolist(), strict=True):
        steps = sorted((int(lattice["count"]), int(lattice["outer"])), reverse=True)
        key = (int(lattice["run"]), tuple(n for n in steps if n > 1), int(lattice["repeat"]))
        bds[key] += 1
        rows[key] += held
    found = [
        Shape(run=run, steps=steps, repeat=repeat, bds=times, rows=rows[run, steps, repeat])
        for (run, steps, repeat), times in bds.items()
    ]
    return sorted(found, key=lambda shape: (-shape.rows, shape.bds))


def _prices(costs: Costs, row_bytes: int, lanes: int) -> Prices:
    return Prices(
        bd=SHIM_BD.words * costs.block_write_word,
        patch=costs.patch,
        push_busy=costs.push_busy,
        push_idle=costs.push_idle,
        wait=costs.wait_each,
        first_wait=costs.wait_first,
        row=row_bytes // 4 * lane_word(costs, lanes),
        next_bd=costs.next_bd,
        lanes=lanes,
    )


def _balance(gather: Gather) -> str:
    """How large BDs would have to be for the controller not to limit."""
    told, lattices = gather.forecast, gather.plan.lattices
    if not lattices:
        return "nothing is moved"
    each = gather.plan.rows_moved / lattices
    need = each * told.controller / told.transfer
    return (
        f"controller and lanes would be equally busy with about {need:.1f} rows a BD; "
        f"there are {each:.1f}"
    )


def lines(found: Explained) -> Iterator[str]:
    """What was found, as lines for a person."""
    sections = (
        section("ways that were considered, as forecast", _way_lines(found)),
        section("shapes of BDs, by the rows that they bring", _shape_lines(found)),
        section("what things cost here, in cycles", _price_lines(found)),
        section(f"the stream, its first {ROUNDS} rounds", found.rounds),
    )
    for each in sections:
        yield from ("", *each)


def _way_lines(found: Explained) -> Iterator[str]:
    yield (
        f"{'':2}{'mode':<6}{'columns':>7}  {'addressing':<11}{'first chains':<13}{'wait for':<9}"
        f"{'gap':<4}{'BDs':>6}{'us':>9}  limit"
    )
    for way in found.ways:
        cells = ["-"] * 4
        if way.mode == "host":
            ramp = ", ".join(map(str, way.ramp)) or "full"
            cells = [way.addressing, ramp, str(way.together), str(way.max_gap)]
        yield (
            f"{'* ' if way.best else '  '}{way.mode:<6}{way.columns:>7}  {cells[0]:<11}"
            f"{cells[1]:<13}{cells[2]:<9}{cells[3]:<4}{way.bds:>6}{way.total_us:>9.1f}  {way.limit}"
        )
    for text in found.verdict:
        yield from text.splitlines()


def _shape_lines(found: Explained) -> Iterator[str]:
    total = sum(shape.rows for shape in found.shapes)
    for shape in found.shapes[:SHAPES]:
        share = 100 * shape.rows / total
        yield f"{shape.bds:>6} x {shape_text(shape):<34}{share:5.1f} % of the rows"
    rest = found.shapes[SHAPES:]
    if rest:
        share = 100 * sum(shape.rows for shape in rest) / total
        bds = sum(shape.bds for shape in rest)
        yield f"{bds:>6} x {f'{len(rest)} more shapes':<34}{share:5.1f} % of the rows"
    yield f"{found.lattices} BDs; no exact cover of these rows has fewer than {found.fewest_bds}"


def shape_text(shape: Shape) -> str:
    """A shape in words."""
    run = "1 row" if shape.run == 1 else f"run of {shape.run} rows"
    steps = " x ".join(map(str, shape.steps))
    text = f"{steps} {'rows' if shape.run == 1 else f'runs of {shape.run} rows'}" if steps else run
    return text if shape.repeat == 1 else f"{text}, {shape.repeat} times"


def _price_lines(found: Explained) -> Iterator[str]:
    cost = found.prices
    yield f"controller: BD {cost.bd:.0f}, its patch {cost.patch:.0f}"
    yield (
        f"controller: push {cost.push_busy:.0f} if the channel works, {cost.push_idle:.0f} if it "
        f"is idle; wait {cost.wait:.0f}, the first {cost.first_wait:.0f} more"
    )
    yield (
        f"lane: row {cost.row:.0f} with {count(cost.lanes, 'lane')} moving, next BD of a chain "
        f"{cost.next_bd:.0f}"
    )
    yield found.balance

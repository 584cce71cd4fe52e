# SPDX-License-Identifier: Apache-2.0
"""`sparsebd plan --rows-per-bd`: how many rows each effort packs into a BD, and in what time.

Bernoulli masks of 11,008 rows, which is how real ones lie, and the shipped real ones; with and
without the repeat of chains, beside two bounds that no packing can pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from bdgen import bitmap as bitmaps
from bdgen.bitmap import Bitmap
from bdgen.counting_bound import fewest_bds_of_most
from bdgen.lower_bound import fewest_bds
from bdgen.pack import EFFORTS, Effort, Packer
from host.explain_text import count
from host.gathers import least_us
from sparsity.capture import load_use_lite
from sparsity.masks import bernoulli

ROWS, QUICK_ROWS = 11_008, 1_376
SEEDS, QUICK_SEEDS = 20, 1
DENSITIES = 0.1, 0.33
ROW_BYTES = 8192, 4096, 2048
TOKENS, QUICK_TOKENS = 32, 1
"""Real masks of a layer that are packed, evenly spread."""
BOUNDED = 2
"""Masks of a kind whose lower bound is computed: it takes a second."""


class Packed(BaseModel):
    """An effort on some masks."""

    effort: str
    rows_per_bd: float
    """All rows over all BDs."""
    us: float
    """Median over the masks of the quickest warm call."""


class Line(BaseModel):
    """Masks of one kind, rows of one size, with or without repeated chains."""

    masks: str
    count: int
    rows: int
    row_bytes: int
    repeats: bool
    wanted: float
    """Rows wanted per mask."""
    efforts: list[Packed]
    proved: float
    """Rows a BD that no exact cover of the first of these masks exceeds."""
    of_most: float | None
    """Rows a BD that almost no random mask of as many rows lets any exact cover exceed."""


class Found(BaseModel):
    """The whole table."""

    lines: list[Line]


class _Kind(NamedTuple):
    name: str
    rows: int
    row_bytes: tuple[int, ...]
    bitmaps: list[Bitmap]
    random: bool


def kinds(quick: bool) -> Iterator[_Kind]:
    """The masks that are packed."""
    seeds, rows = range(QUICK_SEEDS if quick else SEEDS), QUICK_ROWS if quick else ROWS
    for density in DENSITIES[:1] if quick else DENSITIES:
        packed = [bitmaps.pack(bernoulli(rows, 1 - density, seed)) for seed in seeds]
        name = f"random, {100 * density:.0f} % wanted"
        yield _Kind(name, rows, ROW_BYTES[:1] if quick else ROW_BYTES, packed, True)
    capture = load_use_lite()
    for layer in range(len(capture.w_down)):
        values = capture.activations[layer]
        some = np.linspace(0, len(values) - 1, QUICK_TOKENS if quick else TOKENS).astype(int)
        packed = [bitmaps.pack(np.asarray(values[token] != 0)) for token in some]
        rows, width = capture.w_down[layer].shape
        row_bytes = width * capture.w_down[layer].itemsize
        yield _Kind(f"USE-lite, layer {layer}", rows, (row_bytes,), packed, False)


def steps(quick: bool) -> int:
    """How often `find` calls `advance`."""
    return sum(2 * len(kind.row_bytes) for kind in kinds(quick))


def find(quick: bool = False, advance: Callable[[], None] = lambda: None) -> Found:
    """Pack every kind of mask in every way."""
    lines: list[Line] = []
    for kind in kinds(quick):
        for row_bytes in kind.row_bytes:
            for repeats in (True, False):
                lines.append(_line(kind, row_bytes, repeats))
                advance()
    return Found(lines=lines)


def _line(kind: _Kind, row_bytes: int, repeats: bool) -> Line:
    wanted = np.array([bitmaps.popcount(each) for each in kind.bitmaps])
    bound = [
        fewest_bds(each, kind.rows, row_bytes, repeats=repeats) for each in kind.bitmaps[:BOUNDED]
    ]
    most = int(np.median(wanted))
    return Line(
        masks=kind.name,
        count=len(kind.bitmaps),
        rows=kind.rows,
        row_bytes=row_bytes,
        repeats=repeats,
        wanted=float(wanted.mean()),
        efforts=[_packed(kind, row_bytes, repeats, effort, wanted) for effort in EFFORTS],
        proved=float(wanted[:BOUNDED].sum() / sum(bound)),
        of_most=most / fewest_bds_of_most(kind.rows, most, row_bytes, repeats=repeats)
        if kind.random
        else None,
    )


def _packed(
    kind: _Kind, row_bytes: int, repeats: bool, effort: Effort, wanted: NDArray[np.int64]
) -> Packed:
    packer = Packer(kind.rows, row_bytes, effort, repeats=repeats)
    counts, times = list[int](), list[float]()
    for each in kind.bitmaps:
        counts.append(len(packer.pack(each)))
        times.append(least_us(lambda bits=each: packer.pack(bits), limit_s=0.02)[0])
    return Packed(
        effort=effort,
        rows_per_bd=float(wanted.sum() / sum(counts)),
        us=float(np.median(times)),
    )


def markdown(found: Found) -> str:
    """The table as Markdown."""
    head = ["masks", "row", "chains", *EFFORTS, "at most", "nearly all"]
    lines = ["| " + " | ".join(head) + " |", "|" + "-|" * len(head)]
    for line in found.lines:
        cells = [
            f"{line.masks} ({line.wanted:.0f} of {line.rows})",
            f"{line.row_bytes} B",
            "repeated" if line.repeats else "once",
            *(f"{each.rows_per_bd:.2f} ({_us(each.us)})" for each in line.efforts),
            f"{line.proved:.2f}",
            "-" if line.of_most is None else f"{line.of_most:.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*_introduction(found), "", *lines]) + "\n"


def _introduction(found: Found) -> list[str]:
    random, real = found.lines[0].count, found.lines[-1].count
    return [
        "# Rows per BD",
        "",
        "Written by `sparsebd plan --rows-per-bd > docs/rows-per-bd.md`; see",
        "[packing](packing.md).",
        "",
        f"Wanted rows over BDs, of {count(random, 'random mask')} and {count(real, 'real one')}",
        "of a layer, and in brackets the time of packing a mask, which depends on the machine.",
        f"*At most*: by the bound of `bdgen.lower_bound` on BDs, of the first {BOUNDED} masks;",
        "*nearly all*: what all but one in a million masks of as many rows do not exceed, by",
        "counting. Neither need be in reach.",
    ]


def _us(value: float) -> str:
    return f"{value:.1f} us" if value < 10 else f"{value:.0f} us"

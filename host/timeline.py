# SPDX-License-Identifier: Apache-2.0
"""A simulated run as a figure: what every busy channel and the controller did, and DDR's bandwidth.

The same as a trace shows, for a report. Time is cut into as many steps as the figure has pixels;
a row shows how its channel's time in each step was divided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from firmware_sim import Result
from firmware_sim.array.state import channel_name
from firmware_sim.trace.spans import (
    CONTROLLER,
    EXECUTING,
    LATENCY,
    LOCK,
    MOVING,
    STREAM,
    TOKENS,
    Span,
    Timeline,
    bandwidth,
    spread,
)
from host.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    MOVING: "#00798c",
    LATENCY: "#edae49",
    LOCK: "#d1495b",
    STREAM: "#c9ccd1",
    EXECUTING: "#30638e",
    TOKENS: "#b59ad6",
}
"""One colour per state, from the bottom of a row to its top."""
STEPS = 1200
BANDWIDTH_STEPS = 300
MOST_ROWS = 48
"""Rows beside the controller's; of more channels, those that moved words longest are shown."""
ROW_PIXELS, GAP_PIXELS = 28, 3
ROW_INCHES, PANEL_INCHES, WIDTH_INCHES = 0.26, 1.7, 11.0


def draw(result: Result, found: Timeline) -> Figure:
    """Draw a run's timeline (`firmware_sim.trace.activity.timeline`)."""
    rows = _rows(found)
    heights = [max(2, len(rows)) * ROW_INCHES, PANEL_INCHES]
    figure = new_figure(WIDTH_INCHES, sum(heights) + 1.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=heights)
    end = max(found.end, 1.0)
    _draw_rows(upper, rows, np.linspace(0.0, end, STEPS + 1), result.clock_mhz)
    _draw_bandwidth(lower, found, np.linspace(0.0, end, BANDWIDTH_STEPS + 1), result.clock_mhz)
    lower.set_xlim(0.0, end / result.clock_mhz)
    upper.set_title(headline(result), fontsize=10, parse_math=False)
    return figure


def headline(result: Result) -> str:
    """Two lines: what ran for how long, and what went wrong."""
    mistakes = [note.kind for note in result.diagnostics if not note.is_warning]
    ended = f"mistakes: {', '.join(dict.fromkeys(mistakes))}" if mistakes else "no mistakes"
    moved = result.counts.bytes_read, result.counts.bytes_written
    return (
        f"simulated {result.device}: {result.microseconds:.1f} us "
        f"({result.cycles} cycles at {result.clock_mhz:g} MHz), {result.profile} profile\n"
        f"{moved[0]} bytes read, {moved[1]} written; {ended}"
    )


def _rows(found: Timeline) -> list[tuple[str, list[Span]]]:
    """Rows from top to bottom: the controller, then channels that moved words, with their spans."""
    by_track: dict[int, list[Span]] = {}
    moved: dict[int, float] = {}
    for span in found.spans:
        if span.state:
            by_track.setdefault(span.track, []).append(span)
        if span.state == MOVING:
            moved[span.track] = moved.get(span.track, 0.0) + span.end - span.start
    busiest = sorted(moved, key=lambda track: -moved[track])[:MOST_ROWS]
    shown = [("controller", by_track.get(CONTROLLER, []))]
    return shown + [(channel_name(track), by_track[track]) for track in sorted(busiest)]


def shares(spans: list[Span], edges: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Per state, which share (0 to 1) of each step it took; a token wait is not executing."""
    steps = np.diff(edges)
    found = {
        state: spread(
            chosen := [span for span in spans if span.state == state],
            [span.end - span.start for span in chosen],
            edges,
        )
        / steps
        for state in COLOURS
    }
    found[EXECUTING] = np.maximum(found[EXECUTING] - found[TOKENS], 0.0)
    return found


def picture(shares_of_rows: list[dict[str, NDArray[Any]]]) -> NDArray[np.uint8]:
    """Rows as an image (`ROW_PIXELS` per row, steps, RGB): shares stacked from below, rest white.

    The gap between two rows is white too.
    """
    palette = np.array([_rgb(colour) for colour in (*COLOURS.values(), "#ffffff")], np.uint8)
    heights = (np.arange(ROW_PIXELS)[::-1] - GAP_PIXELS + 0.5) / (ROW_PIXELS - 2 * GAP_PIXELS)
    bands: list[NDArray[np.uint8]] = []
    for shares_of_row in shares_of_rows:
        tops = np.cumsum([shares_of_row[state] for state in COLOURS], axis=0)
        state = (heights[:, None, None] > tops[None]).sum(axis=1)
        state[heights < 0] = len(COLOURS)
        bands.append(palette[state])
    return np.concatenate(bands)


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def _draw_rows(
    axes: Axes, rows: list[tuple[str, list[Span]]], edges: NDArray[np.float64], clock_mhz: float
) -> None:
    from matplotlib.patches import Patch

    of_rows = [shares(spans, edges) for _, spans in rows]
    extent = (0.0, float(edges[-1]) / clock_mhz, len(rows) - 0.5, -0.5)
    axes.imshow(picture(of_rows), extent=extent, aspect="auto", interpolation="nearest")
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
    axes.grid(axis="x", alpha=0.3)
    seen = [state for state in COLOURS if any(each[state].any() for each in of_rows)]
    axes.legend(
        handles=[Patch(color=COLOURS[state], label=state) for state in seen],
        fontsize=8,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
    )


def _draw_bandwidth(
    axes: Axes, found: Timeline, edges: NDArray[np.float64], clock_mhz: float
) -> None:
    reads, writes = bandwidth(found, clock_mhz, edges)
    for rates, name, colour in ((reads, "DDR reads", "#30638e"), (writes, "DDR writes", "#d1495b")):
        axes.stairs(rates, edges / clock_mhz, label=name, color=colour, lw=1.2)
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("GB/s")
    axes.set_xlabel(f"time (us at {clock_mhz:g} MHz)")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))

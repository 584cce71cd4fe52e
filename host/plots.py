# SPDX-License-Identifier: Apache-2.0
"""Plots as files: of which kinds, and how large. matplotlib is loaded when one is drawn."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from host.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ".png", ".svg", ".pdf"
PIXELS_PER_INCH = 120


def check_plot(path: Path | None) -> None:
    """Refuse, before a long run, a name that says no kind of plot; UsageError."""
    if path is not None:
        _kind(path)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, inches wide and high, whose parts find their own room."""
    from matplotlib.figure import Figure  # a third of a second to import, for plots alone

    return Figure(figsize=(width, height), dpi=PIXELS_PER_INCH, layout="constrained")


def rendered(figure: Figure, path: Path) -> bytes:
    """Return a figure as the kind of file that a path says; the same figure, the same bytes.

    Raises:
        UsageError: what `check_plot` refuses.
    """
    from matplotlib import rc_context

    kind = _kind(path)
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "sparsebd"}):  # names of parts, random otherwise
        figure.savefig(file, format=kind, metadata=undated)
    return file.getvalue()


def _kind(path: Path) -> str:
    """The suffix, without its dot; png for what is no file, such as `/dev/null`."""
    if path.suffix.lower() in KINDS:
        return path.suffix.lower()[1:]
    if path.exists() and not path.is_file() and not path.is_dir():
        return "png"
    raise UsageError(
        f"no plot as {path.suffix or 'a file without suffix'}: give {', '.join(KINDS)}"
    )

# SPDX-License-Identifier: Apache-2.0
"""Where commands print: names of models and files as they are, whatever rich would make of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_COLUMNS = 132
"""Width of tables where there is no terminal to ask."""


def for_results(columns: int = PIPE_COLUMNS) -> Console:
    """Return standard output, so many columns wide where it is no terminal."""
    width = None if sys.stdout.isatty() else columns
    return Console(width=width, markup=False, emoji=False)


def for_messages() -> Console:
    """Return standard error, for progress and warnings."""
    return Console(stderr=True, markup=False, emoji=False)


def plain_table(*heads: str) -> Table:
    """Return a table without lines, as most commands show their figures."""
    return Table(*heads, box=None, pad_edge=False)


def say_written(files: Iterable[Path]) -> None:
    """Name the files that were written, if there are any, as the last line of a command."""
    if names := " and ".join(map(str, files)):
        typer.echo(f"wrote {names}")


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Say on a terminal what is being done, while it is; yields what says what comes next."""
    with for_messages().status(Text(what)) as status:
        yield lambda said: status.update(Text(said))

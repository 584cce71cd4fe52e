# SPDX-License-Identifier: Apache-2.0
"""A progress bar for work of known length, on a console that a person looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def progress(title: str, steps: int, console: Console) -> Iterator[Callable[[], None]]:
    """Show a bar that leaves no trace; yields what to call after each step."""
    counts = MofNCompleteColumn(), TimeElapsedColumn()
    columns = TextColumn("{task.description}", markup=False), BarColumn(20), *counts
    shown = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task(title, total=steps)
        yield lambda: bar.advance(task)

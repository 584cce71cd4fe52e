# SPDX-License-Identifier: Apache-2.0
"""Options of a gather that `run` and `plan` share: which matrix, which rows, which columns."""

from __future__ import annotations

from typing import Annotated

import typer

Model = Annotated[str | None, typer.Option(help="shape by name, e.g. use-lite, relullama-7b")]
Rows = Annotated[int | None, typer.Option(help="rows of the matrix, with --row-bytes")]
RowBytes = Annotated[int | None, typer.Option(help="bytes of a row, a multiple of 4")]
Mask = Annotated[str | None, typer.Option(help="model, random, alternating, contiguous, or a file")]
Sparsity = Annotated[
    float | None,
    typer.Option(help="share of rows not wanted, 0 to 1; default: as published, else 0.9"),
]
Layer = Annotated[
    int | None,
    typer.Option(help="layer whose activations or published sparsity are meant; default: 0"),
]
Token = Annotated[int | None, typer.Option(help="token of the real activations; default: 0")]
Columns = Annotated[int | None, typer.Option(help="columns used; default: all")]
Channels = Annotated[int, typer.Option(help="shim channels per column and direction")]
Seed = Annotated[int, typer.Option(help="seed of random masks and weights")]

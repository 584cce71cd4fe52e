# SPDX-License-Identifier: Apache-2.0
"""`sparsebd sparsity`: where masks come from, what they are worth, and what they cost the model."""

from __future__ import annotations

import typer

from host.sparsity_patterns import patterns
from host.sparsity_peers import peers
from host.sparsity_predict import predict
from host.sparsity_thresholds import thresholds

sparsity = typer.Typer(
    help="Where masks come from, what they are worth, and what they cost the model.",
    no_args_is_help=True,
)
sparsity.command()(patterns)
sparsity.command()(predict)
sparsity.command()(thresholds)
sparsity.command()(peers)

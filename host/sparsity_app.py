# SPDX-License-Identifier: Apache-2.0
"""`sparsebd sparsity`: where masks come from, what they are worth, and what they cost the model."""

from __future__ import annotations

import typer

from host.sparsity_capture import capture
from host.sparsity_patterns import patterns
from host.sparsity_peers import peers
from host.sparsity_predict import predict
from host.sparsity_tables import tables
from host.sparsity_thresholds import thresholds

GUIDE = """Where masks come from, what they are worth, and what they cost the model.

A row of weights need not be read if its activation is zero.

1. See what zeros a model has:
   sparsebd sparsity capture use-lite --out zeros.npz
   sparsebd sparsity patterns --masks zeros.npz
2. Where they are too few, zero more and see what it costs (SmolLM2 is
   fetched once):
   sparsebd sparsity thresholds --model smollm2 --sparsity 0.5
3. Know them before their rows are needed:
   sparsebd sparsity predict --model use-lite --missed 0.02
4. Compare with what is published:
   sparsebd sparsity tables
5. See what masks are worth on an NPU, in a projection or in a whole token:
   sparsebd run --mask zeros.npz:0
   sparsebd run --ffn all --model prosparse-7b

Every command writes figures (--json FILE) and a plot (--plot FILE)."""

HAS = "1. What a model has"
MORE = "2. Zero more, and what that costs"
AHEAD = "3. Know the rows before they are needed"
OTHERS = "4. Compare"

sparsity = typer.Typer(help=GUIDE, no_args_is_help=True)
sparsity.command(rich_help_panel=HAS)(capture)
sparsity.command(rich_help_panel=HAS)(patterns)
sparsity.command(rich_help_panel=MORE)(thresholds)
sparsity.command(rich_help_panel=AHEAD)(predict)
sparsity.command(rich_help_panel=OTHERS)(tables)
sparsity.command(rich_help_panel=OTHERS)(peers)

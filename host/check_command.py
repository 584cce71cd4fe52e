# SPDX-License-Identifier: Apache-2.0
"""`sparsebd check`: mistakes in a design and its stream, found without running them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from firmware_sim import check as checks
from firmware_sim.check.findings import CONFIGURED, Finding

STYLES = {"error": "bold red", "warning": "yellow"}
FOUND_ERRORS = 1
"""Exit status where something is certainly wrong."""


def check(
    xclbin: Annotated[Path, typer.Argument(help="design (xclbin)")],
    insts: Annotated[Path, typer.Argument(help="instruction stream (insts.bin)")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Find the mistakes of a design and its stream that need no execution."""
    findings = checks.check(xclbin, insts)
    if as_json:
        typer.echo(json.dumps(to_json(findings), indent=1))
    else:
        console = Console()
        for finding in findings:
            console.print(line(finding), soft_wrap=True)
        console.print(summary(findings), highlight=False, soft_wrap=True)
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(FOUND_ERRORS)


def to_json(findings: Sequence[Finding]) -> dict[str, object]:
    """Findings and how many of each severity, ready for JSON."""
    return {
        "errors": _count(findings, "error"),
        "warnings": _count(findings, "warning"),
        "findings": [asdict(finding) for finding in findings],
    }


def line(finding: Finding) -> Text:
    """A finding as a line: severity, op, name, sentence."""
    place = "configuration" if finding.op == CONFIGURED else f"op {finding.op}"
    more = f" ({finding.times} times)" if finding.times > 1 else ""
    return Text.assemble(
        (f"{finding.severity:7s}", STYLES[finding.severity]),
        f"  {place}  ",
        (finding.kind, "bold"),
        f"  {finding.message}{more}",
    )


def summary(findings: Sequence[Finding]) -> str:
    """The last line: how much was found."""
    if not findings:
        return "no mistake found that needs no execution; `sparsebd sim` runs the stream"
    errors, warnings = _count(findings, "error"), _count(findings, "warning")
    counts = [_counted(errors, "error"), _counted(warnings, "warning")]
    return f"{' and '.join(text for text in counts if text)} (error: certain, warning: possible)"


def _counted(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}" if count else ""


def _count(findings: Sequence[Finding], severity: str) -> int:
    return sum(finding.severity == severity for finding in findings)

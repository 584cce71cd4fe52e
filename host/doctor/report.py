# SPDX-License-Identifier: Apache-2.0
"""A doctor's report for people (tables) and for programs (JSON)."""

from __future__ import annotations

import json
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from host.doctor.examination import Report, Verdict, unmended
from host.doctor.findings import Answer, Finding, Status

SCHEMA = 1
"""Version of the JSON; it grows when a key changes its meaning or goes."""
COLOURS = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.PROBLEM: "red",
    Status.SKIPPED: "dim",
}


def show(report: Report, console: Console) -> None:
    """Print what was found, then what mends each thing that is wrong, then the verdict."""
    console.print(_findings(report))
    for finding in unmended(report):
        console.print(_remedy(finding))
    console.print(Text(sentence(report), style="bold"), soft_wrap=True)


def sentence(report: Report) -> str:
    """The verdict in words."""
    if report.verdict is Verdict.NPU:
        return (
            f"this machine can run on its NPU: sparsebd run --backend xrt --device {report.target}"
        )
    if report.verdict is Verdict.SIMULATOR:
        return "no NPU can be used from here; everything runs on the simulator: sparsebd run"
    kinds = [found.answer.status for found in unmended(report)]
    count = kinds.count(Status.PROBLEM) or len(kinds)
    things = "thing keeps" if count == 1 else "things keep"
    return f"{count} {things} programs from this machine's NPU; the simulator works: sparsebd run"


def to_json(report: Report) -> str:
    """The report for programs; the keys are described in `docs/run-on-ryzen-ai.md`."""
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "verdict": report.verdict.value,
        "status": report.status,
        "npu": report.npu or None,
        "device": report.target or None,
        "sentence": sentence(report),
        "findings": [_plain(finding) for finding in report.findings],
    }
    return json.dumps(data, indent=1)


def _plain(finding: Finding) -> dict[str, Any]:
    answer = finding.answer
    return {
        "check": finding.check,
        "title": finding.title,
        "status": answer.status.value,
        "found": answer.found,
        "problem": answer.problem or None,
        "cause": answer.cause or None,
        "remedy": list(answer.remedy),
        "sources": list(answer.sources),
    }


def _findings(report: Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("", "check", "found"):
        table.add_column(title, overflow="fold")
    for titles, answer in _rows(report):
        mark = Text(answer.status.value, style=COLOURS[answer.status])
        table.add_row(mark, ", ".join(titles), Text(answer.found))
    return table


def _rows(report: Report) -> list[tuple[list[str], Answer]]:
    """Findings in order; checks that were skipped for one reason share the first's row."""
    rows: list[tuple[list[str], Answer]] = []
    for finding in report.findings:
        shared = [titles for titles, answer in rows if answer == finding.answer]
        if shared and finding.answer.status is Status.SKIPPED:
            shared[0].append(finding.title)
        else:
            rows.append(([finding.title], finding.answer))
    return rows


def _remedy(finding: Finding) -> Table:
    answer = finding.answer
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(overflow="fold", no_wrap=True)
    table.add_column(overflow="fold")
    head = Text(answer.status.value, style=f"bold {COLOURS[answer.status]}")
    table.add_row(head, Text(f"{finding.title}: {answer.found}"))
    table.add_row("why", Text(answer.cause))
    for line in answer.remedy:
        table.add_row("mend", Text(line, style="cyan"))
    table.add_row("seen", Text(", ".join(answer.sources), style="dim"))
    table.add_row("", "")
    return table

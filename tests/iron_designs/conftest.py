# SPDX-License-Identifier: Apache-2.0
"""Tests marked `mlir_aie` run designs with the real thing; where it is missing, say how many."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

MARKER = "mlir_aie"
REASON = "mlir-aie is not installed"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARKER}: runs a design with mlir-aie itself")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if find_spec("aie") is None:
        for item in items:
            if item.get_closest_marker(MARKER):
                item.add_marker(pytest.mark.skip(reason=REASON))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    count = sum(REASON in str(report.longrepr) for report in skipped)
    if count:
        terminalreporter.write_line(f"{REASON}: {count} tests that need it were skipped")

# SPDX-License-Identifier: Apache-2.0
"""The page on the Device: its example runs, and every name that it gives is there."""

import re
from pathlib import Path

import host.device

PAGE = (Path(__file__).parents[2] / "docs/device.md").read_text()


def test_the_example_runs(capsys, monkeypatch):
    monkeypatch.delenv("SPARSEBD_BACKEND", raising=False)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/device.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(re.fullmatch(r"token \d: \d+ rows in \d+ us \((sim|xrt)\)", line) for line in lines)


def test_every_error_is_on_the_page():
    for name in host.device.__all__:
        value = getattr(host.device, name)
        if isinstance(value, type) and issubclass(value, host.device.NpuError):
            assert f"`{name}`" in PAGE, name

# SPDX-License-Identifier: Apache-2.0
"""Plots become the kind of file that their name says, or none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import refused, sparsebd

from host.errors import UsageError
from host.plots import check_plot, new_figure, rendered

BEGINS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF", ".PDF": b"%PDF"}


def figure(size=2):
    drawn = new_figure(size, size)
    drawn.subplots().plot([1, 2], [3, 1], label="a")
    return drawn


@pytest.mark.parametrize("suffix", BEGINS)
def test_the_suffix_says_the_kind_and_the_same_plot_is_the_same_file(suffix):
    path = Path("a" + suffix)
    data = rendered(figure(), path)
    assert data.startswith(BEGINS[suffix])
    assert rendered(figure(), path) == data
    assert rendered(figure(3), path) != data


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.png.txt", ".png"])
def test_a_name_that_says_no_kind_is_refused_before_the_work(name):
    with pytest.raises(UsageError, match=r"^no plot as .*: give \.png, \.svg, \.pdf$"):
        check_plot(Path(name))


def test_no_plot_and_a_device_file_are_fine():
    check_plot(None)
    check_plot(Path(os.devnull))
    assert rendered(figure(), Path(os.devnull)).startswith(BEGINS[".png"])


def test_commands_load_matplotlib_only_to_draw():
    code = "import sys, host.cli; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    "command",
    [
        ("run", "--rows", 8, "--row-bytes", 64),
        ("run", "--ffn", 0),
        ("sim", "a.xclbin", "insts.bin"),
        *(("sparsity", name) for name in ("patterns", "thresholds", "predict", "tables", "peers")),
        ("sparsity", "capture", "use-lite"),
    ],
    ids=lambda words: " ".join(map(str, words)),
)
def test_every_command_refuses_it_and_leaves_nothing(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    said = refused(sparsebd(*command, "--plot", "a.gif"))
    assert said == "no plot as .gif: give .png, .svg, .pdf"
    assert {path.name for path in tmp_path.iterdir()} <= {"out"}

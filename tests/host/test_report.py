# SPDX-License-Identifier: Apache-2.0
"""What people and programs see of a run: nothing cut off, nothing that JSON has no word for."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image
from rich.console import Console

from host.cases import PHASES
from host.plots import rendered
from host.report import Report, draw, show
from host.run import Options, job, run


@pytest.fixture(scope="module")
def report() -> Report:
    options = Options(rows=24, row_bytes=64, mask="alternating", sparsity=0.5, sweep=False)
    return run(job(options))


def changed(report: Report, **changes) -> Report:
    """The report with every case changed."""
    cases = [case.model_copy(update=changes) for case in report.cases]
    return report.model_copy(update={"cases": cases})


def shown(report: Report, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    show(report, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def plot(report):
    return rendered(draw(report), Path("a.png"))


def pixels(png: bytes):
    return image.imread(io.BytesIO(png), format="png")


def test_the_table_of_a_large_model_is_whole_in_80_columns(report):
    large = {"rows_moved": 13824, "bds": 27648, "pushes": 13824, "bound_ratio": 123.4}
    times = {"us": 12345.6, "us_low": 11234.5, "us_high": 123456.7}
    ratios = {"speedup_vs_dense": 0.5, "speedup_vs_rowwise": 1234.5}
    text = shown(changed(report, **large, **times, **ratios))
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    numbers = "13824 27648 13824 12346 11234 123457 123x 0.50x 1234x ok"
    rows = [line.split(maxsplit=1) for line in text.splitlines() if line.endswith("ok  ")]
    assert [phase for phase, _ in rows] == list(PHASES)
    assert {" ".join(row.split()) for _, row in rows} == {numbers}


def test_wrong_data_stands_out_and_a_ratio_that_is_none_is_a_dash(report):
    text = shown(changed(report, data_ok=False, bound_ratio=None))
    assert text.count("WRONG") == len(report.cases)
    assert " -  " in text


@pytest.mark.parametrize(("asked", "named"), [("band", "central"), ("high", "high")])
def test_the_profile_of_the_times_is_named(report, asked, named):
    assert f"us: {named} profile;" in shown(report.model_copy(update={"profile": asked}))


def test_markup_in_a_file_name_is_text(report):
    assert "[/red][b].npy mask" in shown(changed(report, pattern="[/red][b].npy"))


def test_json_has_no_nan_and_no_infinity(report):
    odd = changed(report, product_error=float("nan"), bound_ratio=float("inf"))
    data = json.loads(odd.model_dump_json(), parse_constant=pytest.fail)
    assert data["cases"][0]["product_error"] is None
    assert data["cases"][0]["bound_ratio"] is None


def test_json_comes_back_as_the_same_report(report):
    assert Report.model_validate_json(report.model_dump_json()) == report


@pytest.mark.parametrize(
    "changes",
    [{}, {"us": 0.0, "us_low": 0.0, "us_high": 0.0, "bound_us": 0.0}, {"sparsity": 1.0}],
    ids=["as it is", "no time at all", "all zeros"],
)
def test_the_plot_is_a_png_of_its_size_whatever_the_times(report, changes):
    assert pixels(plot(changed(report, **changes))).shape[:2] == (600, 960)


def test_the_plot_shows_the_cases_and_stars_over_a_sweep(report):
    slower = changed(report, us=5e6, us_high=6e6)
    swept = report.model_copy(update={"sweep": report.cases})
    pictures = [plot(report), plot(slower), plot(swept)]
    assert len(set(pictures)) == 3
    assert plot(report) == pictures[0]


def test_the_plot_of_a_file_with_any_name_warns_of_no_glyph(report):
    odd = changed(report, pattern="マスク $x^{ .npy")
    assert np.any(pixels(plot(odd.model_copy(update={"sweep": odd.cases}))))

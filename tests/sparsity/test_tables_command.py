# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from host import seed
from host import sparsity_tables_npu as npus
from host import sparsity_tables_report as reports
from host.errors import UsageError
from host.sparsity_tables import tables
from sparsity.tables.catalogue import SEEDS, figures
from sparsity.tables.figure import Verdict

app = typer.Typer()
app.command()(tables)


def invoke(*arguments):
    result = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_text_figures_and_plot(tmp_path):
    found, plot = tmp_path / "f.json", tmp_path / "p.svg"
    text = invoke("--seed", 2, "--json", found, "--plot", plot)
    report = json.loads(found.read_text())
    assert len(report["figures"]) == len(figures(2))
    assert report["same"] == sum(each["verdict"] == "same" for each in report["figures"])
    assert f"{report['differ']} differ" in text
    dense = next(e for e in report["figures"] if e["what"] == "llama.cpp (dense), MLP block")
    assert dense["ours"] == 212_336_640
    assert "2.123e8" in text and "212,336,640" in text
    assert b"<svg" in plot.read_bytes()


def test_no_simulation_if_not_asked_for(monkeypatch):
    monkeypatch.setattr(npus, "figures", lambda _device: pytest.fail("simulated"))
    assert "Seed 0, ReLU Strikes Back" in invoke("--seed", 0, "--npu", "none")
    text = invoke("--seed", 1)
    assert "Seed 1, model description" in text
    assert "Seed 1: Activation Sparsity" in text and "Seed 2: SparseInfer" not in text


def test_refuses_a_plot_of_no_kind(tmp_path):
    with pytest.raises(UsageError, match=r"\.png"):
        invoke("--seed", 1, "--plot", tmp_path / "p.txt")
    assert list(tmp_path.iterdir()) == []


def test_the_simulated_phases_on_a_small_matrix(monkeypatch):
    monkeypatch.setattr(seed, "matrix_shape", lambda *_: ("small", 352, 8192))
    monkeypatch.setattr(npus, "ROWS", 256)
    found = {each.what: each for each in npus.figures("npu1")}
    linear = next(each for what, each in found.items() if "phase0, native" in what and "R2" in what)
    assert linear.verdict is Verdict.SAME
    assert isinstance(linear.ours, float)
    assert linear.ours > 0.999
    moved = next(each for what, each in found.items() if what.startswith("rows moved"))
    assert moved.ours == 147
    stock = next(
        each for what, each in found.items() if "overhead to a single BD, phase0, stock" in what
    )
    assert stock.verdict is Verdict.DIFFERS
    packed = next(each for what, each in found.items() if what.startswith("pack BDs"))
    assert isinstance(packed.ours, float)
    assert packed.ours > 4
    resonance = next(each for what, each in found.items() if what.startswith("the same of Phase 1"))
    assert "1 of 4 columns" in resonance.sentence
    batch = found["BDs of a batch, the most of a column, Phoenix"]
    assert (batch.ours, batch.verdict) == (16, Verdict.SAME)
    assert {each.seed for each in found.values()} == {0}
    assert all(each.sentence for each in found.values())


def test_where_phase_2_is_not_closer_to_phase_0_is_said():
    phase_0 = [64.0 / step for step in seed.STEPS]
    walked = [each + 20 for each in phase_0]
    phase_2 = [
        each + (15 if step == 2 else 1) for each, step in zip(phase_0, seed.STEPS, strict=True)
    ]
    modes = {npus.NATIVE: phase_0, npus.WALKED: walked, npus.PHASE_2: phase_2}
    us = {
        (mode, step, "central"): time
        for mode, times in modes.items()
        for step, time in zip(seed.STEPS, times, strict=True)
    }
    closer = npus._phase_2(seed.Comparison("npu2", "made up", 64, 8192, us), "Strix")[0]
    assert (closer.verdict, closer.ours) == (Verdict.DIFFERS, 5)
    assert "Not at 50%" in closer.sentence


@pytest.mark.parametrize("number", SEEDS)
def test_a_plots_legend_covers_no_point(number):
    figure = reports.draw(figures(number))
    figure.canvas.draw()
    axes = figure.axes[0]
    legend = axes.get_legend()
    assert legend is not None
    box = legend.get_window_extent()
    points = [np.asarray(line.get_xydata()) for line in axes.lines]
    for point in axes.transData.transform([each[0] for each in points if len(each) == 1]):
        assert not box.contains(*point)


@pytest.mark.parametrize(
    ("value", "text"),
    [("words", "words"), (2752, "2,752"), (6.6071, "6.6071"), (37.755, "37.755")],
)
def test_values_keep_the_digits_worth_reading(value, text):
    assert reports.value(value) == text

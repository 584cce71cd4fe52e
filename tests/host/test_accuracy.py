# SPDX-License-Identifier: Apache-2.0
"""The table of everything measured: complete, with the limits that are asked for."""

import json
from pathlib import Path

import pytest

from host import accuracy
from host.accuracy import Row, markdown, requirements, rows, steps, to_json
from host.sweeps import published

TIMING_MODEL = Path(__file__).parents[2] / "docs" / "timing-model.md"


@pytest.fixture(scope="module")
def table():
    advanced = []
    found = rows(lambda: advanced.append(1))
    assert len(advanced) == steps()
    return found


def row(measured, computes=False):
    return Row("t", "w", "npu1", 1e3, "GB/s", measured, measured, 12.0, 10.0, 8.0, computes)


def test_every_published_table_is_in_it(table):
    known = published()
    assert {row.table for row in table} == {*known, *known["bandwidth"]} - {"bandwidth"}
    assert len({(row.table, row.what) for row in table}) == len(table)


def test_what_is_asked_for_holds(table):
    found = {each.what: each for each in requirements(table)}
    assert found["S2MM, 2,048 words and more"].holds
    assert found["MM2S, 2,048 words and more"].holds
    assert found["K-task spans, medians of 50 runs"].holds
    assert not found["K-task spans, single runs"].holds


def test_streams_and_ddr_on_phoenix_agree(table):
    """Copies and reads: hardware comes close to its limits softly, the model at once."""
    for each in table:
        if each.table in ("phoenix_read", "phoenix_copy"):
            allowed = 0.11 if each.what == "read, 3 x 2" else 0.05
            assert abs(each.error) < allowed, each


def test_ddr_on_strix_agrees_where_the_launch_is_off(table):
    names = ("add, 8 columns", "add of 50.3 MB, 8 columns", "xrt-smi df-bw (Halo)")
    names += ("memcpy of 16.8 M int32, 8 columns, AxCACHE 2", "mixed reads and writes (Krackan)")
    checked = [each for each in table if each.what in names]
    assert len(checked) == len(names)
    for each in checked:
        assert abs(each.error) < 0.07, each


def test_kernels_that_compute_stay_under_their_bound(table):
    assert {each.verdict for each in table if each.computes} == {"bound holds"}


def test_a_measurement_is_in_the_band_or_not():
    assert [row(value).verdict for value in (7.95, 12.1, 8.0, 10.0)] == ["in band"] * 4
    assert [row(value).verdict for value in (7.8, 12.2)] == ["outside"] * 2
    assert row(1.0, computes=True).verdict == "bound holds"
    assert row(12.2, computes=True).verdict == "bound broken"


def test_the_markdown_has_a_line_a_row_and_a_note_a_table(table):
    text = markdown(table)
    assert text.count("\n| ") == len(table)
    assert text.count("Spread: ") == steps()
    assert "within 5% holds" in text
    assert "within 12% does not hold; the worst is MM2S span of 4, single run" in text


def test_the_documentation_shows_it_as_it_is(table):
    """Otherwise: docs/timing-model.md says how to write it again."""
    shown = TIMING_MODEL.read_text(encoding="utf-8").split("<!-- table -->\n")[1]
    assert shown.splitlines() == markdown(table).splitlines()


def test_the_json_has_the_same(table):
    data = json.loads(to_json(table))
    assert len(data["rows"]) == len(table)
    assert data["rows"][0]["verdict"] == "in band"
    assert data["published"] == published()
    assert [each["holds"] for each in data["requirements"]] == [True, True, True, False]
    assert accuracy.BAND_SLACK < 0.02

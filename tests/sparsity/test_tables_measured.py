# SPDX-License-Identifier: Apache-2.0
import pytest

from sparsity.errors import CaptureError, SparsityError
from sparsity.tables import live, matching, measured

ENTRY = """
[model.thing]
value = {value}
unit = "%"
how = "sparsebd something"
date = 2026-11-23
machine = "2 cores"
"""


def use(monkeypatch, text):
    entries = measured.parse(text)
    monkeypatch.setattr(measured, "shipped", lambda: entries)


def test_every_shipped_entry_says_how_it_was_measured():
    for key, entry in measured.shipped().items():
        assert entry.how, key
        assert entry.machine, key


def test_a_number(monkeypatch):
    use(monkeypatch, ENTRY.format(value=1.5))
    assert measured.number("model.thing") == 1.5
    assert measured.numbers("model.thing") == []
    assert measured.how("model.thing") == "`sparsebd something`"


def test_a_list_is_not_a_number(monkeypatch):
    use(monkeypatch, ENTRY.format(value="[[1.0, 2.0], [3.0, 4.0]]"))
    assert measured.numbers("model.thing") == [[1.0, 2.0], [3.0, 4.0]]
    with pytest.raises(CaptureError, match="is a list"):
        measured.number("model.thing")


def test_an_absent_key_is_not_made_up(monkeypatch):
    use(monkeypatch, "")
    assert measured.number("model.thing") is None
    assert measured.how("model.thing", "run me") == "not measured yet: run `run me`"
    assert measured.smollm2_rise("half_random") is None


def test_a_rise(monkeypatch):
    text = ENTRY.replace("model.thing", "smollm2.{key}")
    two = text.format(key="dense", value=10), text.format(key="half", value=12.5)
    use(monkeypatch, "".join(two))
    assert measured.smollm2_rise("half") == pytest.approx(25)


@pytest.mark.parametrize(
    "text", ["value", "[a]\nvalue = 1", "[a]\nunit = 1", ENTRY.format(value="'x'")]
)
def test_refuses_a_file_that_lacks_something(text):
    with pytest.raises(CaptureError, match=r"measured\.toml"):
        measured.parse(text)


def test_the_slides_table_is_whole():
    assert len(matching.SEED_TABLE) == 12
    assert {len(row) for row in matching.SEED_TABLE} == {6}
    assert sum(all(each == 100 for each in row) for row in matching.SEED_TABLE) == 9


def test_kappa():
    assert matching.kappa(0.5773, 0.5) == pytest.approx(0.1546)
    assert matching.kappa(0.5383, 0.5) == pytest.approx(0.0766)
    assert matching.kappa(1, 0.3) == 1
    assert matching.kappa(matching.chance(0.3, 0.3), 0.3) == 0
    with pytest.raises(SparsityError, match="kappa says nothing"):
        matching.kappa(1, 0)
    with pytest.raises(SparsityError, match="0 to 1"):
        matching.chance(1.2, 0.5)


def test_what_is_measured_each_time():
    assert live.lost_by_skipping_zeros() == 0
    assert live.product_kurtosis() == pytest.approx(6, abs=0.3)
    assert live.made_up(0.0, zeros=0.5).precision == pytest.approx(0.72, abs=0.02)
    assert live.made_up(8.0).precision > 0.985 > live.made_up(0.0).precision
    assert abs(live.runs(0).z) < 4
    assert live.zeros_of_gated()[2] >= live.zeros_of_gated()[0]
    assert [live.union(0, n) for n in (1, 2, 4)] == sorted(
        (live.union(0, n) for n in (1, 2, 4)), reverse=True
    )


def test_stricter_predictions_lose_less():
    found = [live.predicted(0, alpha) for alpha in (0.97, 1.0, 1.03, 1.1)]
    assert [each.missed for each in found] == sorted((e.missed for e in found), reverse=True)
    errors = [each.output_error or 0 for each in found]
    assert (live.skipped_at_random(0).output_error or 0) > 0.9 > errors[0] > errors[-1]

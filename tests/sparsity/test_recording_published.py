# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from sparsity.errors import CaptureError, ShapeError
from sparsity.recording.published import of_model, read_tables


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def test_a_model_of_the_table():
    found = of_model("ReluLLaMA-7B")
    assert len(found.by_layer) == 32
    assert found.mean == pytest.approx(0.6712, abs=2e-4)  # the mean that its source states
    assert set(of_model("OPT-6.7B").by_layer) == {0.97}
    with pytest.raises(CaptureError, match="no sparsity is published of SmolLM2-135M: record it"):
        of_model("smollm2")
    with pytest.raises(ShapeError):
        of_model("nothing")


def test_nimbleedge(tmp_path):
    path = written(tmp_path, "sparsity.json", {"gate": [75.0, 80.5], "up": [50, 49.5]})
    gate, up = read_tables(path)
    assert (gate.what, gate.by_layer) == ("gate", (0.75, 0.805))
    assert (up.what, up.by_layer) == ("up", (0.5, 0.495))


def test_polar_sparsity(tmp_path):
    text = "layer,batch_size,optimal_k\n" + "".join(
        f"{layer},{batch},{1024 * batch}\n" for layer in (1, 0) for batch in (1, 4)
    )
    one, four = read_tables(written(tmp_path, "router.csv", text), neurons=16384)
    assert (one.what, one.by_layer) == ("batch 1", (0.9375, 0.9375))
    assert (four.what, four.by_layer) == ("batch 4", (0.75, 0.75))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "sparsity,layer\n0.5,1\n0.25,0\n"),
        ("a.json", [0.25, 0.5]),
        ("a.json", {"1": 0.5, "0": 0.25}),
    ],
)
def test_simple_forms(tmp_path, name, text):
    (found,) = read_tables(written(tmp_path, name, text))
    assert found.by_layer == (0.25, 0.5)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "is not JSON: "),
        ("a.json", "3", "has no list of shares by layer: "),
        ("a.json", "[]", "down has nothing: give 0 to 1 by layer$"),
        ("a.json", "{}", "down has nothing: "),
        ("a.json", "[0.5, 1.5]", "down has 1.5: give 0 to 1 by layer$"),
        ("a.json", "[NaN]", "down has nan: "),
        ("a.json", '{"gate": [101]}', "gate has 101.0: give 0 to 100 by layer$"),
        ("a.json", '["x"]', "down has an entry that is no number$"),
        ("a.json", '{"0": 0.5, "2": 0.5}', r"has layers \[0, 2\]: give each from 0 on$"),
        ("a.csv", "a,b\n1,2\n", "has no columns layer and sparsity, or layer and optimal_k$"),
        ("a.csv", "", "has no columns layer and sparsity"),
        ("a.csv", "layer,sparsity\nx,0.5\n", "has 'x' where a whole number belongs$"),
        ("a.csv", "layer,sparsity\n0\n", "down has an entry that is no number$"),
        ("a.json", f"[1{'0' * 400}]", "down has an entry that is no number$"),
        ("a.json", '{"down": [0.9, 0.8]}', "down has no entry above 1: give percent, not shares$"),
        ("a.json", '{"0": 0.5, "00": 0.6}', "has layer 0 twice: give one table in a file$"),
        ("a.csv", "layer,sparsity\n0,0.5\n0,0.9\n", "has layer 0 twice: "),
        ("a.csv", f"layer,sparsity\n{'x' * 200_000},1\n", "is not CSV: field larger than"),
        ("a.csv", "layer,optimal_k\n0,5\n", "says how many neurons are kept: say of how many$"),
    ],
)
def test_other_files(tmp_path, name, text, message):
    with pytest.raises(CaptureError, match=message):
        read_tables(written(tmp_path, name, text))


def test_no_file(tmp_path):
    with pytest.raises(CaptureError, match="cannot be read as UTF-8 text"):
        read_tables(tmp_path / "a.csv")


def test_batches_that_a_file_does_not_tell_apart(tmp_path):
    path = written(tmp_path, "a.csv", "layer,optimal_k\n0,1\n0,2\n")
    with pytest.raises(CaptureError, match="has layer 0 twice: give one table in a file$"):
        read_tables(path, neurons=4)


def test_a_byte_order_mark(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("layer,sparsity\n0,0.5\n", encoding="utf-8-sig")
    assert read_tables(path)[0].by_layer == (0.5,)


@pytest.mark.parametrize("neurons", [0, -4])
def test_no_neurons(tmp_path, neurons):
    path = written(tmp_path, "a.csv", "layer,optimal_k\n0,1\n")
    with pytest.raises(CaptureError, match=f"^{neurons} neurons of a layer: give 1 or more$"):
        read_tables(path, neurons=neurons)


def test_more_kept_than_there_are(tmp_path):
    path = written(tmp_path, "a.csv", "layer,batch_size,optimal_k\n0,1,512\n")
    with pytest.raises(CaptureError, match=r"batch 1 has -1.0: give 0 to 1 by layer$"):
        read_tables(path, neurons=256)

# SPDX-License-Identifier: Apache-2.0
"""TEAL's histograms and PowerInfer's counts, read without torch."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from made_up_torch import save

from sparsity.errors import CaptureError
from sparsity.recording import powerinfer, teal
from sparsity.recording.foreign import convert, is_foreign, kind
from sparsity.recording.reading import read

FILES = Path(__file__).parents[1] / "data" / "torch_files"


def histogram(values, bins=10_000):
    """Bins as TEAL's `find_histogram` makes them."""
    values = np.sort(values.ravel().astype(np.float32))
    cut = int(0.01 * len(values))
    inner = np.linspace(values[cut], values[-cut], bins - 1)
    edges = np.concatenate([values[:1], inner, values[-1:]]).astype(np.float32)
    counts, _ = np.histogram(values, edges)
    return ((edges[:-1] + edges[1:]) / 2).astype(np.float32), counts.astype(np.float32)


def write_layer(folder, layer, d=64, k=176, tokens=50, seed=0):
    chance = np.random.default_rng((seed, layer))
    tensors = {}
    for key, width in (("h1", d), ("h2", k)):
        centers, counts = histogram(chance.standard_normal((tokens, width)) * (layer + 1), 100)
        tensors |= {key: counts, f"{key}_centers": centers}
    path = folder / f"layer-{layer}" / "mlp" / "histograms.pt"
    path.parent.mkdir(parents=True)
    save(tensors, path)
    return path


def test_a_file_of_torch():
    found = teal.read_histograms(FILES / "histograms.pt")
    assert set(found) == {"h1", "h1.5", "h2"}
    assert found["h1"].total == 50 * 64
    assert found["h2"].total == 50 * 176
    (layer,) = teal.read_layers(FILES / "histograms.pt")
    assert layer.ratio == 176 / 64
    # Gaussian of standard deviation 0.1: half its magnitudes lie below 0.674 of it.
    assert layer.down_input.threshold(0.5) == pytest.approx(0.0674, abs=0.003)


@pytest.mark.parametrize("sparsity", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_thresholds_reach_their_sparsity(sparsity):
    values = np.random.default_rng(0).laplace(size=200_000)
    found = teal.TealHistogram(*(each.astype(np.float64) for each in histogram(values)))
    limit = found.threshold(sparsity)
    assert (np.abs(values) <= limit).mean() == pytest.approx(sparsity, abs=0.003)
    assert found.sparsity(limit) == pytest.approx(sparsity, abs=0.003)
    energy = np.square(values[np.abs(values) <= limit]).sum() / np.square(values).sum()
    assert found.energy_dropped(limit) >= energy  # at most, it says
    assert found.magnitudes().threshold(sparsity) == pytest.approx(limit, rel=0.04)


def test_the_energy_bound_is_near_where_tails_are_light():
    values = np.random.default_rng(0).uniform(-1, 1, 100_000)
    found = teal.TealHistogram(*(each.astype(np.float64) for each in histogram(values)))
    assert found.energy_dropped(0.5) == pytest.approx(0.125, rel=0.02)
    assert found.energy_dropped(0.0) == 0
    assert found.energy_dropped(2.0) == 1


def test_the_quantile_is_that_of_teals_code():
    """The values of `Distribution.icdf` worked out by hand."""
    found = teal.TealHistogram(np.array([-3.0, -1, 0, 1, 3]), np.array([1.0, 3, 2, 3, 1]))
    # Cumulated 1, 4, 6, 9, 10; 7.5 of 10 lies halfway from 6 to 9, between the middles 0 and 1.
    assert found.quantile(0.75) == 0.5
    assert found.threshold(0.5) == 0.5
    assert found.threshold(0) == 0
    assert found.quantile(0) == -3
    assert found.quantile(1) == 3
    with pytest.raises(CaptureError, match=r"^1.5 is not a share: "):
        found.quantile(1.5)


@pytest.mark.peers
def test_quantiles_of_torch():
    """`searchsorted` and the cumulated counts as TEAL has them, in torch."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    found = teal.read_histograms(FILES / "histograms.pt")["h2"]
    counts = torch.load(FILES / "histograms.pt", weights_only=True)["h2"]
    centers = torch.load(FILES / "histograms.pt", weights_only=True)["h2_centers"]
    cumulated = torch.cumsum(counts, dim=0)
    for share in (0.02, 0.3, 0.75, 0.95):
        target = share * counts.sum()
        at = int(torch.searchsorted(cumulated, target))
        part = (target - cumulated[at - 1]) / (cumulated[at] - cumulated[at - 1])
        theirs = float(centers[at - 1] + part * (centers[at] - centers[at - 1]))
        assert found.quantile(share) == pytest.approx(theirs, rel=1e-5)


def test_layers_go_by_number(tmp_path):
    for layer in (0, 1, 2, 10, 11):
        write_layer(tmp_path, layer)
    found = teal.read_layers(tmp_path)
    assert [each.layer for each in found] == [0, 1, 2, 10, 11]
    spreads = [each.down_input.threshold(0.5) / (each.layer + 1) for each in found]
    assert spreads == pytest.approx([0.674] * 5, abs=0.03)


@pytest.mark.parametrize(
    ("name", "k", "wrong"),
    [
        ("Llama-2-7B", 11008, False),
        ("Llama-3-8B", 14336, False),
        ("Llama-3-8B", 11008, True),
        ("Mistral-7B", 14336, False),
        ("Mistral-7B", 11008, True),
        ("somebody's", 11008, False),
    ],
)
def test_the_copy_of_llama_2_in_llama_3s_folder(tmp_path, name, k, wrong):
    folder = tmp_path / name / "histograms"
    path = write_layer(folder, 0, d=4096, k=k, tokens=2)
    for given in (folder, path):
        found = teal.warnings(teal.read_layers(given), given)
        assert len(found) == wrong
        assert all("2.6875 neurons per weight of a row, not 3.5000" in each for each in found)
    beside = folder / "Untitled"
    write_layer(beside, 0, d=4096, k=14336, tokens=2)
    assert bool(teal.warnings(teal.read_layers(beside), beside)) == (name == "Llama-2-7B")


def vectors(**changes):
    centers, counts = histogram(np.random.default_rng(0).standard_normal(500), 20)
    tensors = {"h1": counts, "h1_centers": centers, "h2": counts, "h2_centers": centers}
    return {key: each for key, each in (tensors | changes).items() if each is not None}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (np.zeros(3, np.float32), "holds no dict of tensors: give a histograms.pt of TEAL$"),
        ({"x": np.zeros(3, np.float32)}, "has no pair such as h1 and h1_centers: "),
        (vectors(h2=None), "lacks h1 or h2: give the histograms of an mlp block$"),
        (vectors(h2=np.zeros(3, np.float32)), "h2 and h2_centers are not two vectors of one"),
        (vectors(h2=np.zeros(20, np.float32)), "h2 has counted nothing$"),
        (vectors(h2=np.full(20, -1, np.float32)), "h2 is no histogram: "),
        (vectors(h2_centers=np.arange(20, 0, -1, dtype=np.float32)), "h2 is no histogram: "),
        (vectors(h2_centers=np.full(20, np.nan, np.float32)), "h2 is no histogram: "),
        (vectors(h2_centers=np.zeros(20, np.float32)), "h2 is no histogram: "),
        (vectors(h2=np.full(20, 1e30, np.float32)), r"h2 has counted 2e\+31 values: "),
    ],
)
def test_files_that_are_not_teals(tmp_path, tensors, message):
    save(tensors, tmp_path / "histograms.pt")
    with pytest.raises(CaptureError, match=message):
        teal.read_layers(tmp_path / "histograms.pt")


def test_no_teal_folder(tmp_path):
    with pytest.raises(CaptureError, match=r"has no layer-N/mlp/histograms.pt: "):
        teal.read_layers(tmp_path)


def test_a_file_of_counts():
    assert powerinfer.read_activations(FILES / "activation_3.pt")[3].tolist() == [
        *(5, 0, 3, 9, 1, 0, 7)
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_layers_10_and_11_come_after_2(tmp_path, dtype):
    for layer in range(12):
        save(np.arange(6, dtype=dtype) + 100 * layer, tmp_path / f"activation_{layer}.pt")
    (tmp_path / "activation_x.pt").write_text("not one of them")
    found = powerinfer.read_activations(tmp_path)
    assert list(found) == list(range(12))
    assert [counts[0] for counts in found.values()] == [100 * layer for layer in range(12)]
    assert all(counts.dtype == np.int64 for counts in found.values())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([0.5, 1], np.float32), "has fractions, not counts: "),
        (np.array([-1, 1], np.int64), "has entries that are no counts: "),
        (np.array([np.nan, 1], np.float32), "has entries that are no counts: "),
        (np.array([1e30, 1], np.float32), r"has a count of 1e\+30: "),
        (np.zeros(0, np.float32), "is not one vector of counts$"),
        ({"a": np.zeros(2, np.float32)}, "is not one vector of counts$"),
    ],
)
def test_files_that_are_no_counts(tmp_path, values, message):
    save(values, tmp_path / "activation_0.pt")
    with pytest.raises(CaptureError, match=message):
        powerinfer.read_activations(tmp_path)


def test_a_missing_layer(tmp_path):
    for layer in (0, 1, 3):
        save(np.ones(3, np.float32), tmp_path / f"activation_{layer}.pt")
    with pytest.raises(CaptureError, match=r"lacks activation_2.pt: give all of the model$"):
        powerinfer.read_activations(tmp_path)
    save(np.ones(3, np.float32), tmp_path / "activation_999999999.pt")
    with pytest.raises(CaptureError, match=r"lacks activation_2.pt: give all of the model$"):
        powerinfer.read_activations(tmp_path)
    with pytest.raises(CaptureError, match=r"has no activation_N.pt: "):
        powerinfer.read_activations(tmp_path / "none")


def test_hottest():
    counts = np.array([0, 10, 0, 30, 0, 0, 40, 20, 0, 0])
    assert powerinfer.hottest(counts, [0.1, 0.2, 1]) == [0.4, 0.7, 1]
    assert powerinfer.hottest(np.zeros(5, np.int64)) == [0, 0, 0]


def test_teal_becomes_a_recording(tmp_path):
    for layer in (0, 1):
        write_layer(tmp_path / "in", layer)
    assert kind(tmp_path / "in") == "teal"
    assert convert(tmp_path / "in", tmp_path / "out.npz") == []
    found = read(tmp_path / "out.npz")
    assert found.layers == (0, 1)
    assert found.histogram(1).total == 50 * 176
    assert found.threshold(1, 0.5) == pytest.approx(2 * 0.674, rel=0.05)
    for ask in (found.masks, found.counts, found.statistics, found.neurons):
        with pytest.raises(CaptureError):
            ask(0)
    with pytest.raises(CaptureError, match="how many tokens"):
        _ = found.tokens


def test_powerinfer_becomes_a_recording(tmp_path):
    shutil.copy(FILES / "activation_3.pt", tmp_path)
    assert kind(tmp_path) == "powerinfer"
    assert is_foreign(tmp_path)
    convert(tmp_path / "activation_3.pt", tmp_path / "out.npz")
    found = read(tmp_path / "out.npz")
    assert found.counts(3).tolist() == [5, 0, 3, 9, 1, 0, 7]
    assert found.neurons(3) == 7
    with pytest.raises(CaptureError, match="has no histogram of layer 3"):
        found.threshold(3, 0.5)


def test_layers_of_foreign_files(tmp_path):
    for layer in (0, 1):
        write_layer(tmp_path / "in", layer)
    convert(tmp_path / "in", tmp_path / "out.npz", [1])
    assert read(tmp_path / "out.npz").layers == (1,)
    with pytest.raises(CaptureError, match=r"^no layer 4: the model has 0 to 1$"):
        convert(tmp_path / "in", tmp_path / "bad.npz", [0, 4])
    with pytest.raises(CaptureError, match="is neither TEAL's histograms nor PowerInfer's"):
        convert(tmp_path / "out.npz", tmp_path / "bad.npz")
    assert not (tmp_path / "bad.npz").exists()
    assert not is_foreign(tmp_path / "nothing")

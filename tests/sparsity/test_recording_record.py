# SPDX-License-Identifier: Apache-2.0
import os
import tracemalloc
import zipfile

import numpy as np
import pytest

from sparsity.errors import CaptureError, MaskError
from sparsity.recording.layout import CHUNK
from sparsity.recording.reading import is_recording, read
from sparsity.recording.record import Recorder
from sparsity.thresholds.quantiles import MagnitudeHistogram


def made_up(tokens, neurons, seed=0, sparsity=0.6):
    chance = np.random.default_rng(seed)
    values = chance.standard_normal((tokens, neurons)).astype(np.float32)
    values[chance.random(values.shape) < sparsity] = 0
    values[chance.random(values.shape) < 0.1] *= -0.0  # keeps the zeros' signs mixed
    return values


def write(path, layers, pieces=None, **settings):
    with Recorder(path, "made up", **settings) as recorder:
        for layer, values in layers.items():
            for part in pieces(values) if pieces else [values]:
                recorder.add(layer, part)
    return read(path)


@pytest.mark.parametrize("neurons", [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 63, 64, 65, 1000])
def test_masks_and_counts_are_those_of_plain_code(tmp_path, neurons):
    values = made_up(CHUNK + 7, neurons, neurons)
    found = write(tmp_path / "r.npz", {4: values})
    plain = [[value != 0 for value in row] for row in values.tolist()]
    assert found.masks(4).tolist() == plain
    assert found.counts(4).tolist() == [sum(column) for column in zip(*plain, strict=True)]
    assert found.neurons(4) == neurons
    assert found.tokens == len(values)


@pytest.mark.parametrize("tokens", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_any_number_of_tokens(tmp_path, tokens):
    values = made_up(tokens, 20)
    found = write(tmp_path / "r.npz", {0: values}, keep_values=True)
    np.testing.assert_array_equal(found.masks(0), values != 0)
    np.testing.assert_array_equal(found.values(0), values.astype(np.float16))
    assert [len(chunk) for chunk in found.chunks(0)] == [
        min(CHUNK, tokens - first) for first in range(0, tokens, CHUNK)
    ]


def pieces_of(seed):
    def pieces(values):
        chance = np.random.default_rng(seed)
        cuts = np.sort(chance.integers(0, len(values) + 1, 9))
        return np.split(values, cuts)

    return pieces


@pytest.mark.parametrize("seed", range(6))
def test_a_stream_gives_the_file_that_one_piece_gives(tmp_path, seed):
    values = made_up(2 * CHUNK + 50, 37, seed)
    limits = {0: 0.5} if seed % 2 else None
    both = []
    for name, pieces in (("whole", None), ("stream", pieces_of(seed))):
        write(tmp_path / name, {0: values}, pieces, keep_values=True, thresholds=limits)
        with zipfile.ZipFile(tmp_path / name) as archive:
            names = archive.namelist()
            both.append({n: archive.read(n) for n in names if n != "metadata.json"})
    assert both[0] == both[1]
    one, other = (read(tmp_path / name).statistics(0) for name in ("whole", "stream"))
    assert one.model_dump() == pytest.approx(other.model_dump(), rel=1e-9, abs=1e-12)


def test_layers_may_take_turns(tmp_path):
    first, second = made_up(600, 12), made_up(600, 9, 1)
    with Recorder(tmp_path / "r.npz", "two") as recorder:
        for at in range(0, 600, 50):
            recorder.add(7, first[at : at + 50])
            recorder.add(2, second[at : at + 50])
    found = read(tmp_path / "r.npz")
    assert found.layers == (2, 7)
    np.testing.assert_array_equal(found.masks(7), first != 0)
    np.testing.assert_array_equal(found.masks(2), second != 0)


def test_statistics_are_those_of_numpy(tmp_path):
    values = made_up(300, 21) + np.float32(0.25)
    found = write(tmp_path / "r.npz", {0: values}, pieces_of(3), thresholds={0: 1.0}).statistics(0)
    exact = values.astype(np.float64)
    from_mean = exact - exact.mean()
    sparsities = (np.abs(values) < 1).mean(axis=1)
    assert found.model_dump() == pytest.approx(
        {
            "mean": exact.mean(),
            "mean_magnitude": np.abs(exact).mean(),
            "std": exact.std(),
            "largest_magnitude": np.abs(exact).max(),
            "kurtosis": (from_mean**4).mean() / (from_mean**2).mean() ** 2,
            "sparsity": sparsities.mean(),
            "sparsity_least": sparsities.min(),
            "sparsity_most": sparsities.max(),
            "sparsity_std": sparsities.std(),
        },
        rel=1e-9,
    )


def test_kurtosis_of_known_distributions(tmp_path):
    chance = np.random.default_rng(1)
    shape = 500, 400
    layers = {0: chance.standard_normal(shape), 1: chance.laplace(size=shape)}
    found = write(tmp_path / "r.npz", layers)
    assert found.statistics(0).kurtosis == pytest.approx(3, abs=0.1)
    assert found.statistics(1).kurtosis == pytest.approx(6, abs=0.4)


def test_equal_values_have_no_kurtosis(tmp_path):
    found = write(tmp_path / "r.npz", {0: np.ones((3, 4))}).statistics(0)
    assert (found.std, found.kurtosis) == (0, None)


def test_histogram_and_thresholds(tmp_path):
    values = made_up(CHUNK + 9, 30, sparsity=0)
    found = write(tmp_path / "r.npz", {0: values}, pieces_of(2))
    whole = MagnitudeHistogram()
    whole.add(values)
    np.testing.assert_array_equal(found.histogram(0).counts, whole.counts)
    for sparsity in (0, 0.3, 0.5, 0.9):
        assert found.threshold(0, sparsity) == whole.threshold(sparsity)


def test_a_threshold_keeps_what_equals_it_and_never_a_zero(tmp_path):
    values = np.array([[0.0, -0.0, 0.5, -0.5, 0.25, -1.0]])
    found = write(tmp_path / "r.npz", {0: values}, thresholds={0: 0.5})
    assert found.masks(0).tolist() == [[False, False, True, True, False, True]]
    assert found.layer(0).threshold == 0.5
    found = write(tmp_path / "z.npz", {0: values}, thresholds={0: 0.0})
    assert found.masks(0).tolist() == [[False, False, True, True, True, True]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_any_floats(tmp_path, dtype):
    found = write(tmp_path / "r.npz", {0: np.array([[0, 2.5, -0.0]], dtype)})
    assert found.masks(0).tolist() == [[False, True, False]]


def test_for_the_permutation(tmp_path):
    values = made_up(40, 10)
    found = write(tmp_path / "r.npz", {0: values}, keep_values=True).recorded(0)
    np.testing.assert_array_equal(found.masks, values != 0)
    np.testing.assert_array_equal(found.activations, values.astype(np.float16))
    assert write(tmp_path / "m.npz", {0: values}).recorded(0).activations is None
    with pytest.raises(MaskError):
        found.split(2)


def test_the_same_run_gives_the_same_bytes(tmp_path):
    values = made_up(300, 33)
    for name in ("a", "b"):
        write(tmp_path / name, {0: values})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numpy_reads_the_arrays(tmp_path):
    values = made_up(10, 16)
    write(tmp_path / "r.npz", {5: values})
    with np.load(tmp_path / "r.npz") as arrays:
        bits = np.unpackbits(arrays["masks_5_0"], axis=1, bitorder="little")
    np.testing.assert_array_equal(bits, values != 0)


def test_a_failed_run_leaves_nothing(tmp_path):
    (tmp_path / "r.npz").write_text("before")
    with pytest.raises(ZeroDivisionError), Recorder(tmp_path / "r.npz", "m") as recorder:
        recorder.add(0, made_up(400, 9))
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["r.npz"]
    assert (tmp_path / "r.npz").read_text() == "before"


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CaptureError, match="pipe: it is no file, name one$"):
        Recorder(tmp_path / "pipe", "m")
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "^no token was recorded: "),
        ([(0, np.zeros((0, 4)))], "^no token was recorded: "),
        ([(0, np.ones((2, 4))), (1, np.ones((3, 4)))], r"^layers have \[2, 3\] tokens: "),
        ([(0, np.ones((2, 4))), (0, np.ones((2, 5)))], "^layer 0 has 4 neurons, 5 came: "),
        ([(0, np.ones(4))], r"^layer 0: activations of shape \[4\]: give \[tokens, neurons\]$"),
        ([(-1, np.ones((2, 4)))], "^there is no layer -1: count from 0$"),
        ([(3, np.array([[1, np.nan]]))], "^layer 3 has nan for neuron 1: "),
        ([(3, np.array([[np.inf, 1]]))], "^layer 3 has inf for neuron 0: "),
    ],
)
def test_what_cannot_be_recorded(tmp_path, steps, message):
    with pytest.raises(CaptureError, match=message), Recorder(tmp_path / "r.npz", "m") as recorder:
        for layer, values in steps:
            recorder.add(layer, values)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("threshold", [np.nan, np.inf, -1.0])
def test_a_threshold_that_is_none(tmp_path, threshold):
    with pytest.raises(CaptureError, match=f"^the threshold of layer 2 is {threshold}: give a fin"):
        Recorder(tmp_path / "r.npz", "m", thresholds={2: threshold})
    assert not list(tmp_path.iterdir())


def test_values_that_float16_cannot_hold(tmp_path):
    large = np.array([[65519.0, -65520.0]])
    with pytest.raises(CaptureError, match=r"^layer 0 has a magnitude of 6.552e\+04, more than"):
        write(tmp_path / "r.npz", {0: large}, keep_values=True)
    found = write(tmp_path / "r.npz", {0: large[:, :1]}, keep_values=True)
    assert found.values(0).tolist() == [[65504.0]]
    assert write(tmp_path / "r.npz", {0: large}).masks(0).all()


def test_what_was_not_recorded(tmp_path):
    found = write(tmp_path / "r.npz", {1: made_up(3, 4), 5: made_up(3, 4)})
    with pytest.raises(CaptureError, match=r"has no layer 0: choose from 1, 5$"):
        found.masks(0)
    with pytest.raises(CaptureError, match=r"has no values: record them with --keep-values$"):
        found.values(1)
    assert is_recording(tmp_path / "r.npz")


def test_memory_does_not_grow_with_the_text(tmp_path):
    values = made_up(CHUNK, 500)
    peaks = []
    for chunks in (2, 24):
        tracemalloc.start()
        with Recorder(tmp_path / "r.npz", "m", keep_values=True) as recorder:
            for _ in range(chunks):
                recorder.add(0, values)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_each_text_has_its_own_masks(tmp_path):
    texts = [made_up(tokens, 20, tokens) for tokens in (3, CHUNK + 1, 1)]
    with Recorder(tmp_path / "r.npz", "made up") as recorder:
        recorder.end_text()  # of no token
        for values in texts:
            for layer in (0, 5):
                recorder.add(layer, values)
            recorder.end_text()
    found = read(tmp_path / "r.npz")
    assert found.about.texts == (3, CHUNK + 1, 1)
    for masks, values in zip(found.texts(5), texts, strict=True):
        np.testing.assert_array_equal(masks, values != 0)


def test_a_recording_that_names_no_texts_is_one(tmp_path):
    found = write(tmp_path / "r.npz", {0: made_up(9, 20)})
    assert found.about.texts == ()
    (masks,) = found.texts(0)
    np.testing.assert_array_equal(masks, found.masks(0))

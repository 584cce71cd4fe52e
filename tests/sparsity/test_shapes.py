# SPDX-License-Identifier: Apache-2.0
"""The model table against numbers worked out elsewhere."""

import re

import pytest

from sparsity.errors import ShapeError
from sparsity.shapes import ALIASES, ELEMENT_BITS, MODELS, check_row_bytes, row_bytes, shape

KIB = 1024
MIB = 1024 * KIB


@pytest.mark.parametrize(
    ("name", "row", "matrix_mib"),
    [
        ("ReluLLaMA-7B", 8192, 86.0),
        ("ProSparse-7B", 8192, 86.0),
        ("ReluLLaMA-13B", 10240, 135.0),
        ("ProSparse-13B", 10240, 135.0),
        ("OPT-6.7B", 8192, 128.0),
        ("Falcon-7B", 9088, 157.53),
        ("Mistral-7B", 8192, 112.0),
        ("Llama-3-8B", 8192, 112.0),
        ("Phi-2", 5120, 50.0),
        ("Phi-3-mini", 6144, 48.0),
        ("SmolLM2-135M", 1152, 1.69),
        ("USE-lite", 1024, 1.5),
    ],
)
def test_bf16_sizes(name: str, row: int, matrix_mib: float) -> None:
    model = shape(name)
    assert model.row_bytes() == row
    assert model.matrix_bytes() / MIB == pytest.approx(matrix_mib, abs=0.005)


def test_llama_7b_ffn_is_its_published_share_of_the_parameters() -> None:
    model = shape("llama2-7b")
    ffn = model.layers * model.matrices * model.k * model.d
    attention = model.layers * 4 * model.d**2
    embeddings_and_norms = 2 * 32000 * model.d + 65 * model.d
    assert ffn + attention + embeddings_and_norms == 6_738_415_616


def test_narrow_formats_shrink_a_row() -> None:
    falcon = shape("Falcon-7B")
    assert [falcon.row_bytes(dtype) for dtype in ELEMENT_BITS] == [9088, 9088, 4544, 2272]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_model_can_be_moved_and_needs_no_bitmap_tail(model) -> None:
    assert model.k % 64 == 0
    assert all(model.row_bytes(dtype) % 4 == 0 for dtype in ELEMENT_BITS)
    assert shape(model.name) is model


def test_per_layer_sparsities_average_to_the_published_mean() -> None:
    published = shape("ReluLLaMA-7B").sparsity
    assert published is not None
    assert len(published.per_layer) == shape("ReluLLaMA-7B").layers
    assert sum(published.per_layer) / 32 == pytest.approx(published.mean, abs=0.0006)
    assert (max(published.per_layer), min(published.per_layer)) == (0.751, 0.554)


def test_layer_sparsity_prefers_the_layer_then_the_mean_then_nothing() -> None:
    assert shape("ReluLLaMA-7B").layer_sparsity(31) == 0.554
    assert shape("ProSparse-7B").layer_sparsity(31) == 0.8932
    assert shape("Mistral-7B").layer_sparsity(31) is None


@pytest.mark.parametrize("layer", [-1, 32])
def test_layer_beyond_the_model_refused(layer: int) -> None:
    with pytest.raises(ShapeError, match=f"^ReluLLaMA-7B has layers 0 to 31, not {layer}$"):
        shape("ReluLLaMA-7B").layer_sparsity(layer)


@pytest.mark.parametrize("name", ["use-lite", "USE-LITE", " use_lite ", "Use Lite"])
def test_names_are_forgiving(name: str) -> None:
    assert shape(name).name == "USE-lite"


def test_aliases_lead_somewhere_and_hide_no_name() -> None:
    names = {model.name.lower() for model in MODELS}
    assert not names & set(ALIASES)
    assert all(shape(alias).name == name for alias, name in ALIASES.items())


def test_unknown_model_refused_with_the_names() -> None:
    with pytest.raises(
        ShapeError, match=r"^no model 'gpt-5': choose from ReluLLaMA-7B, .*USE-lite"
    ):
        shape("gpt-5")


def test_unknown_format_refused() -> None:
    with pytest.raises(ShapeError, match=r"^no element format 'fp4': choose from bf16, fp16, int8"):
        row_bytes(64, "fp4")


@pytest.mark.parametrize(("weights", "dtype"), [(1, "int4"), (0, "bf16"), (-2, "int8")])
def test_row_of_no_whole_bytes_refused(weights: int, dtype: str) -> None:
    with pytest.raises(ShapeError, match=f"^{weights} weights of {dtype} do not fill"):
        row_bytes(weights, dtype)


@pytest.mark.parametrize("size", [-4, 0, 2, 1022])
def test_row_that_no_bd_can_move_refused(size: int) -> None:
    with pytest.raises(
        ShapeError, match=f"^a row of {size} bytes cannot be moved: .*multiple of 4$"
    ):
        check_row_bytes(size)


def test_row_of_half_a_word_refused() -> None:
    with pytest.raises(ShapeError, match=re.escape("a row of 6 bytes cannot be moved")):
        row_bytes(3, "bf16")

# SPDX-License-Identifier: Apache-2.0
"""The proof: it holds for every order and type, and fails for anything that is not a permutation.

The oracle for the outputs is exact arithmetic on integers, which is in no order.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsity import permute_proof
from sparsity.bf16 import to_bf16
from sparsity.permute import FIELDS, Ffn, PermuteError, inverse
from sparsity.permute_proof import hidden_vectors, prove

TYPES = ("bf16", "float16", "float32", "float64", "int8", "uint8")


def tensor(draw, shape, dtype="float32"):
    if dtype == "bf16":
        return to_bf16(draw.standard_normal(shape))
    if dtype in ("int8", "uint8"):
        return draw.integers(-100 if dtype == "int8" else 0, 100, shape).astype(dtype)
    return draw.standard_normal(shape).astype(dtype)


def whole(neurons=12, dtype="float32", names=FIELDS, seed=0):
    draw = np.random.default_rng(seed)
    shapes = {"down": (neurons, 5), "gate": (neurons, 7), "up": (neurons, 7)}
    return Ffn(**{name: tensor(draw, shapes.get(name, (neurons,)), dtype) for name in names})


def activations(neurons, vectors=3, seed=0):
    draw = np.random.default_rng(seed)
    return np.maximum(draw.standard_normal((vectors, neurons)), 0)


@pytest.mark.parametrize("dtype", TYPES)
@settings(max_examples=25, deadline=None)
@given(data=st.data(), neurons=st.integers(1, 40), seed=st.integers(0, 99))
def test_any_order_is_proved_equal(dtype, data, neurons, seed):
    ffn = whole(neurons, dtype, seed=seed)
    order = np.array(data.draw(st.permutations(range(neurons))))
    proof = prove(ffn, ffn.permuted(order), order, activations(neurons, seed=seed))
    assert proof.tensors == dict.fromkeys(FIELDS, neurons)
    assert proof.hidden == 2 * neurons
    assert proof.vectors == 3 + 1 + 2
    assert proof.products >= 5 * neurons
    assert 0 <= proof.bound_used <= 1


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_inverse_gives_the_same_bytes_back(data):
    ffn = whole()
    order = np.array(data.draw(st.permutations(range(12))))
    back = ffn.permuted(order).permuted(inverse(order))
    for name, each in ffn.tensors.items():
        assert back.tensors[name].tobytes() == each.tobytes()


@settings(max_examples=25, deadline=None)
@given(data=st.data(), inputs=st.lists(st.integers(-50, 50), min_size=7, max_size=7))
def test_the_permuted_ffn_is_the_same_function(data, inputs):
    ffn = whole(dtype="int8")
    order = np.array(data.draw(st.permutations(range(12))))
    assert output(ffn.permuted(order), inputs) == output(ffn, inputs)


def output(ffn, inputs):
    """The FFN in exact integers."""
    wide = {name: each.astype(object) for name, each in ffn.tensors.items()}
    gate = wide["gate"] @ np.array(inputs, object) + wide["bias_gate"]
    up = wide["up"] @ np.array(inputs, object) + wide["bias_up"]
    return (np.maximum(gate, 0) * up @ wide["down"]).tolist()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("down", "up"), lambda gate, up: np.maximum(up, 0)),
        (("down", "gate"), lambda gate, up: np.maximum(gate, 0)),
        (("down", "gate", "up"), lambda gate, up: np.maximum(gate, 0) * up),
    ],
)
def test_hidden_vectors_are_those_of_the_formula(names, expected):
    ffn = whole(dtype="int8", names=names)
    inputs = np.arange(14).reshape(2, 7) - 6
    gate, up = (
        None if each is None else inputs @ each.T.astype(int) for each in (ffn.gate, ffn.up)
    )
    assert np.array_equal(hidden_vectors(ffn, inputs), expected(gate, up))


def test_biases_are_added_before_the_activation_function():
    ffn = Ffn(np.ones((2, 1)), up=np.ones((2, 1)), bias_up=np.array([-3.0, 1.0]))
    assert hidden_vectors(ffn, np.array([[2.0]])).tolist() == [[0.0, 3.0]]


def test_an_ffn_of_more_rows_than_a_block_is_compared_whole():
    neurons = 2 * permute_proof._ROWS_AT_ONCE + 3
    ffn = whole(neurons, "float32")
    order = np.random.default_rng(5).permutation(neurons)
    after = ffn.permuted(order)
    assert prove(ffn, after, order, activations(neurons)).hidden == 2 * neurons
    after.down[-1] += 1
    with pytest.raises(PermuteError, match=f"^row {neurons - 1} of the permuted down is not row "):
        prove(ffn, after, order, activations(neurons))


@pytest.mark.parametrize("name", FIELDS)
def test_one_changed_bit_is_found_in_any_tensor(name):
    ffn, order = whole(), np.random.default_rng(1).permutation(12)
    for byte in range(ffn.tensors[name].nbytes):
        after = ffn.permuted(order)
        after.tensors[name].view(np.uint8).reshape(-1)[byte] ^= 1
        with pytest.raises(PermuteError, match=f"^row .* of the permuted {name} is not row "):
            prove(ffn, after, order, activations(12))


@pytest.mark.parametrize("name", FIELDS)
def test_a_tensor_left_in_the_old_order_is_found(name):
    ffn, order = whole(), np.roll(np.arange(12), 1)
    after = Ffn(**(ffn.permuted(order).tensors | {name: ffn.tensors[name]}))
    with pytest.raises(PermuteError, match=f"^row 0 of the permuted {name} is not row 11 of "):
        prove(ffn, after, order, activations(12))


def test_another_order_than_was_used_is_found():
    ffn, order = whole(), np.roll(np.arange(12), 1)
    with pytest.raises(PermuteError, match=r"^row 0 of the permuted down is not row 1 of down"):
        prove(ffn, ffn.permuted(order), inverse(order), activations(12))


def test_a_missing_tensor_is_found():
    ffn, order = whole(), np.arange(12)
    with pytest.raises(PermuteError, match=r"^the permuted FFN lacks a tensor or has one more: "):
        prove(ffn, Ffn(ffn.down), order, activations(12))


def test_another_type_is_found():
    ffn, order = whole(names=["down"]), np.arange(12)
    with pytest.raises(PermuteError, match=r"^the permuted down is another array than down: "):
        prove(ffn, Ffn(ffn.down.astype(np.float64)), order, activations(12))


@pytest.mark.parametrize(
    ("compare", "sentence"),
    [
        ("_compare_hidden", "the permuted FFN has other hidden values: "),
        ("_compare_output", "a product of the permuted FFN is another: "),
    ],
)
def test_running_finds_what_comparing_rows_would_have_missed(monkeypatch, compare, sentence):
    """Each part of the proof stands alone: the comparison of rows is switched off."""
    monkeypatch.setattr(permute_proof, "_compare_rows", lambda *_: {})
    ffn, order = whole(), np.random.default_rng(1).permutation(12)
    after = ffn.permuted(order)
    after.tensors["gate" if compare == "_compare_hidden" else "down"][3] *= 2
    with pytest.raises(PermuteError, match=f"^{sentence}"):
        prove(ffn, after, order, activations(12))


def test_a_sum_further_off_than_rounding_is_found():
    one = np.ones(2, np.float32)
    unit = np.finfo(np.float32).eps
    found = permute_proof._deviation(one, one + unit, np.ones(2), 3)
    assert found.deviation == pytest.approx(unit)
    assert found.bound_used == pytest.approx(0.5)
    with pytest.raises(PermuteError, match=r"output is further off than rounding: "):
        permute_proof._deviation(one, one + 3 * unit, np.ones(2), 3)


@pytest.mark.parametrize("idle", [0.0, -0.0])
def test_idle_vectors_prove_nothing_but_the_added_one_does(idle):
    ffn, order = whole(names=["down"]), np.random.default_rng(1).permutation(12)
    proof = prove(ffn, ffn.permuted(order), order, np.full((2, 12), idle))
    assert (proof.vectors, proof.products) == (3, 12 * 5)


@pytest.mark.parametrize("names", [("down",), ("down", "up")])
def test_an_output_that_overflows_is_refused(names):
    ffn, order = whole(names=names), np.arange(12)
    huge = Ffn(**{name: each * np.float32(1e38) for name, each in ffn.tensors.items()})
    with pytest.raises(PermuteError, match=r"overflows"):
        prove(huge, huge.permuted(order), order, np.full((1, 12), 9.0))

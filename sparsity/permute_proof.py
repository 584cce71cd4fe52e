# SPDX-License-Identifier: Apache-2.0
"""Proves that a permuted FFN is the FFN it was, by running both; after `sparsity.permute`.

What is compared, and how exactly:

1. Every row of every tensor, byte for byte, with the row it came from.
2. The hidden vectors of random inputs, where W_gate or W_up is there: each neuron's value bit for
   bit, at its new place. Each neuron's sum runs over the inputs in their order, wherever the
   neuron lies, which a BLAS would not promise.
3. Every product of an activation and a weight of W_down, bit for bit.
4. The output, bit for bit, when its products are added in the order that the rows had.
5. The output when they are added in the new order, as a device will do: floating-point addition
   does not commute over many terms, so it differs, by at most twice what any order of n terms can
   be off, (n-1)u / (1 - (n-1)u) times the sum of their magnitudes (N. Higham, Accuracy and
   Stability of Numerical Algorithms, section 4.2).

The arithmetic is float32, or float64 where a tensor needs it. Random vectors are added to recorded
ones such that every row takes part.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sparsity.permute import Ffn, Order, PermuteError, check_order, inverse, values

RANDOM_INPUTS = 2
"""Inputs that are run through W_gate and W_up."""
_ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared and found equal."""

    tensors: dict[str, int]
    """Rows compared byte for byte, by tensor."""
    hidden: int
    """Hidden values compared bit for bit; 0 where neither W_gate nor W_up is there."""
    vectors: int
    """Activation vectors run through W_down before and after, bit for bit the same output."""
    products: int
    """Products compared bit for bit."""
    deviation: float
    """Greatest difference of an output added in the new order, as a share of its sum of
    magnitudes."""
    bound_used: float
    """Greatest share of the bound on that difference that a vector took up, 0 to 1."""


def prove(before: Ffn, after: Ffn, order: Order, activations: NDArray[Any]) -> Proof:
    """Run an FFN and its permutation, and return what was equal.

    Args:
        before: as it was.
        after: as it is to be written.
        order: old neuron by new place.
        activations: [vectors, neurons], inputs of W_down in the old order; to these are added a
            random vector without zeros, and the hidden vectors of random inputs.

    Raises:
        PermuteError: something differs, or is not finite.
    """
    order = check_order(order, before.neurons)
    rows = _compare_rows(before, after, order)
    with np.errstate(all="ignore"):  # what overflows is refused by name
        hidden = _compare_hidden(before, after, order)
        full = np.random.default_rng(0).standard_normal((1, before.neurons))
        vectors = [*activations, *full, *hidden]
        dtype = _dtype(before)
        found = [_compare_output(before, after, order, each.astype(dtype)) for each in vectors]
    return Proof(
        tensors=rows,
        hidden=sum(each.size for each in hidden),
        vectors=len(vectors),
        products=sum(each.products for each in found),
        deviation=max(each.deviation for each in found),
        bound_used=max(each.bound_used for each in found),
    )


def hidden_vectors(ffn: Ffn, inputs: NDArray[Any]) -> NDArray[Any]:
    """Return what goes into W_down, relu(x W_gate + b_gate) * (x W_up + b_up).

    Args:
        ffn: with a gate, an up or both; ReLU is applied to the gate if there is one.
        inputs: [vectors, d_in].

    Returns:
        [vectors, neurons]. A neuron's value depends on its own row only, down to the last bit.
    """
    inputs = np.ascontiguousarray(inputs, _dtype(ffn))
    parts = ((ffn.gate, ffn.bias_gate), (ffn.up, ffn.bias_up))
    sums = [_affine(inputs, weights, bias) for weights, bias in parts if weights is not None]
    sums[0] = np.maximum(sums[0], 0)
    return sums[0] if len(sums) == 1 else sums[0] * sums[1]


def _dtype(ffn: Ffn) -> np.dtype[Any]:
    """The floating-point type to calculate in."""
    return np.result_type(*(values(tensor[:0]) for tensor in ffn.tensors.values()))


def _affine(inputs: NDArray[Any], weights: NDArray[Any], bias: NDArray[Any] | None) -> NDArray[Any]:
    """Return inputs times weights, and the bias."""
    sums = np.zeros((len(inputs), len(weights)), inputs.dtype)
    for first in range(0, len(weights), _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        _dots(inputs, values(weights[rows]).astype(inputs.dtype), sums[:, rows])
    return sums if bias is None else sums + values(bias).astype(inputs.dtype)


@njit(cache=True, nogil=True)
def _dots(inputs: NDArray[Any], rows: NDArray[Any], sums: NDArray[Any]) -> None:
    """Add the dot products of inputs and rows to the sums, each from its first term on."""
    for vector in range(len(inputs)):
        for row in range(len(rows)):
            for at in range(inputs.shape[1]):
                sums[vector, row] += inputs[vector, at] * rows[row, at]


def _compare_rows(before: Ffn, after: Ffn, order: Order) -> dict[str, int]:
    """Compare all rows as bytes; return how many by tensor."""
    if before.tensors.keys() != after.tensors.keys():
        raise PermuteError("the permuted FFN lacks a tensor or has one more: permute all of them")
    for name, tensor in before.tensors.items():
        permuted = after.tensors[name]
        if (permuted.dtype, permuted.shape) != (tensor.dtype, tensor.shape):
            raise PermuteError(f"the permuted {name} is another array than {name}: permute it anew")
        for first in range(0, len(order), _ROWS_AT_ONCE):
            new = slice(first, first + _ROWS_AT_ONCE)
            wrong = np.flatnonzero(_row_bytes(permuted[new]) != _row_bytes(tensor[order[new]]))
            if wrong.size:
                row = first + wrong[0]
                raise PermuteError(
                    f"row {row} of the permuted {name} is not row {order[row]} of {name}: "
                    "the output would change, permute it anew"
                )
    return {name: len(tensor) for name, tensor in before.tensors.items()}


def _row_bytes(rows: NDArray[Any]) -> NDArray[Any]:
    """Return each row as one opaque value of its bytes."""
    flat = np.ascontiguousarray(rows).reshape(len(rows), -1)
    return flat.view(f"V{flat.shape[1] * flat.itemsize}")[:, 0]


def _compare_hidden(before: Ffn, after: Ffn, order: Order) -> NDArray[Any]:
    """Compare the hidden vectors of random inputs; return those of the FFN as it was."""
    projection = before.gate if before.gate is not None else before.up
    if projection is None:
        return np.empty((0, before.neurons))
    inputs = np.random.default_rng(1).standard_normal((RANDOM_INPUTS, projection.shape[1]))
    hidden, permuted = hidden_vectors(before, inputs), hidden_vectors(after, inputs)
    if not np.isfinite(hidden).all():
        raise PermuteError("the FFN overflows on random inputs: its outputs cannot be compared")
    if permuted.tobytes() != hidden[:, order].tobytes():
        raise PermuteError("the permuted FFN has other hidden values: permute gate and up anew")
    return hidden


class _Output(NamedTuple):
    """What one activation vector adds to the proof."""

    products: int
    deviation: float
    bound_used: float


def _compare_output(before: Ffn, after: Ffn, order: Order, activation: NDArray[Any]) -> _Output:
    """Compare one vector's products, and their sums in the old order and in the new."""
    permuted = activation[order]
    wanted = np.flatnonzero(activation)
    moved = inverse(order)[wanted]
    old, same, new = (np.zeros(before.down.shape[1], activation.dtype) for _ in range(3))
    magnitude = np.zeros(len(old))
    products = _products(before.down, activation, wanted)
    for product, other in zip(products, _products(after.down, permuted, moved), strict=True):
        if product.tobytes() != other.tobytes():
            raise PermuteError("a product of the permuted FFN is another: permute it anew")
        old += product
        same += other
        magnitude += np.abs(product)
    for product in _products(after.down, permuted, np.sort(moved)):
        new += product
    if not np.isfinite(old).all():
        raise PermuteError("the FFN's output overflows: it cannot be compared, scale its weights")
    if old.tobytes() != same.tobytes():
        raise PermuteError("the permuted FFN has another output: permute it anew")
    return _deviation(new, old, magnitude, len(wanted))


def _products(
    down: NDArray[Any], activation: NDArray[Any], rows: NDArray[Any]
) -> Iterator[NDArray[Any]]:
    """Yield activation times weights, row by row."""
    for row in rows:
        yield activation[row] * values(down[row]).astype(activation.dtype)


def _deviation(
    new: NDArray[Any], old: NDArray[Any], magnitude: NDArray[Any], terms: int
) -> _Output:
    """Refuse two sums of the same terms that are further apart than any two orders can be."""
    unit = (terms - 1) * float(np.finfo(new.dtype).eps) / 2
    bound = 2 * unit / (1 - unit) if terms else 0.0
    apart = np.abs(new.astype(np.float64) - old)
    if (apart > bound * magnitude).any():
        raise PermuteError("the permuted FFN's output is further off than rounding: permute anew")
    share = np.divide(apart, magnitude, out=np.zeros_like(apart), where=magnitude > 0)
    deviation = float(share.max())
    return _Output(terms * len(new), deviation, deviation / bound if bound else 0.0)

# SPDX-License-Identifier: Apache-2.0
"""Renumbers an FFN's neurons so that those wanted together lie together, before any mask is made.

Offline, between `sparsity.recorded` (which neurons fired) and the weights that a device will load:
the rows of W_gate, W_up and W_down and the biases in front are put in one new order. The FFN is
the same function of its input, which `sparsity.permute_proof` proves; its masks have fewer runs,
hence `bdgen.pack` makes fewer BDs of them.

An order is int64 [neurons]: the old number of the neuron at each new place, so `rows[order]` are
the permuted rows, and `inverse(order)` is the order that undoes it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.bf16 import from_bf16
from sparsity.coactivation import coactivation
from sparsity.errors import PermuteError

Order = NDArray[np.int64]
_ROWS_AT_ONCE = 1024


def frequency(masks: NDArray[np.bool_]) -> Order:
    """Order neurons by how often they fire, most often first; equal ones stay in their order.

    Args:
        masks: bool [tokens, neurons].
    """
    return np.argsort(-masks.sum(axis=0, dtype=np.int64), kind="stable")


ORDERS: dict[str, Callable[[NDArray[np.bool_]], Order]] = {
    "coactivation": coactivation,
    "frequency": frequency,
}
"""Ways to an order by the name a person types, called with checked masks."""


def make_order(name: str, masks: NDArray[np.bool_]) -> Order:
    """Return the order of a name in `ORDERS`, made from recorded masks.

    Args:
        name: how.
        masks: bool [tokens, neurons].

    Raises:
        PermuteError: unknown name, or masks that are none, or of no token.
    """
    if name not in ORDERS:
        raise PermuteError(f'no order "{name}": choose from {", ".join(ORDERS)}')
    return ORDERS[name](check_masks(masks))


def check_masks(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return masks that are bool [tokens, neurons], with at least one of each.

    Raises:
        PermuteError: they are not.
    """
    if not isinstance(masks, np.ndarray) or masks.dtype != np.bool_ or masks.ndim != 2:
        raise PermuteError(f"masks are bool [tokens, neurons], not {_described(masks)}")
    if not masks.size:
        raise PermuteError(
            f"masks of {masks.shape[0]} tokens and {masks.shape[1]} neurons: record at least one"
        )
    return masks


def check_order(order: NDArray[Any], neurons: int) -> Order:
    """Return an order as int64, if it has each neuron once.

    Raises:
        PermuteError: not integers, not one per neuron, or one twice or out of range.
    """
    if not isinstance(order, np.ndarray) or order.dtype.kind not in "iu" or order.ndim != 1:
        raise PermuteError(f"an order is a vector of integers, not {_described(order)}")
    if len(order) != neurons:
        raise PermuteError(f"the order has {len(order)} entries for {neurons} neurons: give each")
    outside = np.flatnonzero((order < 0) | (order >= neurons))
    if outside.size:
        place = outside[0]
        raise PermuteError(
            f"the order has neuron {order[place]} in place {place}: they are 0 to {neurons - 1}"
        )
    times = np.bincount(order.astype(np.int64), minlength=neurons)
    if neurons and times.max() > 1:
        raise PermuteError(
            f"the order has neuron {times.argmax()} {times.max()} times: give each neuron once"
        )
    return order.astype(np.int64)


def inverse(order: NDArray[Any]) -> Order:
    """Return the order that undoes `order`: the new place by old number.

    Raises:
        PermuteError: not an order.
    """
    order = check_order(order, np.size(order))
    undo = np.empty_like(order)
    undo[order] = np.arange(len(order))
    return undo


def permute_rows(array: NDArray[Any], order: Order) -> NDArray[Any]:
    """Return a tensor with its rows, one per neuron, in a new order; C-contiguous.

    Raises:
        PermuteError: the order is not one of its rows.
    """
    return np.ascontiguousarray(array[check_order(order, len(array))])


@dataclass(frozen=True, slots=True, eq=False)
class Ffn:
    """What is known of an FFN: act(x W_gate + b_gate) * (x W_up + b_up) times W_down.

    One row per neuron in each, as the rows of W_down are loaded. uint16 is bfloat16 bits.
    """

    down: NDArray[Any]
    """[neurons, d]"""
    gate: NDArray[Any] | None = None
    """[neurons, d_in]; without it, the activation function is applied to `up`."""
    up: NDArray[Any] | None = None
    """[neurons, d_in]"""
    bias_gate: NDArray[Any] | None = None
    """[neurons]"""
    bias_up: NDArray[Any] | None = None
    """[neurons]"""

    def __post_init__(self) -> None:
        _check_weights(self)

    @property
    def neurons(self) -> int:
        """Number of neurons: the rows of every tensor."""
        return len(self.down)

    @property
    def tensors(self) -> dict[str, NDArray[Any]]:
        """What there is, by the name of its field."""
        named = {name: getattr(self, name) for name in FIELDS}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    def permuted(self, order: Order) -> "Ffn":
        """Return the same FFN with its neurons in another order.

        Raises:
            PermuteError: not an order of its neurons.
        """
        return Ffn(**{name: permute_rows(each, order) for name, each in self.tensors.items()})


FIELDS = ("down", "gate", "up", "bias_gate", "bias_up")
"""The tensors of an `Ffn` that have a row per neuron; a bias behind W_down has none."""


def values(tensor: NDArray[Any]) -> NDArray[Any]:
    """Return what a tensor's elements stand for, as float32, or float64 where they need it."""
    if tensor.dtype == np.uint16:
        return from_bf16(tensor)
    return tensor.astype(np.result_type(tensor.dtype, np.float32))


def _check_weights(ffn: Ffn) -> None:
    """Refuse tensors that are no numbers, have other than one row per neuron, or do not fit."""
    for name, tensor in ffn.tensors.items():
        shape, dtype = tensor.shape, tensor.dtype
        if dtype.kind not in "iuf" or dtype.itemsize > 8:
            raise PermuteError(f"{name} holds {dtype}: save integers, floats or bfloat16 bits")
        if tensor.ndim != (1 if name.startswith("bias") else 2) or not tensor.size:
            wanted = "neurons" if name.startswith("bias") else "neurons, width"
            raise PermuteError(f"{name} has shape {shape}: save it as [{wanted}]")
        if len(tensor) != ffn.neurons:
            turned = tensor.ndim == 2 and shape[1] == ffn.neurons
            advice = "save its transpose" if turned else "all have one row per neuron"
            raise PermuteError(
                f"{name} has {len(tensor)} rows, down has {ffn.neurons} (one per neuron): {advice}"
            )
        _check_finite(name, tensor)
    _check_pairs(ffn)


def _check_pairs(ffn: Ffn) -> None:
    """Refuse a gate and an up of other inputs, and a bias of a projection that is not there."""
    if ffn.gate is not None and ffn.up is not None and ffn.gate.shape != ffn.up.shape:
        raise PermuteError(
            f"gate has {ffn.gate.shape[1]} inputs and up {ffn.up.shape[1]}: "
            "give both from the same layer"
        )
    for name, weights in (("gate", ffn.gate), ("up", ffn.up)):
        if weights is None and f"bias_{name}" in ffn.tensors:
            raise PermuteError(f"bias_{name} is given without {name}: give both or neither")


def _check_finite(name: str, tensor: NDArray[Any]) -> None:
    for first in range(0, len(tensor), _ROWS_AT_ONCE):
        bad = ~np.isfinite(values(tensor[first : first + _ROWS_AT_ONCE]))
        if bad.any():
            row = first + int(np.argwhere(bad)[0][0])
            raise PermuteError(
                f"{name} has a NaN or infinity in row {row}: with it no output could be compared"
            )


def _described(thing: Any) -> str:
    if isinstance(thing, np.ndarray):
        return f"{thing.dtype} of shape {thing.shape}"
    return type(thing).__name__

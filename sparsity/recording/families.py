# SPDX-License-Identifier: Apache-2.0
"""Where families of transformers models keep their FFNs: a table of module names, and a search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsity.errors import CaptureError


@dataclass(frozen=True, slots=True)
class Family:
    """Where a family keeps its FFNs; paths are relative to the model without its head."""

    names: str
    """Models that are known to be of it."""
    layers: str
    """The list of decoder layers; the paths below are relative to one of them."""
    up: str
    """In a fused family the projection that gives the gate's half first, then up's."""
    down: str
    gate: str | None = None
    fused: bool = False

    def __str__(self) -> str:
        modules = " + ".join(name for name in (self.gate, self.up, self.down) if name)
        return f"{self.layers}[i] with {modules} ({self.names})"


FAMILIES: tuple[Family, ...] = (
    Family(
        "Llama, Mistral, Qwen2, Gemma",
        layers="layers",
        gate="mlp.gate_proj",
        up="mlp.up_proj",
        down="mlp.down_proj",
    ),
    Family("Phi-3", layers="layers", up="mlp.gate_up_proj", down="mlp.down_proj", fused=True),
    Family("Phi", layers="layers", up="mlp.fc1", down="mlp.fc2"),
    Family("OPT", layers="decoder.layers", up="fc1", down="fc2"),
    Family("Falcon", layers="h", up="mlp.dense_h_to_4h", down="mlp.dense_4h_to_h"),
    Family("GPT-NeoX", layers="layers", up="mlp.dense_h_to_4h", down="mlp.dense_4h_to_h"),
)
"""Module names as transformers 5.23 has them."""


@dataclass(frozen=True, slots=True)
class Ffn:
    """The modules of one layer's FFN."""

    up: Any
    down: Any
    gate: Any
    fused: bool


def find_ffns(model: Any) -> tuple[Ffn, ...]:
    """Return the FFNs of a transformers model, from input to output.

    Raises:
        CaptureError: they are not where any known family keeps them; the sentence has the names.
    """
    base = getattr(model, "base_model", model)
    for family in FAMILIES:
        found = [_ffn(layer, family) for layer in _at(base, family.layers) or ()]
        if found and None not in found:
            return tuple(ffn for ffn in found if ffn is not None)
    looked = ", ".join(map(str, FAMILIES))
    raise CaptureError(
        f"no FFN was found in {type(base).__name__}, which has none of {looked}: add its module "
        "names to sparsity.recording.families.FAMILIES"
    )


def _ffn(layer: Any, family: Family) -> Ffn | None:
    up, down = _at(layer, family.up), _at(layer, family.down)
    gate = None if family.gate is None else _at(layer, family.gate)
    if any(each is None for each in (up, down)) or (family.gate is not None and gate is None):
        return None
    return Ffn(up, down, gate, family.fused)


def _at(module: Any, path: str) -> Any:
    """Follow a dotted path of attributes; None where it ends early."""
    for name in path.split("."):
        module = getattr(module, name, None)
        if module is None:
            return None
    return module


_ACTIVATION_KEYS = "hidden_activation", "hidden_act", "activation_function", "activation"
_GELUS = (
    *("gelu", "gelu_new", "gelu_fast", "gelu_accurate"),
    *("gelu_python", "gelu_python_tanh", "gelu_pytorch_tanh"),
)
"""Within 5e-4 of each other; quick_gelu is .02 away, and gelu_10 is cut off."""
_ACTIVATIONS = {"swish": "silu"} | dict.fromkeys(_GELUS, "gelu")


def activation_of(config: Any) -> str:
    """Return the activation function that a configuration names: relu, silu, gelu, or its own."""
    for key in _ACTIVATION_KEYS:
        name = getattr(config, key, None)
        if isinstance(name, str):
            return _ACTIVATIONS.get(name, name)
    return "unknown"

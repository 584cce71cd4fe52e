# SPDX-License-Identifier: Apache-2.0
"""How a recording lies in its file: a zip of `.npy` arrays and a `metadata.json`.

| member | is |
|-|-|
| `masks_L_C.npy` | uint8 [tokens, k / 8 rounded up]: bit i % 8 of byte i // 8 is neuron i |
| `values_L_C.npy` | float16 [tokens, k], if they were kept |
| `counts_L.npy` | int64 [k]: tokens at which each neuron was active |
| `histogram_L.npy` | int64 [32768]: magnitudes, as `MagnitudeHistogram` counts them |

L is the layer's number in the model, C counts chunks of `CHUNK` tokens from 0, the last may be
shorter. `numpy.load` reads the arrays.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sparsity.recording.moments import Statistics

FORMAT = "sparsebd-recording"
VERSION = 1
METADATA = "metadata.json"
CHUNK = 256
"""Tokens of a chunk."""


class LayerAbout(BaseModel):
    """What the metadata says of one layer."""

    model_config = ConfigDict(frozen=True)

    layer: int = Field(ge=0)
    neurons: int | None = Field(default=None, ge=1)
    """None where a foreign file does not say, and then there are no masks and no counts."""
    threshold: float | None = None
    """An active neuron's value is not zero, and its magnitude at least this, if there is one."""
    statistics: Statistics | None = None
    has_masks: bool = True
    has_counts: bool = True
    has_histogram: bool = True

    @model_validator(mode="after")
    def _known(self) -> LayerAbout:
        if self.neurons is None and (self.has_masks or self.has_counts):
            raise ValueError(f"layer {self.layer} has masks or counts of no number of neurons")
        return self


class About(BaseModel):
    """The metadata."""

    model_config = ConfigDict(frozen=True)

    format: Literal["sparsebd-recording"] = FORMAT
    version: Literal[1] = VERSION
    model: str
    tokens: int | None = Field(default=None, ge=0)
    """None where a foreign file does not say."""
    chunk: int = Field(default=CHUNK, ge=1)
    keeps_values: bool = False
    texts: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Tokens of each text that the model ran over by itself; none where nothing says."""
    source: dict[str, Any] = Field(default_factory=dict)
    """Where the activations come from, in words: text, thresholds, package."""
    layers: tuple[LayerAbout, ...]

    @model_validator(mode="after")
    def _whole(self) -> About:
        if self.texts and sum(self.texts) != self.tokens:
            raise ValueError(f"{self.tokens} tokens are not those of its texts")
        return self


def masks_name(layer: int, chunk: int) -> str:
    """Member with one chunk's masks."""
    return f"masks_{layer}_{chunk}.npy"


def values_name(layer: int, chunk: int) -> str:
    """Member with one chunk's values."""
    return f"values_{layer}_{chunk}.npy"


def counts_name(layer: int) -> str:
    """Member with a layer's counts."""
    return f"counts_{layer}.npy"


def histogram_name(layer: int) -> str:
    """Member with a layer's histogram."""
    return f"histogram_{layer}.npy"

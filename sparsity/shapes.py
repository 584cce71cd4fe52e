# SPDX-License-Identifier: Apache-2.0
"""The model table: how many rows a down projection has, how wide, and how sparse its input is.

Where a run starts: `shape("ReluLLaMA-7B")` says what matrix to gather from. A row is one row of
the transposed down projection W_down, [k, d]: the d weights that one FFN neuron is multiplied by.
Widths and layer counts are those of each model's published configuration; a sparsity is the share
of exact zeros in the down projection's input that its named source reports, or there is none.
"""

from dataclasses import dataclass

from sparsity.errors import ShapeError

ELEMENT_BITS = {"bf16": 16, "fp16": 16, "int8": 8, "int4": 4}
"""Bits of one weight in each element format; block formats with scales are not among them."""

ROW_ALIGNMENT_BYTES = 4
"""A BD counts its length in 32-bit words."""


@dataclass(frozen=True, slots=True)
class PublishedSparsity:
    """The share of zeros in the down projection's input, as somebody published it."""

    mean: float
    source: str
    per_layer: tuple[float, ...] = ()
    """From the first layer to the last; empty where only a mean was published."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """One model's FFN, as far as moving its rows is concerned."""

    name: str
    d: int
    """Weights in a row: the model's width."""
    k: int
    """Rows: FFN neurons, the length of the activation vector."""
    layers: int
    activation: str
    """Of the FFN, as the original model has it."""
    gated: bool
    """Whether the FFN has a gate projection besides up and down."""
    sparsity: PublishedSparsity | None = None
    has_capture: bool = False
    """Whether this package ships its weights and activations: see `sparsity.capture`."""

    @property
    def matrices(self) -> int:
        """Number of FFN weight matrices in a layer."""
        return 3 if self.gated else 2

    def row_bytes(self, dtype: str = "bf16") -> int:
        """Return the bytes of one row; see the function `row_bytes` for errors."""
        return row_bytes(self.d, dtype)

    def matrix_bytes(self, dtype: str = "bf16") -> int:
        """Return the bytes of one layer's down projection."""
        return self.k * self.row_bytes(dtype)

    def layer_sparsity(self, layer: int) -> float | None:
        """Return the published sparsity of one layer: its own, else the model's mean, else None.

        Raises:
            ShapeError: the model has no such layer.
        """
        if not 0 <= layer < self.layers:
            raise ShapeError(f"{self.name} has layers 0 to {self.layers - 1}, not {layer}")
        if self.sparsity is None:
            return None
        return self.sparsity.per_layer[layer] if self.sparsity.per_layer else self.sparsity.mean


def row_bytes(weights: int, dtype: str = "bf16") -> int:
    """Return the bytes of a row of `weights` elements.

    Args:
        weights: elements in the row.
        dtype: a key of `ELEMENT_BITS`.

    Raises:
        ShapeError: unknown format, or a row that is not a whole number of 32-bit words.
    """
    if dtype not in ELEMENT_BITS:
        raise ShapeError(f"no element format {dtype!r}: choose from {', '.join(ELEMENT_BITS)}")
    bits = weights * ELEMENT_BITS[dtype]
    if weights < 1 or bits % 8:
        raise ShapeError(f"{weights} weights of {dtype} do not fill a row of whole bytes")
    return check_row_bytes(bits // 8)


def check_row_bytes(size_bytes: int) -> int:
    """Return `size_bytes` if a BD can move a row of that size.

    Raises:
        ShapeError: it is not a positive multiple of `ROW_ALIGNMENT_BYTES`.
    """
    if size_bytes < ROW_ALIGNMENT_BYTES or size_bytes % ROW_ALIGNMENT_BYTES:
        raise ShapeError(
            f"a row of {size_bytes} bytes cannot be moved: BDs count {ROW_ALIGNMENT_BYTES}-byte "
            f"words, so pad the row to a multiple of {ROW_ALIGNMENT_BYTES}"
        )
    return size_bytes


_PROSPARSE = "ProSparse, arXiv 2402.13516"
_STRIKES_BACK = "ReLU Strikes Back, arXiv 2310.04564"

# fmt: off
_RELULLAMA_7B_LAYERS = (
    0.743, 0.734, 0.689, 0.715, 0.736, 0.751, 0.750, 0.748,
    0.714, 0.709, 0.684, 0.690, 0.682, 0.677, 0.683, 0.676,
    0.693, 0.708, 0.701, 0.677, 0.669, 0.644, 0.629, 0.612,
    0.604, 0.607, 0.606, 0.612, 0.601, 0.590, 0.593, 0.554,
)
# fmt: on
_RELULLAMA_7B = PublishedSparsity(
    mean=0.6712,
    source="NimbleEdge sparse_transformers, ReluLLaMA-7B configuration (Apache-2.0)",
    per_layer=_RELULLAMA_7B_LAYERS,
)
_RELULLAMA_13B = PublishedSparsity(0.7156, f"{_PROSPARSE}, which measured ReluLLaMA")
_PROSPARSE_7B = PublishedSparsity(0.8932, _PROSPARSE)
_PROSPARSE_13B = PublishedSparsity(0.8880, _PROSPARSE)
_OPT = PublishedSparsity(0.97, _STRIKES_BACK)
_FALCON = PublishedSparsity(0.94, f"{_STRIKES_BACK}, stage 1: its GELU replaced by ReLU")

MODELS: tuple[ModelShape, ...] = (
    ModelShape("ReluLLaMA-7B", 4096, 11008, 32, "ReLU", gated=True, sparsity=_RELULLAMA_7B),
    ModelShape("ProSparse-7B", 4096, 11008, 32, "ReLU", gated=True, sparsity=_PROSPARSE_7B),
    ModelShape("ReluLLaMA-13B", 5120, 13824, 40, "ReLU", gated=True, sparsity=_RELULLAMA_13B),
    ModelShape("ProSparse-13B", 5120, 13824, 40, "ReLU", gated=True, sparsity=_PROSPARSE_13B),
    ModelShape("OPT-6.7B", 4096, 16384, 32, "ReLU", gated=False, sparsity=_OPT),
    ModelShape("Falcon-7B", 4544, 18176, 32, "GELU", gated=False, sparsity=_FALCON),
    ModelShape("Mistral-7B", 4096, 14336, 32, "SwiGLU", gated=True),
    ModelShape("Llama-3-8B", 4096, 14336, 32, "SwiGLU", gated=True),
    ModelShape("Phi-2", 2560, 10240, 32, "NewGELU", gated=False),
    ModelShape("Phi-3-mini", 3072, 8192, 32, "SwiGLU", gated=True),
    ModelShape("SmolLM2-135M", 576, 1536, 30, "SwiGLU", gated=True),
    ModelShape("USE-lite", 512, 1536, 2, "ReLU", gated=False, has_capture=True),
)
"""Every model known by name."""

ALIASES = {
    "llama2-7b": "ReluLLaMA-7B",
    "llama2-13b": "ReluLLaMA-13B",
    "prosparse-llama-2-7b": "ProSparse-7B",
    "prosparse-llama-2-13b": "ProSparse-13B",
    "opt": "OPT-6.7B",
    "falcon": "Falcon-7B",
    "mistral": "Mistral-7B",
    "llama3-8b": "Llama-3-8B",
    "phi2": "Phi-2",
    "phi3-mini": "Phi-3-mini",
    "smollm2": "SmolLM2-135M",
    "universal-sentence-encoder-lite": "USE-lite",
}
"""Other spellings that `shape` takes, in lower case with hyphens."""

_BY_SPELLING = {model.name.lower(): model for model in MODELS}
_BY_SPELLING |= {alias: _BY_SPELLING[name.lower()] for alias, name in ALIASES.items()}


def shape(name: str) -> ModelShape:
    """Return the model called `name`, whatever its case, with `_` or spaces for hyphens.

    Raises:
        ShapeError: no such model; the sentence lists those there are.
    """
    spelling = name.strip().lower().replace("_", "-").replace(" ", "-")
    if spelling not in _BY_SPELLING:
        known = ", ".join(model.name for model in MODELS)
        raise ShapeError(f"no model {name!r}: choose from {known}, or give rows and row bytes")
    return _BY_SPELLING[spelling]

# SPDX-License-Identifier: Apache-2.0
"""A GGUF file: its facts, its tensors as float32, its tokenizer. Read with the package `gguf`."""

from __future__ import annotations

import importlib
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import PackageError

EXTRA = "pip install 'sparsebd[models]'"


def extra(module: str) -> Any:
    """Import a module of the optional extra `models`; PackageError says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise PackageError(f"{module} is not installed, which models need: {EXTRA}") from None


class GgufFile:
    """A GGUF file, mapped into memory; tensors are dequantised when they are asked for."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self._gguf = extra("gguf")
        try:
            reader = self._gguf.GGUFReader(self.path)
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise PackageError(
                f"{self.path} is not a GGUF file that can be read: {error}"
            ) from None
        self._fields: dict[str, Any] = dict(reader.fields)
        self._tensors: dict[str, Any] = {tensor.name: tensor for tensor in reader.tensors}

    def fact(self, key: str) -> Any:
        """Return a number, text or list of the header; PackageError if there is none."""
        if key not in self._fields:
            raise PackageError(f"{self.path.name} has no {key} in its header")
        return self._fields[key].contents()

    def has(self, tensor: str) -> bool:
        """Whether there is a tensor of that name."""
        return tensor in self._tensors

    def tensor(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return a tensor as float32 in numpy's order of axes, [outputs, inputs] for a matrix.

        Raises:
            PackageError: no such tensor, another shape, or a format that `gguf` cannot dequantise.
        """
        if name not in self._tensors:
            raise PackageError(f"{self.path.name} has no tensor {name}")
        stored = self._tensors[name]
        found = tuple(int(size) for size in reversed(stored.shape))
        if found != shape:
            raise PackageError(f"{name} of {self.path.name} is {found}, not {shape}")
        try:
            values = self._gguf.quants.dequantize(stored.data, stored.tensor_type)
        except NotImplementedError as error:
            raise PackageError(f"{name} of {self.path.name}: {error}") from None
        return np.ascontiguousarray(values, np.float32).reshape(shape)

    def tokenizer(self) -> Any:
        """Return the byte-level BPE tokenizer that the file holds, of the package `tokenizers`.

        Digits are single tokens, as the pre-tokenizer `smollm` has it.

        Raises:
            PackageError: a tokenizer of another kind.
        """
        kind = (self.fact("tokenizer.ggml.model"), self.fact("tokenizer.ggml.pre"))
        if kind != ("gpt2", "smollm"):
            raise PackageError(f"{self.path.name} has a tokenizer {kind}, not a gpt2 of smollm's")
        tokenizers = extra("tokenizers")
        pieces = self.fact("tokenizer.ggml.tokens")
        merges = [tuple(pair.split(" ")) for pair in self.fact("tokenizer.ggml.merges")]
        numbers = {piece: number for number, piece in enumerate(pieces)}
        made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=numbers, merges=merges))
        steps = tokenizers.pre_tokenizers
        made.pre_tokenizer = steps.Sequence(
            [steps.Digits(individual_digits=True), steps.ByteLevel(add_prefix_space=False)]
        )
        made.decoder = tokenizers.decoders.ByteLevel()
        return made

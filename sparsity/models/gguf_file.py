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
from sparsity.npy import reason

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
                f"{self.path} is not a GGUF file that can be read: {reason(error)}"
            ) from None
        self._fields: dict[str, Any] = dict(reader.fields)
        self._tensors: dict[str, Any] = {tensor.name: tensor for tensor in reader.tensors}

    @property
    def tensors(self) -> frozenset[str]:
        """Names of all tensors."""
        return frozenset(self._tensors)

    def fact(self, key: str) -> Any:
        """Return a number, text or list of the header; PackageError if there is none."""
        if key not in self._fields:
            raise PackageError(f"{self.path.name} has no {key} in its header")
        try:
            return self._fields[key].contents()
        except UnicodeDecodeError as error:
            raise PackageError(f"{self.path.name} is damaged: {key} is no text: {error}") from None

    def states(self, key: str) -> bool:
        """Whether the header has this entry."""
        return key in self._fields

    def size(self, key: str) -> int:
        """Return a number of the header that is 1 or more; PackageError for anything else."""
        found = self.fact(key)
        if not isinstance(found, int) or found < 1:
            raise PackageError(f"{self.path.name} has {found!r} for {key}, not a number from 1 on")
        return found

    def real(self, key: str) -> float:
        """Return a number of the header above 0; PackageError for anything else."""
        found = self.fact(key)
        if not isinstance(found, int | float) or not 0 < found < float("inf"):
            raise PackageError(f"{self.path.name} has {found!r} for {key}, not a number above 0")
        return float(found)

    def texts(self, key: str) -> list[str]:
        """Return a list of texts of the header; PackageError for anything else."""
        found = self.fact(key)
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise PackageError(f"{self.path.name} has no list of texts for {key}")
        return found

    def has(self, tensor: str) -> bool:
        """Whether there is a tensor of that name."""
        return tensor in self._tensors

    def tensor(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return a tensor as float32 in numpy's order of axes, [outputs, inputs] for a matrix.

        Raises:
            PackageError: no such tensor, another shape, a format that `gguf` cannot dequantise, or
                a weight that is not finite.
        """
        if name not in self._tensors:
            raise PackageError(f"{self.path.name} has no tensor {name}")
        stored = self._tensors[name]
        found = tuple(int(size) for size in reversed(stored.shape))
        if found != shape:
            raise PackageError(f"{name} of {self.path.name} is {found}, not {shape}")
        try:
            with np.errstate(all="ignore"):  # what is not finite is refused below
                values = self._gguf.quants.dequantize(stored.data, stored.tensor_type)
        except NotImplementedError as error:
            raise PackageError(f"{name} of {self.path.name}: {error}") from None
        if not np.isfinite(values).all():
            raise PackageError(f"{name} of {self.path.name} is damaged: a weight is not finite")
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
        pieces = self.texts("tokenizer.ggml.tokens")
        pairs = self.texts("tokenizer.ggml.merges")
        numbers = {piece: number for number, piece in enumerate(pieces)}
        try:
            merges = [tuple(pair.split(" ")) for pair in pairs]
            made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=numbers, merges=merges))
        except Exception as error:  # the package raises nothing more special
            raise PackageError(
                f"{self.path.name} is damaged: its tokens and merges do not fit: {reason(error)}"
            ) from None
        steps = tokenizers.pre_tokenizers
        made.pre_tokenizer = steps.Sequence(
            [steps.Digits(individual_digits=True), steps.ByteLevel(add_prefix_space=False)]
        )
        made.decoder = tokenizers.decoders.ByteLevel()
        return made

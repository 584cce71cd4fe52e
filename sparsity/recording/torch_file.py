# SPDX-License-Identifier: Apache-2.0
"""Reads tensors from what `torch.save` wrote, without torch and without running what is in it.

Such a file is a zip: `NAME/data.pkl`, a pickle whose tensors are calls of a few functions, and
`NAME/data/KEY`, the raw bytes of each storage. The pickle may name those functions and types and
nothing else, so an object of any other kind is refused rather than made; so is a file that would
take far more memory than it is long.
"""

from __future__ import annotations

import io
import itertools
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.bf16 import from_bf16
from sparsity.errors import CaptureError
from sparsity.npy import UNREADABLE, reason

_STORAGES = {
    "FloatStorage": np.dtype("f4"),
    "DoubleStorage": np.dtype("f8"),
    "HalfStorage": np.dtype("f2"),
    "BFloat16Storage": np.dtype("u2"),
    "LongStorage": np.dtype("i8"),
    "IntStorage": np.dtype("i4"),
    "ShortStorage": np.dtype("i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
"""Types of storages, by their name in `torch`; bfloat16 becomes float32."""

_MOST = 1 << 24
"""Elements of a tensor that is larger than its storage, one that was expanded."""
_THINGS = 1 << 20
"""Dicts, lists, tensors and scalars in a file; what a pickle names twice is there twice."""

_UNREADABLE = (*UNREADABLE, pickle.UnpicklingError, AttributeError, IndexError)


class _Tensor:
    """A tensor in a pickle; not an array, whose state a pickle could set."""

    __slots__ = ("array",)

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array


class _Storage:
    """A storage's type, as a pickle names it."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class _Unpickler(pickle.Unpickler):
    """Makes dicts, lists, numbers, strings and tensors; refuses the rest."""

    def __init__(self, data: bytes, storage: Callable[[str, str], NDArray[Any]]) -> None:
        super().__init__(io.BytesIO(data))
        self._storage = storage

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Return what a name in the pickle stands for."""
        if module_name == "torch" and global_name in _STORAGES:
            return _Storage(global_name)
        if (module_name, global_name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module_name, global_name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise pickle.UnpicklingError(f"it holds a {module_name}.{global_name}, not only tensors")

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        """Return the storage that a tensor lies in."""
        kind, storage, key, *_ = pid
        if kind != "storage" or not isinstance(storage, _Storage) or not isinstance(key, str):
            raise pickle.UnpicklingError("it holds something that is no storage")
        return self._storage(storage.name, key)


def _tensor(
    storage: NDArray[Any], offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> _Tensor:
    """Lay a tensor over its storage, after making sure that it lies inside."""
    if len(shape) != len(stride) or min((offset, *shape, *stride)) < 0:
        raise ValueError("a tensor of impossible shape")
    last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    if 0 not in shape and last >= storage.size:
        raise ValueError("a tensor that ends outside its storage")
    if 0 in shape:
        return _Tensor(np.zeros(shape, storage.dtype))
    if math.prod(shape) > max(storage.size, _MOST):
        raise ValueError("a tensor far larger than its storage")
    strides = [step * storage.itemsize for step in stride]
    view = np.lib.stride_tricks.as_strided(storage[offset:], shape, strides, writeable=False)
    return _Tensor(view)


def read_tensors(path: str | PathLike[str]) -> Any:
    """Return what is in a file of `torch.save`: dicts, lists and tuples of arrays and scalars.

    Raises:
        CaptureError: unreadable, of before torch 1.6, or with objects other than tensors.
    """
    source = Path(path)
    try:
        with zipfile.ZipFile(source) as archive:
            return _opened(_load(archive))
    except zipfile.BadZipFile as error:
        raise CaptureError(
            f"{source} is not a file of torch.save since torch 1.6: load and save it anew"
        ) from error
    except _UNREADABLE as error:
        raise CaptureError(f"{source} cannot be read as tensors: {reason(error)}") from error


def _load(archive: zipfile.ZipFile) -> Any:
    names = archive.namelist()
    pickles = [name for name in names if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError(f"it has {len(pickles)} data.pkl, not 1")
    stem = pickles[0].removesuffix("data.pkl")
    order = archive.read(f"{stem}byteorder") if f"{stem}byteorder" in names else b"little"
    sign = ">" if order == b"big" else "<"
    packed = [each.filename for each in archive.infolist() if each.compress_type]
    if packed:
        raise ValueError(f"{packed[0]} is compressed, which torch.save never does")
    body = archive.read(pickles[0])
    _check_sizes(body)
    kept: dict[str, NDArray[Any]] = {}

    def storage(kind: str, key: str) -> NDArray[Any]:
        if key not in kept:
            data = archive.read(f"{stem}data/{key}")
            array = np.frombuffer(data, _STORAGES[kind].newbyteorder(sign))
            kept[key] = array.astype(array.dtype.newbyteorder("="), copy=False)
            if kind == "BFloat16Storage":
                kept[key] = from_bf16(kept[key])
        return kept[key]

    return _Unpickler(body, storage).load()


def _check_sizes(body: bytes) -> None:
    """Refuse opcodes that make the unpickler take memory that the pickle does not have."""
    for opcode, argument, _place in pickletools.genops(body):
        if "PUT" in opcode.name and int(argument or 0) > len(body):
            raise ValueError(f"its pickle remembers {argument} things in {len(body)} bytes")


def _opened(value: Any, seen: Iterator[int] | None = None) -> Any:
    """Take the arrays out of their wrappers."""
    seen = itertools.count() if seen is None else seen
    if next(seen) >= _THINGS:
        raise ValueError(f"it holds more than {_THINGS} things")
    if isinstance(value, _Tensor):
        return value.array
    if isinstance(value, dict):
        return {key: _opened(each, seen) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_opened(each, seen) for each in value)
    if value is None or isinstance(value, str | bytes | bool | int | float):
        return value
    raise ValueError(f"it holds a {type(value).__name__}, not only tensors")

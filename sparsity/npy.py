# SPDX-License-Identifier: Apache-2.0
"""Reads numpy's file formats from untrusted bytes; used by `sparsity.masks` and `.capture`.

`np.load` leaves a file open when what it reads is damaged and raises almost anything; here the
bytes are read first, and `UNREADABLE` names what may then come out of numpy and zipfile.
"""

import io
import tokenize
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNREADABLE = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, MemoryError, OverflowError),
    *(RuntimeError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
"""What the functions here raise on bytes that are not what they should be."""


def parse_npy(data: bytes) -> NDArray[Any]:
    """Return the array in the bytes of a `.npy` file; pickled objects are refused."""
    return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)


def parse_only_array(data: bytes) -> NDArray[Any]:
    """Return the array in the bytes of a `.npy` file, or of an `.npz` file with one array."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return parse_npy(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        if len(names) != 1:
            raise ValueError(f"it holds {len(names)} arrays, save a single one")
        return parse_npy(archive.read(names[0]))


def reason(error: BaseException) -> str:
    """Return the first line of an error, for use inside a sentence that names the file."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(":")

# SPDX-License-Identifier: Apache-2.0
"""Keep numba's cache honest: compiled code is kept on disk until any source it came from changes.

numba looks only at the file of the function that it caches, not at those that the function calls.
An entry point therefore closes over `SOURCES`, which numba makes part of the cache's key.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

PACKAGES = ("aie2", "bdgen", "firmware_sim")
"""Packages whose sources go into the compiled simulator."""


def source_stamp() -> int:
    """A positive number that changes when any module of `PACKAGES` does."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for module in sorted(files(package).iterdir(), key=lambda entry: entry.name):
            if module.name.endswith(".py"):
                digest.update(module.read_bytes())
    return int.from_bytes(digest.digest()[:6], "little") + 1


SOURCES = source_stamp()
"""Stamp of the sources that were imported."""

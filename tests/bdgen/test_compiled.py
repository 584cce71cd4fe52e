# SPDX-License-Identifier: Apache-2.0
"""What would break silently: machine code on disk that is older than a source it was made from.

numba looks at the file of the cached function only. So a copy of the package is edited where the
functions that Python calls do not lie, and must do something else afterwards.
"""

import importlib
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

from numba import types
from numba.core.dispatcher import Dispatcher

import bdgen
from bdgen.compiled import SOURCES

ROOT = Path(__file__).parents[2]

FILL = """
import numpy as np
from bdgen.pack import fill_words
print(fill_words(np.full(16, 255, np.uint8), np.zeros(2, np.uint64)))
"""


def test_what_is_cached_follows_sources_in_other_files(tmp_path):
    for package in ("aie2", "bdgen"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    assert [run(tmp_path, FILL) for _ in range(2)] == ["128\n", "128\n"]
    source = tmp_path / "bdgen" / "words.py"
    text = source.read_text()
    assert "return _load_eight(bitmap, at)" in text
    source.write_text(text.replace("return _load_eight(bitmap, at)", "return np.uint64(1)"))
    assert run(tmp_path, FILL) == "2\n"


def run(folder, script):
    """What a script prints in a fresh interpreter that has only the packages of a folder."""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def test_whatever_is_cached_is_stamped_with_all_sources():
    """Also what compiled code calls: a caller that is compiled anew still takes it from disk."""
    cached = {
        f"{module.__name__}.{name}": found
        for module in modules()
        for name, found in vars(module).items()
        if isinstance(found, Dispatcher) and found.stats.cache_path
    }
    assert len(cached) > 20
    assert not [name for name, found in cached.items() if not is_stamped(found)]


def is_stamped(function):
    """Whether the key under which a compiled function is kept has the stamp in it."""
    return SOURCES in function._cache._index_key((types.int64,), function.targetctx.codegen())


def modules():
    """All modules of bdgen."""
    names = [found.name for found in pkgutil.iter_modules(bdgen.__path__)]
    return [importlib.import_module(f"bdgen.{name}") for name in names]

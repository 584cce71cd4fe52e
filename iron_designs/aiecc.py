# SPDX-License-Identifier: Apache-2.0
"""mlir-aie's compiler driver, aiecc: MLIR text to an xclbin and an instruction stream.

It is a program, and its flags changed in 2026 (mlir-aie tools/aiecc: README.md at 7fa34218bb0c,
2026-03-24; CommandLineOptions.h at 3ca0193cea9e, 2026-08-14). Its help tells which it has.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from iron_designs.errors import CompilationFailed, ToolchainMissing
from iron_designs.mlir_aie import INSTALL

FORMER = {"xclbin": "--aie-generate-xclbin", "insts": "--aie-generate-npu-insts"}
"""Flags that ask for an output, until the driver was rewritten."""

FORMER_COMMON = ("--no-compile-host", "--no-xchesscc", "--no-xbridge")
"""Flags without which the former driver wanted AMD's Vitis."""

PRESENT = {"xclbin": "--get-xclbin", "insts": "--get-npu-insts"}
"""Flags that ask for an output since then."""

NAME_FLAGS = {"xclbin": "--xclbin-name", "insts": "--npu-insts-name"}
"""Flags that name an output, in both."""

FILES = {"xclbin": "design.xclbin", "insts": "insts.bin"}
"""What the outputs are called until they are in their places."""

TIMEOUT_S = 600.0
"""A design of this kind takes a second; a compiler that hangs is ended."""

LAST_LINES = 5
"""Lines of aiecc's complaint that are shown."""


def compile_mlir(text: str, *, xclbin: Path | None = None, insts: Path | None = None) -> None:
    """Compile an MLIR module; write each output that has a path, or none if it fails.

    Raises:
        ToolchainMissing: there is no aiecc.
        CompilationFailed: aiecc failed, or left an output out.
        OSError: an output cannot be written.
    """
    wanted = {kind: path for kind, path in (("xclbin", xclbin), ("insts", insts)) if path}
    program = find()
    with tempfile.TemporaryDirectory(prefix="aiecc-") as name:
        folder = Path(name)
        (folder / "aie.mlir").write_text(text + "\n", encoding="utf-8")
        help_text = _run([program, "--help"], folder)
        _run([program, *flags(help_text, list(wanted)), "aie.mlir"], folder)
        _deliver([(_made(folder, FILES[kind]), path) for kind, path in wanted.items()])


def find() -> str:
    """The aiecc program: on PATH, or in the folder of the mlir-aie that Python imports.

    Raises:
        ToolchainMissing: neither has one.
    """
    found = shutil.which("aiecc") or _bundled()
    if found is None:
        raise ToolchainMissing(
            "compiling a design with mlir-aie needs its aiecc, and there is none: install it with "
            f"`{INSTALL}`, or use the built-in compiler, `sparsebd compile`"
        )
    return found


def flags(help_text: str, kinds: Sequence[str]) -> list[str]:
    """What to pass to the aiecc that prints `help_text`, for outputs "xclbin" and "insts"."""
    former = FORMER["xclbin"].lstrip("-") in help_text
    asked = [(FORMER if former else PRESENT)[kind] for kind in kinds]
    named = [f"{NAME_FLAGS[kind]}={FILES[kind]}" for kind in kinds]
    return [*(FORMER_COMMON if former else ()), *asked, *named]


def _bundled() -> str | None:
    """A wheel holds mlir_aie/python/aie and mlir_aie/bin/aiecc."""
    try:
        places = list(import_module("aie").__path__)
    except ImportError:
        return None
    candidates = (Path(place).parents[1] / "bin" / "aiecc" for place in places)
    return next((str(path) for path in candidates if path.is_file()), None)


def _made(folder: Path, name: str) -> Path:
    """An output, wherever below the folder aiecc put it."""
    found = sorted(folder.rglob(name), key=lambda path: len(path.parts))
    if not found:
        raise CompilationFailed(f"aiecc ended without an error, but wrote no {name}")
    return found[0]


def _deliver(files: Sequence[tuple[Path, Path]]) -> None:
    """Put all files (from, to) in their places, or none of them."""
    beside = [path.with_name(f"{path.name}.part") for _, path in files]
    try:
        for (made, path), part in zip(files, beside, strict=True):
            try:
                shutil.copyfile(made, part)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from error
        for (_, path), part in zip(files, beside, strict=True):
            part.replace(path)
    finally:
        for part in beside:
            part.unlink(missing_ok=True)


def _run(command: Sequence[str], folder: Path) -> str:
    """What a command prints; it must succeed."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except OSError as error:
        raise CompilationFailed(f"cannot run {command[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise CompilationFailed(f"aiecc did not end within {TIMEOUT_S:.0f} s") from error
    if done.returncode:
        said = " / ".join((done.stderr or done.stdout).strip().splitlines()[-LAST_LINES:])
        raise CompilationFailed(f"aiecc failed with exit status {done.returncode}: {said}")
    return done.stdout + done.stderr

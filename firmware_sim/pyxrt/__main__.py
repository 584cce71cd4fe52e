# SPDX-License-Identifier: Apache-2.0
"""Run a pyxrt program on the simulator: `python -m firmware_sim.pyxrt program.py [arguments]`.

Everything but the module behind `import pyxrt` is as with `python program.py`: arguments, the
first entry of the module path, exit codes. The environment chooses the NPU.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

from firmware_sim.pyxrt.namespaces import install
from firmware_sim.pyxrt.settings import (
    DEVICE_VARIABLE,
    FAULTS_VARIABLE,
    FIRMWARE_VARIABLE,
    PROFILE_VARIABLE,
    from_environment,
)

USAGE = f"""usage: python -m firmware_sim.pyxrt program.py [arguments]
       python -m firmware_sim.pyxrt -m module [arguments]

Runs a pyxrt program on a simulated NPU. The environment says which:
  {DEVICE_VARIABLE}    npu1 or npu2 (npu1)
  {PROFILE_VARIABLE}   low, central or high timing (central)
  {FIRMWARE_VARIABLE}  stock, native, phase2 or phase2-overlap (stock)
  {FAULTS_VARIABLE}    what happens to each run in turn: TIMEOUT, ERROR, ABORT or
                        nothing, with commas between
"""
WRONG_USAGE = 2
"""Exit code for a program that cannot be found, or none, as Python's own."""


def main(arguments: list[str]) -> None:
    """Run the program that the arguments name; SystemExit as it, or as Python, would end."""
    if not arguments:
        print(USAGE, file=sys.stderr, end="")
        raise SystemExit(WRONG_USAGE)
    if arguments[0] in ("-h", "--help"):
        print(USAGE, end="")
        return
    try:
        from_environment(os.environ)
    except ValueError as error:
        print(f"firmware_sim.pyxrt: {error}", file=sys.stderr)
        raise SystemExit(WRONG_USAGE) from None
    install()
    if arguments[0] == "-m":
        _run_module(arguments[1:])
    else:
        _run_file(arguments)


def _run_module(arguments: list[str]) -> None:
    """As `python -m`."""
    if not arguments:
        print("Argument expected for the -m option\n" + USAGE, file=sys.stderr, end="")
        raise SystemExit(WRONG_USAGE)
    sys.argv = arguments
    sys.path[0] = str(Path.cwd())
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


def _run_file(arguments: list[str]) -> None:
    """As `python program.py`."""
    program = Path(arguments[0])
    if not program.is_file():
        reason = f"{os.strerror(2)}: no such file"
        print(f"firmware_sim.pyxrt: can't open file {str(program)!r}: {reason}", file=sys.stderr)
        raise SystemExit(WRONG_USAGE)
    sys.argv = arguments
    sys.path[0] = str(program.resolve().parent)
    runpy.run_path(str(program), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])

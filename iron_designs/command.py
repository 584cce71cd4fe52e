# SPDX-License-Identifier: Apache-2.0
"""The command line that all designs have: which device, its own sizes, and what to make of it.

    python -m iron_designs.gather_rows -d npu2 --columns 8                      # prints MLIR
    python -m iron_designs.gather_rows --xclbin out.xclbin --insts insts.bin    # compiles it

The options and their names are those of mlir-aie's own examples.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aie2.devices import DEVICES, NPU1, NPU2, Device
from iron_designs import aiecc
from iron_designs.errors import CompilationFailed, DesignError, ToolchainMissing

DEVICE_OPTIONS = {"npu": NPU1.name, NPU1.name: NPU1.name, NPU2.name: NPU2.name}
"""What `-d` takes (mlir-aie's examples say npu for Phoenix) to our device name."""


@dataclass(frozen=True, slots=True)
class Command:
    """A design as a command."""

    name: str
    """Module in `iron_designs`."""
    summary: str
    """What it makes, for the help text."""
    add_options: Callable[[Callable[..., object]], None]
    """Adds the design's own options; gets `add_argument`."""
    mlir: Callable[[Device, argparse.Namespace], str]
    """Text of the MLIR module for a device and the parsed options."""

    def run(self, arguments: Sequence[str] | None) -> int:
        """Print, write or compile the design that the command line describes; 0 if all went well.

        Without mlir-aie, or if aiecc fails, the answer is 1 and no file is written; a design that
        makes no sense ends the process with 2, as a wrong option does.
        """
        parser = self._parser()
        options = parser.parse_args(arguments)
        try:
            text = self.mlir(DEVICES[DEVICE_OPTIONS[options.dev]], options)
            if options.xclbin is not None or options.insts is not None:
                aiecc.compile_mlir(text, xclbin=options.xclbin, insts=options.insts)
            _write(options, text)
        except (ToolchainMissing, CompilationFailed) as error:
            return _failed(f"{parser.prog}: {error}")
        except DesignError as error:
            parser.error(str(error))
        except OSError as error:
            return _failed(f"cannot write {error.filename}: {error.strerror}")
        return 0

    def _parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(
            prog=f"python -m iron_designs.{self.name}", description=self.summary
        )
        add = parser.add_argument
        add("-d", "--dev", choices=list(DEVICE_OPTIONS), default="npu", help="npu: Phoenix (npu1)")
        add("--columns", type=int, default=1, help="columns used (default: %(default)s)")
        self.add_options(add)
        add("-o", "--output", type=Path, metavar="FILE", help="write MLIR here (default: print)")
        for what in ("xclbin", "insts"):
            help_text = f"compile with aiecc and write the {what} here"
            add(f"--{what}", f"--{what}-path", type=Path, metavar="FILE", help=help_text)
        return parser


def _write(options: argparse.Namespace, text: str) -> None:
    """MLIR goes to the file asked for, or is printed if no file of any kind was."""
    if options.output is not None:
        options.output.write_text(text + "\n", encoding="utf-8")
    elif options.xclbin is None and options.insts is None:
        print(text)


def _failed(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1

# SPDX-License-Identifier: Apache-2.0
"""Record the part of mlir-aie's Python API that the designs call, from the sources of a commit.

    git clone --bare https://github.com/Xilinx/mlir-aie mlir-aie.git
    python tests/data/iron/record.py mlir-aie.git 7fa34218bb0cbc22a446fe205d5cacda9e36efd6 \
        > tests/data/iron/2026-03.json

Nothing is imported or run: signatures are taken from the syntax trees, annotations left out. A name
that a commit lacks is listed as absent. What no Python source states (operations generated from
TableGen, `aie.extras`, which is eudsl-python-extras) is in `BY_HAND` with where it was read.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys

IRON = {
    "Kernel": ("kernel.py", ("__init__", "__call__")),
    "ObjectFifo": ("dataflow/objectfifo.py", ("__init__", "prod", "cons")),
    "ObjectFifoHandle": (
        "dataflow/objectfifo.py",
        ("acquire", "release", "forward", "fill", "drain"),
    ),
    "Program": ("program.py", ("__init__", "resolve_program")),
    "Runtime": (
        "runtime/runtime.py",
        ("__init__", "sequence", "fill", "drain", "start", "task_group", "finish_task_group"),
    ),
    "TaskGroup": ("runtime/taskgroup.py", ("__init__", "finish")),
    "Worker": ("worker.py", ("__init__",)),
    "device.Tile": ("device/tile.py", ("__init__",)),
}
"""Classes below python/iron and their methods; BaseKernel's methods are Kernel's."""

PLACED = {
    "aie": ("bds", "next_bd", "object_fifo", "object_fifo_link", "tile"),
    "aiex": (
        "dma_await_task",
        "dma_configure_task_for",
        "dma_free_task",
        "dma_start_task",
        "runtime_sequence",
        "shim_dma_bd",
        "shim_dma_single_bd_task",
    ),
}
"""Functions and classes below python/dialects."""

BY_HAND = {
    "aie.dialects.aie.EndOp": ("*, loc=None, ip=None", "AIEOps.td: AIE_EndOp has no arguments"),
    "aie.dialects.aie.device": (
        "device, *, sym_name=None, loc=None, ip=None",
        "AIEOps.td: AIE_DeviceOp; wrapped by region_op: gives a decorator of the body",
    ),
    "aie.extras.context.mlir_mod_ctx": (
        "src=None, context=None, location=None, allow_unregistered_dialects=False",
        "eudsl-python-extras mlir/extras/context.py",
    ),
}

DEVICES = "include/aie/Dialect/AIE/IR/AIEAttrs.td"
"""Lists the members of AIEDevice, from which aie.iron.device makes its classes."""


def main(repository: str, commit: str) -> None:
    """Print the record of one commit."""

    def text(path: str) -> str:
        command = ["git", "-C", repository, "show", f"{commit}:{path}"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    names: dict[str, str | None] = {}
    for title, (file, methods) in IRON.items():
        tree = ast.parse(text(f"python/iron/{file}"))
        for method in methods:
            names[f"aie.iron.{title}.{method}"] = signature(tree, title.split(".")[-1], method)
    for dialect, functions in PLACED.items():
        tree = ast.parse(text(f"python/dialects/{dialect}.py"))
        for name in functions:
            names[f"aie.dialects.{dialect}.{name}"] = signature(tree, name, "__init__")
    tap = ast.parse(text("python/helpers/taplib/tap.py"))
    pattern = "TensorAccessPattern"
    names[f"aie.helpers.taplib.{pattern}.__init__"] = signature(tap, pattern, "__init__")
    exported = sorted(exports(ast.parse(text("python/iron/__init__.py"))))
    record = {
        "project": "mlir-aie",
        "commit": commit,
        "signatures": {name: found for name, found in names.items() if found is not None},
        "absent": [name for name, found in names.items() if found is None],
        "by_hand": {name: {"signature": s, "read": read} for name, (s, read) in BY_HAND.items()},
        "exported": {"aie.iron": [n for n in exported if n in IRON]},
        "devices": sorted(set(re.findall(r'"(npu\w+)", \d+>', text(DEVICES)))),
    }
    json.dump(record, sys.stdout, indent=1)
    print()


def signature(tree: ast.Module, name: str, method: str) -> str | None:
    """Parameters of a function, or of a class's method, without self; None if it is not there."""
    found = [node for node in tree.body if getattr(node, "name", None) == name]
    while found:
        node = found.pop()
        if isinstance(node, ast.FunctionDef):
            return parameters(node.args, bound=False)
        assert isinstance(node, ast.ClassDef)
        for item in node.body:
            if isinstance(item, ast.FunctionDef) and item.name == method:
                return parameters(item.args, bound=True)
        bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
        found = [other for other in tree.body if getattr(other, "name", None) in bases]
    return None


def parameters(arguments: ast.arguments, *, bound: bool) -> str:
    """Parameters as they stand in a def, annotations and `self` left out."""
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        argument.annotation = None
    for argument in (arguments.vararg, arguments.kwarg):
        if argument is not None:
            argument.annotation = None
    if bound:
        del arguments.args[0]
    return ast.unparse(arguments)


def exports(tree: ast.Module) -> set[str]:
    """Names that a package's __init__ imports from its own modules."""
    return {
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }


if __name__ == "__main__":
    main(*sys.argv[1:])

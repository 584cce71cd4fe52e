# SPDX-License-Identifier: Apache-2.0
"""The architecture, checked: imports go one way, toolchains load late, modules say what they are.

The picture is in CONTRIBUTING.md: aie2 is under everything, host is over everything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPDX = "# SPDX-License-Identifier: Apache-2.0"

MAY_IMPORT = {
    "aie2": set(),
    "sparsity": set(),
    "bdgen": {"aie2"},
    "iron_designs": {"aie2"},
    "firmware_sim": {"aie2", "bdgen"},
    "host": {"aie2", "bdgen", "firmware_sim", "iron_designs", "sparsity"},
}
"""Each package, and which of ours it may import besides itself."""

LATE = {"aie", "pyxrt"}
"""Not on every machine, so never imported just because one of our modules is."""

MODULES = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]
SOURCES = MODULES + [
    path for folder in ("tests", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))
]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(tree: ast.AST) -> set[str]:
    """Top-level names of everything that `tree` imports anywhere, relative imports aside."""
    return {name for node in ast.walk(tree) for name in _names(node)}


def imported_at_load(tree: ast.AST) -> set[str]:
    """Like `imported`, but only what runs when the module is loaded."""
    return {name for node in _loaded(tree) for name in _names(node)}


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module.partition(".")[0]]
    return []


def _loaded(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from _loaded(child)


def test_every_package_was_found():
    found = {path.relative_to(ROOT).parts[0] for path in MODULES}
    assert found == set(MAY_IMPORT)
    assert found == {path.parent.name for path in ROOT.glob("*/py.typed")}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_go_one_way(path: Path):
    package = path.relative_to(ROOT).parts[0]
    ours = imported(ast.parse(path.read_text())) & set(MAY_IMPORT)
    assert ours <= MAY_IMPORT[package] | {package}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_toolchains_are_imported_late(path: Path):
    assert not imported_at_load(ast.parse(path.read_text())) & LATE


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_module_says_what_it_is(path: Path):
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_file_states_its_licence_first(path: Path):
    assert path.read_text().splitlines()[0] == SPDX


def test_the_picture_has_no_way_back():
    for package, below in MAY_IMPORT.items():
        for other in below:
            assert package not in MAY_IMPORT[other]
            assert MAY_IMPORT[other] <= below


def test_an_import_is_seen_wherever_it_stands():
    tree = ast.parse("import aie2.txn\ndef f():\n    from bdgen import scan\nfrom . import host\n")
    assert imported(tree) == {"aie2", "bdgen"}


def test_only_what_runs_at_load_counts_as_early():
    source = "try:\n    import {}\nexcept ImportError:\n    pass\n"
    assert imported_at_load(ast.parse(source.format("aie.iron"))) == {"aie"}
    assert imported_at_load(ast.parse("class A:\n    import pyxrt\n")) == {"pyxrt"}
    assert imported_at_load(ast.parse("def f():\n    import pyxrt\n")) == set()
    assert imported_at_load(ast.parse("if TYPE_CHECKING:\n    import pyxrt\n")) == set()

# SPDX-License-Identifier: Apache-2.0
"""Python's side: pyxrt for this very Python, and mlir-aie with the tools that it calls."""

from __future__ import annotations

import re

from host.doctor.check_system import NO_NPU
from host.doctor.facts import facts
from host.doctor.findings import Answer, ok, skipped, wrong
from host.doctor.machine import Interpreter
from host.doctor.survey import Survey
from iron_designs.mlir_aie import INSTALL

TOOLS = {"aiecc": ("aiecc", "aiecc.py"), "xclbinutil": ("xclbinutil",)}
"""Programs that compiling with mlir-aie runs, by the names they have had."""


def pyxrt(survey: Survey) -> Answer:
    """Whether this Python can import pyxrt; it is tried in another process."""
    if not survey.usable:
        return skipped(NO_NPU)
    python = survey.here.python
    fitting, others = _modules(survey, python)
    if python is None:
        seen = ", ".join((*fitting, *others)) or "none found"
        return skipped(f"another system's Python cannot be tried ({seen})")
    reached = [path for path in fitting if path.rpartition("/")[0] in python.path]
    tried = survey.machine.imports("pyxrt")
    if tried and tried.file:
        return ok(f"{tried.file} (Python {python.version})")
    if tried and tried.timed_out:
        return wrong("pyxrt-stuck", "the import did not end in time")
    if tried and reached:
        return wrong("pyxrt-broken", f"{reached[0]}: {tried.error}")
    if fitting:
        folder = fitting[0].rpartition("/")[0]
        return wrong("pyxrt-path", f"{fitting[0]} is outside of sys.path", folder=folder)
    if others:
        built = _built_for(others[0])
        words = f"built for Python {built}" if built else "built for another Python"
        found = f"{others[0]} is {words}, this is {python.version}"
        return wrong("pyxrt-python", found, version=built or "3.12")
    if tracer := _ray_tracer(survey, python):
        return wrong("ray-tracer", f"{tracer} is installed, and no pyxrt")
    return wrong("pyxrt-missing", f"none for Python {python.version}")


def mlir_aie(survey: Survey) -> Answer:
    """Whether designs can be printed and compiled by mlir-aie; nothing else needs it."""
    if survey.here.python is None:
        return skipped("another system's Python cannot be tried")
    if survey.machine.imports("aie") is None:
        return wrong(
            "iron-missing", "not installed; only --backend aiecc needs it", install=INSTALL
        )
    tried = survey.machine.imports("aie.iron")
    if tried is None or not tried.file:
        said = (tried.error if tried else "") or "the import did not end in time"
        return wrong("iron-broken", f"import aie.iron: {said}", install=INSTALL)
    lacking = [name for name, known in TOOLS.items() if not any(map(survey.machine.which, known))]
    if not _peano(survey, survey.here.python):
        lacking.append("Peano (llvm-aie)")
    if lacking:
        return wrong("iron-partial", f"without {', '.join(lacking)}", install=INSTALL)
    return ok(f"{tried.file}; aiecc, Peano and xclbinutil are there")


def _modules(survey: Survey, python: Interpreter | None) -> tuple[list[str], list[str]]:
    """Every pyxrt extension module: those that this Python could load, and the others."""
    told = survey.here.environment.get("XILINX_XRT", "").rstrip("/")
    roots = [f"{root}/python" for root in (told, survey.xrt_root) if root]
    folders = (*(python.path if python else ()), *roots, *facts().xrt.pyxrt_folders)
    found = [
        f"{folder.rstrip('/')}/{name}"
        for folder in dict.fromkeys(folders)
        for name in survey.machine.names(folder, "pyxrt") or ()
        if name.endswith((".so", ".pyd"))
    ]
    endings = {f"pyxrt{suffix}" for suffix in python.suffixes} if python else set[str]()
    fitting = [path for path in dict.fromkeys(found) if path.rpartition("/")[2] in endings]
    return fitting, [path for path in dict.fromkeys(found) if path not in fitting]


def _built_for(path: str) -> str:
    """Python's version by the tag in an extension module's name; empty if it has none."""
    tag = re.search(r"\.(?:cpython-|cp)(\d)(\d+)", path)
    return f"{tag[1]}.{tag[2]}" if tag else ""


def _ray_tracer(survey: Survey, python: Interpreter) -> str:
    """What shows that the X-ray tracer `xrt` is installed."""
    for folder in python.path:
        for name in reversed(survey.machine.names(folder, "xrt") or ()):
            if name.startswith("xrt-") and name.endswith((".dist-info", ".egg-info")):
                return f"{folder}/{name}"
            if name == "xrt" and survey.machine.names(f"{folder}/xrt", "backends"):
                return f"{folder}/xrt"
    return ""


def _peano(survey: Survey, python: Interpreter) -> bool:
    """Whether the compiler of core programs is there, as a wheel or by its variable."""
    folders = [folder for folder in python.path if survey.machine.names(folder, "llvm-aie")]
    return bool(folders or survey.here.environment.get("PEANO_INSTALL_DIR"))

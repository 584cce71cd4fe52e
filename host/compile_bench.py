# SPDX-License-Identifier: Apache-2.0
"""`sparsebd compile --bench`: the built-in compiler beside aiecc, in bytes and in time.

Designs that aiecc compiled (the golden cases of the tests) are compiled anew and compared byte for
byte; sizes that are not among them run in the simulator with data; long streams are timed. aiecc's
times are measured where it is installed, else they are those of `aiecc_times.toml`.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel

from aie2 import xclbin
from aie2.devices import DEVICES, NPU1, NPU2
from bdgen import bitmap as bitmaps
from bdgen.planner import Options, Planner
from bdgen.target import Matrix, Target
from host import compile_runs
from host.errors import UsageError
from iron_designs import aiecc
from iron_designs.compiler import designs, mlir_reader
from iron_designs.compiler.build import Compiled, compile_design
from iron_designs.errors import ToolchainMissing

GOLDEN = Path("tests/data/golden")
"""Where a checkout has the designs that aiecc compiled."""
Made = TypeVar("Made")

REPEATS = 5
"""Timed runs of each, of which the median counts."""


class Golden(BaseModel):
    """A golden case: what is equal, and both compile times."""

    case: str
    cdo: bool
    pdi: bool
    xclbin: bool
    """Byte for byte, given the five fields that aiecc draws anew for every build."""
    insts: bool
    ms: float
    aiecc_ms: float | None


class Other(BaseModel):
    """A size that no golden case has: compiled and run with data."""

    design: str
    target: str
    channels: int
    object_bytes: int
    depth: int
    ms: float
    data_ok: bool
    findings: int


class Stream(BaseModel):
    """A long gather stream: aiecc, the built-in compiler, and bdgen, which plans it too."""

    rows: int
    row_bytes: int
    insts_bytes: int
    ms: float
    bdgen_ms: float
    aiecc_ms: float


class Bench(BaseModel):
    """All comparisons."""

    aiecc: str
    """Where aiecc's times are from."""
    golden: list[Golden]
    other: list[Other]
    streams: list[Stream]

    @property
    def is_right(self) -> bool:
        """Whether all bytes are equal and all data came out right."""
        equal = all(g.cdo and g.pdi and g.xclbin and g.insts for g in self.golden)
        return equal and all(o.data_ok and not o.findings for o in self.other)


def steps(golden: Path, *, quick: bool) -> int:
    """How often `run` calls `advance`."""
    return len(_cases(golden, quick=quick)) + len(_shapes(quick=quick)) + len(_known()["streams"])


def run(golden: Path, advance: Callable[[], None], *, quick: bool) -> Bench:
    """Compare everything.

    Raises:
        UsageError: the folder holds no golden cases.
    """
    found = Bench(
        aiecc=_aiecc() or "measured 2026-03, see iron_designs/compiler/aiecc_times.toml",
        golden=[],
        other=[],
        streams=[],
    )
    for case in _cases(golden, quick=quick):
        found.golden.append(_golden(case))
        advance()
    for name, shape in _shapes(quick=quick):
        found.other.append(_other(name, shape))
        advance()
    for stream in _known()["streams"]:
        found.streams.append(_stream(stream["rows"], stream["row_bytes"], stream["seconds"]))
        advance()
    return found


def _known() -> dict[str, Any]:
    """Times of aiecc as they were measured."""
    file = resources.files("iron_designs.compiler") / "aiecc_times.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _cases(golden: Path, *, quick: bool) -> list[Path]:
    cases = sorted(path.parent for path in golden.glob("*/aie.mlir"))
    if not cases:
        raise UsageError(
            f"{golden} holds no designs compiled by aiecc: run in a checkout of sparsebd, or name "
            "the folder with --golden"
        )
    timed = _known()["designs"]
    return [case for case in cases if case.name in timed] if quick else cases


def _golden(case: Path) -> Golden:
    """Compile a case from its MLIR and compare all files."""
    text = (case / "aie.mlir").read_text(encoding="utf-8")
    dataflow, sequence = mlir_reader.read(text)
    made, ms = _timed(lambda: compile_design(dataflow, sequence, fold=False))
    return Golden(
        case=case.name,
        cdo=all(
            data == (case / f"cdo_{name}.bin").read_bytes()
            for name, data in (
                ("elfs", made.cdo_elfs),
                ("init", made.cdo_init),
                ("enable", made.cdo_enable),
            )
        ),
        pdi=made.pdi == (case / "main.pdi").read_bytes(),
        xclbin=_is_same_container(made, (case / "aie.xclbin").read_bytes()),
        insts=made.insts == (case / "insts.bin").read_bytes(),
        ms=ms,
        aiecc_ms=_aiecc_ms(case.name, text),
    )


def by_aiecc(text: str) -> tuple[bytes, bytes, float]:
    """An xclbin and a stream by mlir-aie's aiecc, and the seconds that it took.

    Raises:
        ToolchainMissing, CompilationFailed: as `iron_designs.aiecc.compile_mlir`.
    """
    with tempfile.TemporaryDirectory() as folder:
        xclbin_file, insts_file = Path(folder, "design.xclbin"), Path(folder, "insts.bin")
        started = time.perf_counter()
        aiecc.compile_mlir(text, xclbin=xclbin_file, insts=insts_file)
        seconds = time.perf_counter() - started
        return xclbin_file.read_bytes(), insts_file.read_bytes(), seconds


def _aiecc() -> str | None:
    """Path of aiecc; None if it is not installed."""
    try:
        return aiecc.find()
    except ToolchainMissing:
        return None


def _aiecc_ms(name: str, text: str) -> float | None:
    if _aiecc():
        return statistics.median(by_aiecc(text)[2] for _ in range(3)) * 1e3
    seconds = _known()["designs"].get(name)
    return None if seconds is None else seconds * 1e3


def _is_same_container(made: Compiled, golden: bytes) -> bool:
    """Whether the container is aiecc's, with the build's own uuids and time stamp put in.

    aiecc of the goldens declares five host buffers whatever the sequence has.
    """
    theirs = xclbin.read(golden)
    ours = xclbin.build(
        made.pdi,
        column_width=made.design.columns,
        start_columns=xclbin.start_columns(made.design.device, made.design.columns),
        host_buffers=theirs.host_buffers,
        uuid=theirs.uuid,
        pdi_uuid=theirs.partition.pdis[0].uuid,
        time_stamp=theirs.time_stamp,
    )
    return ours == golden


def _shapes(*, quick: bool) -> list[tuple[str, designs.Shape]]:
    """Sizes that no golden case has."""
    return [
        (name, designs.Shape(device, columns, channels, object_bytes, depth))
        for device in (NPU1, NPU2)
        for columns in range(1, device.columns + 1)
        for channels, object_bytes, depth in ((1, 512, 2), (2, 2048, 3), (1, 65536, 1))
        for name in ("passthrough", "gather_chain")
        if not quick or (columns, object_bytes) == (3, 2048)
    ]


def _other(name: str, shape: designs.Shape) -> Other:
    """Compile a size and run it with data."""
    if name == "passthrough":
        design = designs.passthrough(shape, lane_bytes=2 * shape.depth * shape.object_bytes)
    else:
        rows = designs.Rows(shape.object_bytes, 48, (*range(0, 48, 3), 46, 47))
        design = designs.GATHERS[name](shape, rows)
    made, ms = _timed(lambda: compile_design(design.dataflow, design.sequence))
    right, result = compile_runs.run(made)
    return Other(
        design=name,
        target=design.dataflow.target,
        channels=shape.channels,
        object_bytes=shape.object_bytes,
        depth=shape.depth,
        ms=ms,
        data_ok=right,
        findings=len(result.diagnostics),
    )


def _stream(rows: int, row_bytes: int, seconds: float) -> Stream:
    """One column, every second row of a matrix, chains of at most 15."""
    shape = designs.Shape(NPU1, 1, 1, row_bytes)
    wanted = tuple(range(0, 2 * rows, 2))
    gather = designs.gather_chain(shape, designs.Rows(row_bytes, 2 * rows, wanted))
    made, ms = _timed(lambda: compile_design(gather.dataflow, gather.sequence))
    return Stream(
        rows=rows,
        row_bytes=row_bytes,
        insts_bytes=len(made.insts or b""),
        ms=ms,
        bdgen_ms=_bdgen_ms(rows, row_bytes),
        aiecc_ms=seconds * 1e3,
    )


def _bdgen_ms(rows: int, row_bytes: int) -> float:
    """The same rows, one BD each, from a bitmap to words by `bdgen`."""
    target = Target(DEVICES["npu1"], 1, row_bytes)
    matrix = Matrix(2 * rows, row_bytes)
    wanted = np.zeros(2 * rows, np.bool_)
    wanted[::2] = True
    planner = Planner(target, matrix, Options(effort="runs"))
    packed = bitmaps.pack(wanted)
    buffer = planner.buffer()
    _, ms = _timed(lambda: planner.plan_bitmap_into(buffer, packed))
    return ms


def _timed(work: Callable[[], Made]) -> tuple[Made, float]:
    """What `work` gives, and the median of its times in milliseconds, the first left out."""
    made = work()
    times: list[float] = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        made = work()
        times.append(time.perf_counter() - started)
    return made, statistics.median(times) * 1e3


def markdown(found: Bench) -> str:
    """All comparisons as Markdown tables."""
    return "\n".join([*_golden_table(found), "", *_other_table(found), "", *_stream_table(found)])


def _golden_table(found: Bench) -> Iterator[str]:
    yield f"aiecc: {found.aiecc}"
    yield ""
    yield "| golden case | CDO | PDI | xclbin | insts | built in, ms | aiecc, ms | times faster |"
    yield "|-|-|-|-|-|-|-|-|"
    for g in found.golden:
        equal = " | ".join(
            "equal" if flag else "DIFFERS" for flag in (g.cdo, g.pdi, g.xclbin, g.insts)
        )
        known = (
            ("", "") if g.aiecc_ms is None else (f"{g.aiecc_ms:.0f}", f"{g.aiecc_ms / g.ms:.0f}")
        )
        yield f"| {g.case} | {equal} | {g.ms:.2f} | {known[0]} | {known[1]} |"
    right = sum(g.cdo and g.pdi and g.xclbin and g.insts for g in found.golden)
    slowest = max(g.ms for g in found.golden)
    yield ""
    yield f"{right} of {len(found.golden)} equal in all bytes; slowest {slowest:.2f} ms."


def _other_table(found: Bench) -> Iterator[str]:
    yield "| design | target | channels | object B | depth | built in, ms | data | findings |"
    yield "|-|-|-|-|-|-|-|-|"
    for o in found.other:
        data = "right" if o.data_ok else "WRONG"
        sizes = f"{o.channels} | {o.object_bytes} | {o.depth}"
        yield f"| {o.design} | {o.target} | {sizes} | {o.ms:.2f} | {data} | {o.findings} |"


def _stream_table(found: Bench) -> Iterator[str]:
    yield "| rows | row B | insts B | aiecc, ms | built in, ms | bdgen, ms |"
    yield "|-|-|-|-|-|-|"
    for s in found.streams:
        times = f"{s.aiecc_ms:.0f} | {s.ms:.2f} | {s.bdgen_ms:.3f}"
        yield f"| {s.rows} | {s.row_bytes} | {s.insts_bytes} | {times} |"

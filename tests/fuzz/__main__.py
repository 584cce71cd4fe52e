# SPDX-License-Identifier: Apache-2.0
"""Command line: run cases, or one again, and say what came of them."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from tests.fuzz.cases import case
from tests.fuzz.oracle import judge
from tests.fuzz.workers import CASE_SECONDS, MEMORY_MIB, Summary, run


def main() -> int:
    """Run; 1 if anything was found."""
    options = _parser().parse_args()
    if options.only is not None:
        return _only(options.seed, options.only, options.keep)
    summary = run(
        options.seed,
        options.count,
        first=options.first,
        jobs=options.jobs,
        seconds=options.seconds,
    )
    print(report(summary, options.seed))
    return int(bool(summary.findings))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, help="stop after so long")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--only", type=int, help="run this case alone, in this process")
    parser.add_argument("--keep", type=Path, help="with --only: write its files into this folder")
    return parser


def _only(seed: int, number: int, keep: Path | None) -> int:
    made = case(seed, number)
    sizes = [buffer.size for buffer in made.buffers]
    print(f"case {number} of seed {seed}: {made.kind}, buffers of {sizes} bytes, {made.options}")
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / "design.xclbin").write_bytes(made.xclbin)
        (keep / "insts.bin").write_bytes(made.insts)
        for place, buffer in enumerate(made.buffers):
            (keep / f"buffer{place}.bin").write_bytes(buffer.tobytes())
        about = {"options": made.options, "cores": list(made.cores.items())}
        (keep / "options.json").write_text(json.dumps(about))
    sys.stdout.flush()
    print(judge(made))
    return 0


def report(summary: Summary, seed: int) -> str:
    """What came of all cases, for people."""
    seconds, slowest = summary.slowest
    rate = summary.cases / max(summary.seconds, 1e-9)
    lines = [
        f"seed {seed}: {summary.cases} cases in {summary.seconds:.0f} s, {rate:.0f} a second; "
        f"{summary.simulated} reached the simulator",
        f"slowest: case {slowest}, {seconds:.2f} s (limit {CASE_SECONDS:g} s); largest worker: "
        f"{summary.peak_mib:.0f} MiB (limit {MEMORY_MIB} MiB)",
    ]
    kinds = Counter[str]()
    for (kind, _, _), count in summary.outcomes.items():
        kinds[kind] += count
    lines.append("cases: " + ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())))
    ends = Counter[tuple[str, str]]()
    for (_, stage, what), count in summary.outcomes.items():
        ends[stage, what] += count
    lines += [f"  {stage}: {what}: {count}" for (stage, what), count in sorted(ends.items())]
    lines.append(f"findings: {len(summary.findings)}")
    alike: dict[str, list[int]] = {}
    for found in summary.findings:
        alike.setdefault(found.text, []).append(found.number)
    for text, numbers in alike.items():
        shown = ", ".join(map(str, sorted(numbers)[:5]))
        lines.append(f"  {text}: {len(numbers)} cases, {shown}{', ...' * (len(numbers) > 5)}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

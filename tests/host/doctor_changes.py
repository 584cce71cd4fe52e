# SPDX-License-Identifier: Apache-2.0
"""Recorded machines with one thing changed: what the doctor's checks answer to them."""

from collections.abc import Callable
from pathlib import Path

from host.doctor.examination import examine
from host.doctor.findings import Answer
from host.doctor.recording import Recorded, RecordedCommand, RecordedImport, Recording, load

MACHINES = Path(__file__).parents[1] / "data" / "machines"
NODE = "/dev/accel/accel0"
PHOENIX = "/sys/bus/pci/devices/0000:c5:00.1"
RELEASE = "6.17.0-14-generic"
JOURNAL = "journalctl -k -b -q --no-pager"
SMI = "xrt-smi examine"
PYXRT = "pyxrt.cpython-312-x86_64-linux-gnu.so"

Change = Callable[[Recording], object]


def answers(base: str, *changes: Change) -> dict[str, Answer]:
    machine = load(MACHINES / f"{base}.toml")
    for change in changes:
        change(machine.recording)
    fresh = Recorded(Recording.model_validate(machine.recording.model_dump()))
    return {item.check: item.answer for item in examine(fresh).findings}


def opens(error: str) -> Change:
    return lambda told: setattr(told.nodes[NODE], "opens", error)


def unbound(told: Recording) -> None:
    """The driver is loaded and did not take the NPU."""
    del told.links[f"{PHOENIX}/driver"]
    told.nodes.clear()


def unloaded(told: Recording) -> None:
    unbound(told)
    told.files["/proc/modules"] = "xfs 2576384 1 - Live 0x0000000000000000\n"


def logs(*lines: str) -> Change:
    return lambda told: told.commands.update({JOURNAL: RecordedCommand(output="\n".join(lines))})


def smi(output: str, status: int = 0, *, timed_out: bool = False) -> Change:
    ran = RecordedCommand(status=status, output=output, timed_out=timed_out)
    return lambda told: told.commands.update({SMI: ran})


def put(path: str, text: str) -> Change:
    return lambda told: told.files.update({path: text})


def folder(path: str, *names: str) -> Change:
    return lambda told: told.folders.update({path: list(names)})


def imports(module: str, **how: object) -> Change:
    told_so = RecordedImport.model_validate(how)
    return lambda told: told.imports.update({module: told_so})


def no_import(module: str) -> Change:
    return lambda told: told.imports.pop(module, None)


def environment(**variables: str) -> Change:
    return lambda told: told.environment.update(variables)

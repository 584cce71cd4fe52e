# SPDX-License-Identifier: Apache-2.0
"""A machine in a file: what one machine answered, to be looked at on another.

`host.doctor.recorder` notes every answer that a machine gives, `Recorded` gives the same answers
again. The files under `tests/data/machines` are such machines.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from host.doctor.machine import Holders, Imported, Interpreter, Node, Ran, System
from host.doctor.processes import kept
from host.errors import UsageError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RecordedCommand(_Strict):
    """What a command printed."""

    status: int = 0
    output: str = ""
    timed_out: bool = False


class RecordedNode(_Strict):
    """A device node: mode in octal, `opens` as in `Machine.opens`, and who holds it."""

    mode: str
    owner: str = "root"
    group: str = "root"
    opens: str | None = None
    holders: dict[str, str] = {}
    hidden: int = 0


class RecordedImport(_Strict):
    """How an import went."""

    file: str = ""
    error: str = ""
    timed_out: bool = False


class RecordedPython(_Strict):
    """The Python that sparsebd runs in."""

    version: str
    suffixes: list[str]
    path: list[str]


class Recording(_Strict):
    """A recorded machine, as its TOML or JSON file has it."""

    about: str = ""
    system: str = "Linux"
    release: str
    user: str = ""
    uid: int | None = None
    groups: list[str] = []
    memlock: int | None = None
    python: RecordedPython | None = None
    environment: dict[str, str] = {}
    files: dict[str, str] = {}
    links: dict[str, str] = {}
    folders: dict[str, list[str]] = {}
    nodes: dict[str, RecordedNode] = {}
    programs: dict[str, str] = {}
    commands: dict[str, RecordedCommand] = {}
    imports: dict[str, RecordedImport] = {}


class Recorded:
    """Gives a recording's answers; folders hold what is listed and whatever lies in them."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording

    @property
    def facts(self) -> System:
        """As recorded."""
        told = self.recording
        python = told.python and Interpreter(
            told.python.version, tuple(told.python.suffixes), tuple(told.python.path)
        )
        return System(
            told.system,
            told.release,
            told.user,
            told.uid,
            tuple(told.groups),
            told.memlock,
            python,
            told.environment,
        )

    def read(self, path: str) -> str | None:
        """As recorded."""
        return self.recording.files.get(path)

    def names(self, folder: str, prefix: str = "") -> tuple[str, ...] | None:
        """As recorded, or made from the paths below the folder."""
        start = folder.rstrip("/") + "/"
        told = self.recording
        paths = (*told.files, *told.links, *told.nodes, *told.folders)
        below = {path.removeprefix(start).split("/")[0] for path in paths if path.startswith(start)}
        listed = told.folders.get(folder)
        if listed is None and not below:
            return None
        return tuple(sorted(name for name in below | set(listed or ()) if name.startswith(prefix)))

    def target(self, path: str) -> str | None:
        """As recorded."""
        return self.recording.links.get(path)

    def node(self, path: str) -> Node | None:
        """As recorded."""
        node = self.recording.nodes.get(path)
        return node and Node(int(node.mode, 8), node.owner, node.group)

    def opens(self, path: str) -> str | None:
        """As recorded."""
        node = self.recording.nodes.get(path)
        return node.opens if node else "ENOENT"

    def holders(self, path: str) -> Holders:
        """As recorded."""
        node = self.recording.nodes.get(path)
        if node is None:
            return Holders()
        found = ((int(pid), name) for pid, name in node.holders.items())
        return Holders(tuple(sorted(found)), node.hidden)

    def which(self, program: str) -> str | None:
        """As recorded; a program that was run was there."""
        found = self.recording.programs.get(program)
        ran = any(command.split()[0] == program for command in self.recording.commands)
        return found or (f"/usr/bin/{program}" if ran else None)

    def run(self, command: tuple[str, ...], keep: str = "") -> Ran | None:
        """As recorded."""
        told = self.recording.commands.get(" ".join(command))
        return told and Ran(told.status, kept(told.output, keep), told.timed_out)

    def imports(self, module: str) -> Imported | None:
        """As recorded."""
        told = self.recording.imports.get(module)
        return told and Imported(told.file, told.error, told.timed_out)


def load(path: Path) -> Recorded:
    """The machine recorded in a `.toml` or `.json` file.

    Raises:
        UsageError: the file is none of them, or not of that form.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        return Recorded(Recording.model_validate(data))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise UsageError(f"{path} is no recorded machine: {place}: {first['msg']}") from None
    except ValueError as error:
        raise UsageError(f"{path} is no recorded machine: {str(error).splitlines()[0]}") from None


def dump(recording: Recording) -> str:
    """A recording as JSON that `load` reads."""
    return recording.model_dump_json(indent=1) + "\n"

# SPDX-License-Identifier: Apache-2.0
"""Notes every answer that a machine gives, so that another can give the same (`recording`)."""

from __future__ import annotations

from host.doctor.machine import Holders, Imported, Machine, Node, Ran, System
from host.doctor.recording import (
    RecordedCommand,
    RecordedImport,
    RecordedNode,
    RecordedPython,
    Recording,
)


class Recorder:
    """A machine that gives another's answers and writes them down in `recording`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        facts = machine.facts
        python = facts.python
        self.recording = Recording(
            system=facts.system,
            release=facts.release,
            user=facts.user,
            uid=facts.uid,
            groups=list(facts.groups),
            memlock=facts.memlock,
            python=python
            and RecordedPython(
                version=python.version, suffixes=list(python.suffixes), path=list(python.path)
            ),
            environment=dict(facts.environment),
        )

    @property
    def facts(self) -> System:
        """The machine's."""
        return self._machine.facts

    def read(self, path: str) -> str | None:
        """The machine's answer, noted."""
        text = self._machine.read(path)
        if text is not None:
            self.recording.files[path] = text
        return text

    def names(self, folder: str, prefix: str = "") -> tuple[str, ...] | None:
        """The machine's answer, noted."""
        found = self._machine.names(folder, prefix)
        if found is not None:
            known = self.recording.folders.get(folder, [])
            self.recording.folders[folder] = sorted({*known, *found})
        return found

    def target(self, path: str) -> str | None:
        """The machine's answer, noted."""
        found = self._machine.target(path)
        if found is not None:
            self.recording.links[path] = found
        return found

    def node(self, path: str) -> Node | None:
        """The machine's answer, noted."""
        found = self._machine.node(path)
        if found is not None:
            note = RecordedNode(mode=oct(found.mode), owner=found.owner, group=found.group)
            self.recording.nodes.setdefault(path, note)
        return found

    def opens(self, path: str) -> str | None:
        """The machine's answer, noted with the node."""
        answer = self._machine.opens(path)
        self.node(path)
        if path in self.recording.nodes:
            self.recording.nodes[path].opens = answer
        return answer

    def holders(self, path: str) -> Holders:
        """The machine's answer, noted with the node."""
        answer = self._machine.holders(path)
        self.node(path)
        if path in self.recording.nodes:
            note = self.recording.nodes[path]
            note.holders = {str(pid): name for pid, name in answer.processes}
            note.hidden = answer.hidden
        return answer

    def which(self, program: str) -> str | None:
        """The machine's answer, noted."""
        found = self._machine.which(program)
        if found is not None:
            self.recording.programs[program] = found
        return found

    def run(self, command: tuple[str, ...], keep: str = "") -> Ran | None:
        """The machine's answer, noted."""
        ran = self._machine.run(command, keep)
        if ran is not None:
            self.recording.commands[" ".join(command)] = RecordedCommand(
                status=ran.status, output=ran.output, timed_out=ran.timed_out
            )
        return ran

    def imports(self, module: str) -> Imported | None:
        """The machine's answer, noted."""
        found = self._machine.imports(module)
        if found is not None:
            self.recording.imports[module] = RecordedImport(
                file=found.file, error=found.error, timed_out=found.timed_out
            )
        return found

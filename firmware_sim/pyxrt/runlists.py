# SPDX-License-Identifier: Apache-2.0
"""`pyxrt.runlist`: runs that are submitted and waited for as one."""

# ruff: noqa: N801 - the names are pyxrt's

from __future__ import annotations

from dataclasses import dataclass, field

from firmware_sim.pyxrt.commands import Command, failure
from firmware_sim.pyxrt.contexts import Context, context_of, hw_context
from firmware_sim.pyxrt.execution import ABORT, COMPLETED, Outcome
from firmware_sim.pyxrt.failures import only_here, xrt_error
from firmware_sim.pyxrt.kernels import Milliseconds, WaitStatus, command_of, run
from firmware_sim.pyxrt.overloads import Bound, method

IDLE, RUNNING = "idle", "running"


@dataclass(eq=False)
class Batch:
    """What a runlist holds."""

    context: Context
    commands: list[Command] = field(default_factory=list[Command])
    state: str = IDLE

    def add(self, command: Command) -> None:
        """One more run, which can then no longer be started by itself."""
        if self.state != IDLE:
            raise xrt_error(
                f"runlist must be idle before adding run objects, current state: {self.state}"
            )
        command.runlists += 1
        self.commands.append(command)

    def execute(self) -> None:
        """Run all in order; what comes after one that fails is aborted."""
        if self.state != IDLE:
            raise xrt_error(
                f"runlist must be idle before submitting for execution, current state: {self.state}"
            )
        failed = False
        for command in self.commands:
            command.settle()
            if failed:
                command.outcome = Outcome(ABORT, reason="a run before it in the runlist failed")
                continue
            command.execute()
            failed = command.outcome.state != COMPLETED
        self.state = RUNNING if self.commands else IDLE

    def wait(self) -> None:
        """Wait for all; RuntimeError for the first that failed."""
        if self.state != RUNNING:
            return
        self.state = IDLE
        for command in self.commands:
            if command.outcome.state != COMPLETED:
                raise failure("runlist failed execution", command.outcome)

    def __del__(self) -> None:
        for command in getattr(self, "commands", ()):
            command.runlists -= 1


class runlist(Bound):
    """Runs that are executed as one."""

    __slots__ = ("_impl",)
    _impl: Batch | None

    @method
    def __init__(self, /) -> None:
        self._impl = None

    @__init__.add
    def _(self, hwctx: hw_context) -> None:
        self._impl = Batch(context_of(hwctx))

    @method
    def add(self, run: run) -> None:
        """Add a run."""
        if self._impl is None:
            raise xrt_error("cannot add run object to uninitialized runlist")
        self._impl.add(command_of(run))

    @method
    def execute(self, /) -> None:
        """Submit all of them."""
        _batch(self).execute()

    @method
    def wait(self, /) -> None:
        """Wait for all of them."""
        _batch(self).wait()

    @wait.add
    def _(self, timeout: Milliseconds) -> WaitStatus: ...


def _batch(made: runlist) -> Batch:
    if made._impl is None:
        raise only_here("this runlist is empty, make it of a hw_context; pyxrt would crash here")
    return made._impl

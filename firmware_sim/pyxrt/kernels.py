# SPDX-License-Identifier: Apache-2.0
"""`pyxrt.kernel` and `pyxrt.run`: an entry point of a design, and one execution of it."""

# ruff: noqa: N801 - the names are pyxrt's

from __future__ import annotations

import warnings
from typing import Annotated, Any

from firmware_sim.pyxrt.arguments import REFUSED, Int, Pointer, UnsignedInt, caster_of, unknown
from firmware_sim.pyxrt.buffers import bo
from firmware_sim.pyxrt.commands import Command, Entry
from firmware_sim.pyxrt.containers import uuid
from firmware_sim.pyxrt.contexts import Context, context_of, hw_context
from firmware_sim.pyxrt.devices import device, registered
from firmware_sim.pyxrt.enums import PybindEnum, ert_cmd_state, member
from firmware_sim.pyxrt.execution import Outcome
from firmware_sim.pyxrt.failures import only_here, xrt_error
from firmware_sim.pyxrt.metadata import units
from firmware_sim.pyxrt.overloads import Bound, method

Milliseconds = Annotated[Any, unknown("std::chrono::duration<long, std::ratio<1l, 1000l> >")]
"""A duration, which pyxrt was built without a Python type for."""
WaitStatus = Annotated[Any, unknown("std::cv_status")]
Callback = Annotated[Any, unknown("std::function<void (void const*, ert_cmd_state, void*)>")]
KERNEL_DEPRECATED = (
    "kernel(device, uuid, name[, mode]) is deprecated; use kernel(hw_context, name) instead."
)


class run(Bound):
    """One execution of a kernel."""

    __slots__ = ("_impl",)
    _impl: Command | None

    @method
    def __init__(self, /) -> None:
        self._impl = None

    @__init__.add
    def _(self, arg0: kernel, /) -> None:
        self._impl = Command(arg0._impl)

    @method
    def start(self, /) -> None:
        """Start it."""
        command_of(self).start()

    @method
    def set_arg(self, arg0: Int, arg1: bo, /) -> None:
        """Set argument `arg0` to a buffer."""
        command_of(self).set_buffer(arg0, arg1._impl)

    @set_arg.add
    def _(self, arg0: Int, arg1: Int, /) -> None:
        command_of(self).set_scalar(arg0, arg1)

    @method
    def wait(self, /) -> ert_cmd_state:
        """State in which it ends, for however long that takes; never raises."""
        return ert_cmd_state(command_of(self).wait(0))

    @wait.add
    def _(self, arg0: UnsignedInt, /) -> ert_cmd_state:
        return ert_cmd_state(command_of(self).wait(arg0))

    @method
    def wait2(self, /) -> None:
        """Wait until it ends; RuntimeError if it does not end well."""
        command_of(self).wait_or_raise()

    @wait2.add
    def _(self, arg0: Milliseconds, /) -> WaitStatus: ...

    @method
    def state(self, /) -> ert_cmd_state:
        """State that it is in; never raises."""
        return ert_cmd_state(command_of(self).state())

    @method
    def add_callback(self, arg0: ert_cmd_state, arg1: Callback, arg2: Pointer, /) -> None:
        """Cannot be called, in pyxrt either: it was built without callbacks."""

    @method
    def get_ctrl_scratchpad_bo(self, /) -> bo:
        """Fails as in pyxrt: only a run of an ELF's module has one."""
        raise xrt_error("No module associated with run object")


class kernel(Bound):
    """An entry point of a design."""

    __slots__ = ("_impl",)
    _impl: Entry

    class cu_access_mode(PybindEnum):
        """Whether others may share the compute unit; NPUs make no difference."""

        exclusive = member(0)
        shared = member(1)
        none = member(2)

    exclusive = cu_access_mode.exclusive
    shared = cu_access_mode.shared
    none = cu_access_mode.none

    @method
    def __init__(self, device: device, uuid: uuid, name: str, mode: kernel.cu_access_mode) -> None:
        self._impl = _deprecated(device, uuid, name, int(mode) != int(kernel.exclusive))

    @__init__.add
    def _(self, device: device, uuid: uuid, name: str) -> None:
        self._impl = _deprecated(device, uuid, name, True)

    @__init__.add
    def _(self, hw_context: hw_context, name: str) -> None:
        self._impl = _entry(context_of(hw_context), name)

    @method
    def __call__(self, *args: Any) -> run:
        """A run with these arguments, already started.

        As in pyxrt, what is no buffer and no 32-bit integer is not set, without a word.
        """
        started = run(self)
        command = command_of(started)
        for place, value in enumerate(args):
            if isinstance(value, bo):
                command.set_buffer(place, value._impl)
            elif (number := INT.load(value, True)) is not REFUSED and place < len(
                self._impl.kernel.arguments
            ):
                command.set_scalar(place, number)
        command.start()
        return started

    @method
    def group_id(self, arg0: Int, /) -> int:
        """Memory group that an argument's buffer is to be made in; ends with the context."""
        return self._impl.group_id(arg0)


INT: Any = caster_of(Int)


def command_of(started: run) -> Command:
    """What a run holds; RuntimeError for one that is empty."""
    if started._impl is None:
        raise only_here("this run is empty, make it of a kernel; pyxrt would crash here")
    return started._impl


def outcome_of(started: run) -> Outcome:
    """How a run's last start ended."""
    return command_of(started).outcome


def _entry(context: Context, name: str) -> Entry:
    """The kernel of a context that is called `name`, or `name:instance`.

    Raises:
        RuntimeError: there is none.
    """
    container = context.content.container
    kernel_name = name.partition(":")[0]
    found = next((each for each in container.kernels if each.name == kernel_name), None)
    if found is None:
        raise xrt_error(f"No such kernel '{kernel_name}'")
    if ":" in name and name not in units(container):
        raise RuntimeError(f"No compute units matching '{name}'")
    return Entry(context, found)


def _deprecated(opened: device, identity: uuid, name: str, shared: bool) -> Entry:
    warnings.warn(KERNEL_DEPRECATED, DeprecationWarning, stacklevel=4)
    return _entry(Context(opened, registered(opened, identity), int(shared)), name)

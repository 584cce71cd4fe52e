# SPDX-License-Identifier: Apache-2.0
"""Enums as pybind11's `py::enum_` makes them, which are no `enum.IntEnum`.

`int(x)`, `.name`, `.value` and `__members__` work; `isinstance(x, int)` is false, there is no
order, any integer makes a value, and only C enums equal a Python int. The real module does not
export ERT_CMD_STATE_RUNNING, so a command that runs has a state without a name.
"""

# ruff: noqa: N801 - the names are pyxrt's

from __future__ import annotations

from typing import Any, ClassVar

from firmware_sim.pyxrt.arguments import REFUSED, UnsignedInt, caster_of, title_of

NAMELESS = "???"
RUNNING = 3
"""ERT_CMD_STATE_RUNNING, which has no name in pyxrt."""


class _Member(int):
    """A number in an enum's body, until the class is there to make a value of it."""


def member(number: int) -> Any:
    """A value of the enum in whose body this stands."""
    return _Member(number)


class _Members:
    """`__members__`: a new dict for every reader, of the class or of a value."""

    def __get__(self, instance: object | None, owner: type[PybindEnum]) -> dict[str, Any]:
        return {name: owner.__dict__[name] for name in owner._entries}


class PybindEnum:
    """Base of the stand-in's enums; `c_enum` is for those that are C enums in XRT."""

    __slots__ = ("_number",)
    __members__ = _Members()
    _entries: ClassVar[dict[str, int]] = {}
    _c_enum: ClassVar[bool] = False

    def __init__(self, value: int) -> None:
        loaded: Any = caster_of(UnsignedInt).load(value, True)
        if loaded is REFUSED:
            raise TypeError(
                "__init__(): incompatible constructor arguments. The following argument types are "
                f"supported:\n    1. {title_of(type(self))}(value: int)\n\nInvoked with: {value!r}"
            )
        self._number: int = loaded

    def __init_subclass__(cls, *, c_enum: bool = False, submodule: str = "") -> None:
        cls.__module__ = f"pyxrt.{submodule}" if submodule else "pyxrt"
        cls._c_enum = c_enum
        cls._entries = {
            name: int(number) for name, number in vars(cls).items() if isinstance(number, _Member)
        }
        for name, number in cls._entries.items():
            setattr(cls, name, cls(number))

    @property
    def value(self) -> int:
        """The number."""
        return self._number

    @property
    def name(self) -> str:
        """The first name of the number; "???" for one that has none."""
        return self._title()

    def _title(self) -> str:
        entries = self._entries.items()
        return next((name for name, number in entries if number == self._number), NAMELESS)

    def __int__(self) -> int:
        return self._number

    def __index__(self) -> int:
        return self._number

    def __hash__(self) -> int:
        return hash(self._number)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, type(self)):
            return self._number == other._number
        return self._c_enum and isinstance(other, int) and self._number == other

    def __repr__(self) -> str:
        return f"<{type(self).__name__}.{self._title()}: {self._number}>"

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self._title()}"


class xclBOSyncDirection(PybindEnum, c_enum=True):
    """Which way `bo.sync` copies."""

    XCL_BO_SYNC_BO_TO_DEVICE = member(0)
    XCL_BO_SYNC_BO_FROM_DEVICE = member(1)
    XCL_BO_SYNC_BO_GMIO_TO_AIE = member(2)
    XCL_BO_SYNC_BO_AIE_TO_GMIO = member(3)


class ert_cmd_state(PybindEnum, c_enum=True):
    """What has become of a command."""

    ERT_CMD_STATE_NEW = member(1)
    ERT_CMD_STATE_QUEUED = member(2)
    ERT_CMD_STATE_COMPLETED = member(4)
    ERT_CMD_STATE_ERROR = member(5)
    ERT_CMD_STATE_ABORT = member(6)
    ERT_CMD_STATE_SUBMITTED = member(7)
    ERT_CMD_STATE_TIMEOUT = member(8)
    ERT_CMD_STATE_NORESPONSE = member(9)
    ERT_CMD_STATE_SKERROR = member(10)
    ERT_CMD_STATE_SKCRASHED = member(11)


class xrt_info_device(PybindEnum):
    """What `device.get_info` is asked for.

    As in pyxrt the value called `name` hides the property `.name` of all of them.
    """

    bdf = member(0)
    interface_uuid = member(1)
    kdma = member(2)
    max_clock_frequency_mhz = member(3)
    m2m = member(4)
    name = member(5)  # pyright: ignore[reportIncompatibleMethodOverride]
    nodma = member(6)
    offline = member(7)
    electrical = member(8)
    thermal = member(9)
    mechanical = member(10)
    memory = member(11)
    platform = member(12)
    pcie_info = member(13)
    host = member(14)
    dynamic_regions = member(17)
    vmr = member(18)


class xrt_msg_level(PybindEnum):
    """How bad a logged message is."""

    emergency = member(0)
    alert = member(1)
    critical = member(2)
    error = member(3)
    warning = member(4)
    notice = member(5)
    info = member(6)
    debug = member(7)

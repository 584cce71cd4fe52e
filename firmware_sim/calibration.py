# SPDX-License-Identifier: Apache-2.0
"""Timing constants from data files to array cycles: for one device, profile and clock.

Code never holds a bare cycle count: it reads `Costs`, and `Costs` comes from the TOML files in
`calibration/`, where every constant has its value, unit, clock, grade, source and spread; or from
a file of the same form that `sparsebd calibrate` measured on one machine (`read`).
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aie2.devices import Device, device
from firmware_sim.errors import CalibrationError

PROFILES = ("low", "central", "high")
"""How the unmeasured part of the timing is split; results carry the band that they span."""

Domain = Literal["array", "controller", "memory"]
Finite = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Band(_Strict):
    """A value that nobody has pinned down: one reading per profile."""

    low: Finite
    central: Finite
    high: Finite


class DomainBand(_Strict):
    """What a cost scales with, where that itself is not known."""

    low: Domain
    central: Domain
    high: Domain


class Constant(_Strict):
    """One timing constant with its provenance, as a calibration file states it."""

    value: Finite | Band
    unit: Literal["cycles", "GB/s", "ratio"]
    domain: Domain | DomainBand
    grade: Literal["M", "D", "S", "assumed"]
    source: str
    spread: tuple[Finite, Finite] | None = None
    clock_mhz: Finite | None = None

    def at(self, profile: str) -> float:
        """Value of the constant in `profile`, in its own unit."""
        return getattr(self.value, profile) if isinstance(self.value, Band) else self.value

    def domain_at(self, profile: str) -> Domain:
        """What the constant scales with in `profile`."""
        return getattr(self.domain, profile) if isinstance(self.domain, DomainBand) else self.domain


class Calibration(_Strict):
    """The constants of one device, before a profile and a clock are chosen."""

    device: str
    reference_clock_mhz: Finite
    inherit: str | None = None
    inherited_domain: dict[Domain, DomainBand] = {}
    constants: dict[str, Constant]


CalibrationSource = Calibration | str | PathLike[str]
"""Constants of one machine: as they are, or the path of a file that states them."""


class Costs(NamedTuple):
    """Every cost in array cycles (limits in bytes a cycle) at one device, profile and clock.

    The field names are the names in the calibration files.
    """

    write: float
    block_write_word: float
    mask_write: float
    patch: float
    push_busy: float
    push_idle: float
    wait_first: float
    wait_each: float
    poll: float
    other_op: float
    native_bd: float
    native_patch: float
    native_push: float
    native_wait: float
    native_poll: float
    native_mask_write: float
    walk: float
    l2_read: float
    test_row: float
    shim_mm2s_task: float
    shim_mm2s_cold: float
    shim_mm2s_cold_decay: float
    shim_s2mm_task: float
    shim_s2mm_first_floor: float
    next_bd: float
    word: float
    lock_handoff: float
    dispatch_base: float
    read_limit: float
    write_limit: float
    combined_limit: float
    column_limit: float
    latency_deviation: float


@lru_cache
def load(name: str) -> Calibration:
    """Calibration file of device `name`, checked; errors name the field that is wrong."""
    path = files("firmware_sim") / "calibration" / f"{name}.toml"
    if not path.is_file():
        raise CalibrationError(f"no calibration for {name!r}: add calibration/{name}.toml")
    return parse(path.read_text(encoding="utf-8"))


def parse(text: str) -> Calibration:
    """Calibration from TOML text; a `CalibrationError` says which entry is wrong and why."""
    try:
        return Calibration.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise CalibrationError(f"calibration is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CalibrationError(f"calibration entry {where}: {first['msg']}") from None


def read(source: CalibrationSource) -> Calibration:
    """Constants of a machine, from a path; errors name the file and the entry that is wrong."""
    if isinstance(source, Calibration):
        return source
    path = Path(source)
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CalibrationError(f"{path}: {error.strerror}; give a calibration file") from None
    except UnicodeDecodeError:
        raise CalibrationError(f"{path}: this is no text; give a calibration file") from None
    except CalibrationError as error:
        raise CalibrationError(f"{path}: {error}") from None


def _cycles(
    constant: Constant, domain: Domain, profile: str, owner: Calibration, to: Device, clock: float
) -> float:
    value = constant.at(profile)
    taken_on, taken_at = device(owner.device), constant.clock_mhz or owner.reference_clock_mhz
    if constant.unit == "ratio":
        return value
    if constant.unit == "GB/s":
        rate = value * clock / taken_at if domain == "array" else value
        return rate * 1000.0 / clock
    if domain == "array":
        return value
    in_clock = value * clock / taken_at
    if domain == "memory":
        return in_clock
    controller = to.controller_clock_mhz * clock / to.clock_mhz
    return in_clock * taken_on.controller_clock_mhz * taken_at / taken_on.clock_mhz / controller


def provenance(name: str) -> dict[str, tuple[Constant, str]]:
    """Every constant that device `name` uses, with the device whose file states it."""
    return {key: (constant, owner.device) for key, (constant, owner) in _known(load(name)).items()}


def _known(calibration: Calibration) -> dict[str, tuple[Constant, Calibration]]:
    """Every constant of a calibration, with the one that states it: itself or what it inherits."""
    constants = {key: (constant, calibration) for key, constant in calibration.constants.items()}
    if calibration.inherit is None:
        return constants
    inherited = {
        key: (constant.model_copy(update={"grade": "assumed"}), owner)
        for key, (constant, owner) in _known(load(calibration.inherit)).items()
    }
    return inherited | constants


@lru_cache
def costs(device_name: str, profile: str = "central", clock_mhz: float | None = None) -> Costs:
    """Costs in array cycles for a device, one of `PROFILES`, and an array clock in MHz.

    The controller's clock is taken to move with the array's, as in the DPM tables.

    Raises:
        CalibrationError: unknown profile, a clock that is not positive, or a missing constant.
    """
    _check_profile(profile)
    target = device(device_name)
    clock = target.clock_mhz if clock_mhz is None else clock_mhz
    _check_clock(clock)
    return costs_from(load(device_name), profile, clock)


def costs_from(calibration: Calibration, profile: str, clock_mhz: float) -> Costs:
    """Costs in array cycles from given constants; errors as `costs`."""
    _check_profile(profile)
    _check_clock(clock_mhz)
    target, known = device(calibration.device), _known(calibration)
    values: dict[str, float] = {}
    for field in Costs._fields:
        if field not in known:
            raise CalibrationError(f"{target.name}: calibration lacks the constant {field!r}")
        constant, owner = known[field]
        domain = _domain(constant, owner, calibration, profile)
        values[field] = _cycles(constant, domain, profile, owner, target, clock_mhz)
    return Costs(**values)


def domain_of(device_name: str, constant_name: str, profile: str) -> Domain:
    """What a constant that device `device_name` uses scales with there, in `profile`."""
    calibration = load(device_name)
    constant, owner = _known(calibration)[constant_name]
    return _domain(constant, owner, calibration, profile)


def _domain(
    constant: Constant, owner: Calibration, calibration: Calibration, profile: str
) -> Domain:
    """The domain in which `calibration` reads a constant that it or another states."""
    domain, rule = constant.domain_at(profile), calibration.inherited_domain
    return getattr(rule[domain], profile) if owner is not calibration and domain in rule else domain


def costs_for(
    target: Device, profile: str, clock_mhz: float | None, source: CalibrationSource | None
) -> tuple[Costs, float]:
    """Costs and the array clock in MHz that they hold at: as shipped, or of a machine's own file.

    Without a clock a shipped calibration takes the device's, a machine's file the clock at which
    it was measured.

    Raises:
        CalibrationError: as `costs`; also a file that is unreadable or for another device.
    """
    if source is None:
        clock = target.clock_mhz if clock_mhz is None else clock_mhz
        return costs(target.name, profile, clock_mhz), clock
    calibration = read(source)
    if calibration.device != target.name:
        raise CalibrationError(
            f"the calibration is of {calibration.device} and the run is for {target.name}: give "
            f"one that was measured on {target.name}"
        )
    clock = calibration.reference_clock_mhz if clock_mhz is None else clock_mhz
    return costs_from(calibration, profile, clock), clock


def _check_profile(profile: str) -> None:
    if profile not in PROFILES:
        raise CalibrationError(f"profile {profile!r} is not one of {', '.join(PROFILES)}")


def _check_clock(clock: float) -> None:
    if not 0 < clock < float("inf"):
        raise CalibrationError(f"a clock of {clock} MHz cannot run: give a positive one")

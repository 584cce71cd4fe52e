# SPDX-License-Identifier: Apache-2.0
"""Overload resolution and enums are pybind11's: what is taken, converted, refused, and how."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyxrt_lane import TO_DEVICE, Lane

from firmware_sim import pyxrt
from firmware_sim.pyxrt.arguments import (
    REFUSED,
    Int,
    Parameters,
    ReadableBuffer,
    Size,
    caster_of,
)
from firmware_sim.pyxrt.overloads import Bound, method

INT, SIZE, PARAMETERS = caster_of(Int), caster_of(Size), caster_of(Parameters)


class Index:
    def __index__(self):
        return 5


class Float:
    def __float__(self):
        return 5.0


@pytest.mark.parametrize(
    ("value", "without", "converted"),
    [
        (7, 7, 7),
        (True, 1, 1),
        (Index(), 5, 5),
        (np.int64(7), 7, 7),
        (np.array(7), 7, 7),
        (pyxrt.bo.host_only, 0x20000000, 0x20000000),
        (np.float32(7.9), REFUSED, 7),
        (Decimal("7.9"), REFUSED, 7),
        (Fraction(15, 2), REFUSED, 7),
        (7.0, REFUSED, REFUSED),
        (np.float64(7.0), REFUSED, REFUSED),
        (Float(), REFUSED, REFUSED),
        (np.float32("nan"), REFUSED, REFUSED),
        (np.array([7, 8]), REFUSED, REFUSED),
        (complex(7), REFUSED, REFUSED),
        ("7", REFUSED, REFUSED),
        (None, REFUSED, REFUSED),
        (b"7", REFUSED, REFUSED),
    ],
    ids=repr,
)
def test_an_integer_takes_what_pybind11_takes(value, without, converted):
    assert INT.load(value, False) == without
    assert INT.load(value, True) == converted


@given(st.integers())
def test_an_integer_takes_what_fits_its_c_type(value):
    assert (INT.load(value, True) is REFUSED) == (not -(2**31) <= value < 2**31)
    assert (SIZE.load(value, True) is REFUSED) == (not 0 <= value < 2**64)


def test_parameters_are_a_dict_of_texts_to_unsigned_integers():
    assert PARAMETERS.load({"gops": 1, b"fps": np.int64(2)}, False) == {"gops": 1, "fps": 2}
    for wrong in ({"gops": -1}, {"gops": "1"}, {1: 1}, [("gops", 1)], None):
        assert PARAMETERS.load(wrong, True) is REFUSED


class Shown(Bound):
    """Two overloads of which the second is a better fit without conversions."""

    @method
    def of(self, arg0: Int, /) -> str:
        return f"int {arg0}"

    @of.add
    def _(self, text: str, count: Int = 3) -> str:
        return f"{text} {count}"

    @method
    def either(self, arg0: Int, /) -> str:
        return "integer"

    @either.add
    def _(self, arg0: ReadableBuffer, /) -> str:
        return "buffer"


def test_overloads_are_tried_without_conversions_first():
    shown = Shown()
    assert shown.of(np.float32(2.5)) == "int 2"
    assert (shown.of("x"), shown.of(text="x", count=4)) == ("x 3", "x 4")
    assert (shown.either(np.float32(2.5)), shown.either(Fraction(5, 2))) == ("buffer", "integer")
    assert shown.either(np.int32(2)) == "integer"
    assert not hasattr(Shown, "_")


def test_a_type_error_lists_every_overload_and_what_was_given():
    shown = Shown()
    sentence = (
        "of(): incompatible function arguments. The following argument types are supported:\n"
        "    1. (self: pyxrt.Shown, arg0: int) -> str\n"
        "    2. (self: pyxrt.Shown, text: str, count: int = 3) -> str\n"
        "\n"
        f"Invoked with: {shown!r}, 2.5; kwargs: count=1"
    )
    with pytest.raises(TypeError) as caught:
        shown.of(2.5, count=1)
    assert str(caught.value) == sentence


def test_a_constructor_is_listed_by_its_class():
    with pytest.raises(TypeError) as caught:
        pyxrt.bo(size=3)
    assert str(caught.value).splitlines() == [
        "__init__(): incompatible constructor arguments. The following argument types are "
        "supported:",
        "    1. pyxrt.bo(device: pyxrt.device, size: int, flags: pyxrt.bo.flags, group: int)",
        "    2. pyxrt.bo(hwctx: pyxrt.hw_context, size: int, flags: pyxrt.bo.flags, group: int)",
        "    3. pyxrt.bo(hwctx: pyxrt.hw_context, size: int, group: int)",
        "    4. pyxrt.bo(arg0: pyxrt.bo, arg1: int, arg2: int)",
        "",
        "Invoked with: kwargs: size=3",
    ]


def test_arguments_without_a_name_go_by_place_only():
    lane = Lane()
    buffer = lane.data(64)
    buffer.sync(TO_DEVICE, 64, 0)
    with pytest.raises(TypeError, match=r"1. \(self: pyxrt.bo, arg0: pyxrt.xclBOSyncDirection"):
        buffer.sync(direction=TO_DEVICE)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        buffer.sync(0)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        buffer.sync(TO_DEVICE, 64)
    named = pyxrt.bo(device=lane.device, size=64, flags=pyxrt.bo.host_only, group=0)
    assert named.size() == 64


def test_a_function_of_the_module_is_listed_without_self(capsys):
    with pytest.raises(TypeError, match=r"1. \(arg0: pyxrt.xrt_msg_level, arg1: str, arg2: str\)"):
        pyxrt.log_message(3, "a", "b")
    pyxrt.log_message(pyxrt.error, "mine", "text")
    assert capsys.readouterr().err == "[mine] ERROR: text\n"
    assert pyxrt.enumerate_devices() == 1


def test_objects_take_no_new_attributes_but_weak_references():
    buffer = Lane().data(64)
    with pytest.raises(AttributeError):
        setattr(buffer, "mine", 1)  # noqa: B010 - a type checker knows it too
    assert (pyxrt.bo.__module__, pyxrt.ext.bo.__module__) == ("pyxrt", "pyxrt.ext")
    assert pyxrt.bo.flags.__qualname__ == "bo.flags"
    assert issubclass(pyxrt.ext.bo, pyxrt.bo)


@pytest.mark.parametrize(
    "call",
    [
        lambda: pyxrt.device().get_info(pyxrt.xrt_info_device.name),
        lambda: pyxrt.hw_context().get_device(),
        lambda: pyxrt.kernel(pyxrt.hw_context(), "MLIR_AIE"),
        lambda: pyxrt.xclbin().get_kernels(),
        lambda: pyxrt.run().start(),
        lambda: pyxrt.runlist().execute(),
    ],
)
def test_an_empty_object_is_refused_where_pyxrt_crashes(call):
    with pytest.raises(RuntimeError, match="^firmware_sim.pyxrt: this .* is empty, "):
        call()


STATE = pyxrt.ert_cmd_state


def test_an_enum_has_names_values_and_members():
    state = STATE.ERT_CMD_STATE_TIMEOUT
    assert (state.name, state.value, int(state)) == ("ERT_CMD_STATE_TIMEOUT", 8, 8)
    assert (repr(state), str(state)) == (
        "<ert_cmd_state.ERT_CMD_STATE_TIMEOUT: 8>",
        "ert_cmd_state.ERT_CMD_STATE_TIMEOUT",
    )
    assert list(STATE.__members__)[:2] == ["ERT_CMD_STATE_NEW", "ERT_CMD_STATE_QUEUED"]
    assert STATE.__members__["ERT_CMD_STATE_TIMEOUT"] is state
    assert state.__members__ is not STATE.__members__
    assert ({8: 2}[state], list(range(9))[state]) == (2, 8)
    with pytest.raises(AttributeError):
        state.value = 3


def test_any_integer_is_a_value_and_equal_ones_are_not_the_same():
    assert STATE(3).name == "???"
    assert STATE(8) == STATE.ERT_CMD_STATE_TIMEOUT
    assert STATE(8) is not STATE.ERT_CMD_STATE_TIMEOUT
    assert hash(STATE(8)) == hash(8)
    for wrong in (-1, 2**32, "8", None):
        with pytest.raises(TypeError, match="incompatible constructor arguments"):
            STATE(wrong)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("other", [1.0, "x", None, np.int64(1), pyxrt.xclBOSyncDirection(1), 2])
def test_a_c_enum_equals_a_python_int_and_its_own_kind_only(other):
    assert STATE(1) == 1
    assert STATE(1).__eq__(1)
    assert STATE(1) != other


def test_a_scoped_enum_equals_its_own_kind_only():
    assert pyxrt.bo.normal == pyxrt.bo.flags.normal
    assert pyxrt.bo.normal != 0
    assert pyxrt.bo.normal != pyxrt.kernel.exclusive
    assert pyxrt.hw_context.shared == pyxrt.hw_context.access_mode.shared


def test_enums_are_neither_ordered_nor_iterable_nor_added():
    for wrong in (lambda: STATE(1) < 2, lambda: STATE(1) + 1, lambda: list(STATE)):  # pyright: ignore
        with pytest.raises(TypeError):
            wrong()


def test_a_value_called_name_hides_the_property():
    assert pyxrt.xrt_info_device.bdf.name == pyxrt.xrt_info_device.name
    assert repr(pyxrt.xrt_info_device.bdf) == "<xrt_info_device.bdf: 0>"


def test_two_names_of_one_value_are_shown_as_the_first():
    assert str(pyxrt.ext.local) == "access_mode.none"
    assert int(pyxrt.ext.read | pyxrt.ext.write) == 3
    assert int(pyxrt.ext.read_write & pyxrt.ext.write) == 2


def test_levels_are_names_of_the_module():
    assert pyxrt.debug == pyxrt.xrt_msg_level.debug
    assert pyxrt.XCL_BO_FLAGS_NONE == 0

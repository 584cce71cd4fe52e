# SPDX-License-Identifier: Apache-2.0
"""`pyxrt.uuid` and `pyxrt.xclbin` with what an xclbin is made of."""

# ruff: noqa: N801 - the names are pyxrt's

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated
from uuid import UUID

from aie2.errors import FormatError
from aie2.xclbin import HEADER, Kernel, Xclbin, read
from aie2.xclbin_format import MAGIC
from firmware_sim.array.configure import Configuration, read_configuration
from firmware_sim.pyxrt.arguments import CString, unknown
from firmware_sim.pyxrt.failures import only_here
from firmware_sim.pyxrt.metadata import Bank, banks
from firmware_sim.pyxrt.overloads import Bound, method, wrap

NIL = UUID(int=0)
Axlf = Annotated[None, unknown("axlf")]
"""Pointer to a container in memory: pyxrt cannot be given one."""


class uuid(Bound):
    """Identity of an xclbin; two of them are equal only if they are the same object."""

    __slots__ = ("_impl",)
    _impl: UUID

    @method
    def __init__(self, arg0: CString, /) -> None:
        try:
            self._impl = UUID(arg0)
        except ValueError:
            self._impl = NIL

    @method
    def to_string(self, /) -> str:
        """The identity as text."""
        return str(self._impl)


class Content:
    """A container that was read, with everything that is made from it at most once."""

    def __init__(self, container: Xclbin) -> None:
        self.container = container

    @cached_property
    def configuration(self) -> Configuration:
        """Register writes of its design."""
        return read_configuration(self.container)


def read_content(path: str) -> Content:
    """Content of an xclbin file.

    Raises:
        RuntimeError: no such file, or no xclbin; in XRT's words where it has any.
    """
    if not path:
        raise RuntimeError("No xclbin specified")
    try:
        data = Path(path).read_bytes()
    except OSError:
        raise RuntimeError(f"Failed to open file '{path}' for reading") from None
    if len(data) < HEADER.size_bytes:
        raise RuntimeError("xclbin: buffer too small to contain header")
    if not data.startswith(MAGIC[:-1]):
        raise RuntimeError("Invalid xclbin")
    at, size_bytes = HEADER.fields["length"]
    if int.from_bytes(data[at : at + size_bytes], "little") != len(data):
        raise RuntimeError("xclbin: m_length does not match buffer size")
    try:
        return Content(read(data))
    except FormatError as error:
        raise RuntimeError(str(error)) from error


class xclbin(Bound):
    """A container for an NPU."""

    __slots__ = ("_impl",)
    _impl: Content | None

    class xclbinip(Bound):
        """A compute unit."""

        __slots__ = ("_impl",)
        _impl: str

        @method
        def __init__(self, /) -> None:
            self._impl = ""

        @method
        def get_name(self, /) -> str:
            """Its name, `kernel:instance`."""
            return self._impl

    class xclbinkernel(Bound):
        """A kernel as the host calls it."""

        __slots__ = ("_impl",)
        _impl: Kernel

        @method
        def __init__(self, /) -> None:
            self._impl = Kernel("", None, ())

        @method
        def get_name(self, /) -> str:
            """Its name."""
            return self._impl.name

        @method
        def get_num_args(self, /) -> int:
            """How many arguments it has, scalars included."""
            return len(self._impl.arguments)

    class xclbinmem(Bound):
        """A memory bank."""

        __slots__ = ("_impl",)
        _impl: Bank

        @method
        def __init__(self, /) -> None:
            self._impl = Bank(0, "", 0, 0, False)

        @method
        def get_tag(self, /) -> str:
            """Its name."""
            return self._impl.tag

        @method
        def get_base_address(self, /) -> int:
            """Device address of its first byte."""
            return self._impl.base

        @method
        def get_size_kb(self, /) -> int:
            """Its size in KiB."""
            return self._impl.size_kb

        @method
        def get_used(self, /) -> bool:
            """Whether the design uses it."""
            return self._impl.used

        @method
        def get_index(self, /) -> int:
            """Its number, as group ids have it."""
            return self._impl.index

    @method
    def __init__(self, /) -> None:
        self._impl = None

    @__init__.add
    def _(self, arg0: str, /) -> None:
        self._impl = read_content(arg0)

    @__init__.add
    def _(self, arg0: Axlf, /) -> None: ...

    @method
    def get_kernels(self, /) -> list[xclbin.xclbinkernel]:
        """Its kernels."""
        kernels = content_of(self).container.kernels
        return [wrap(xclbin.xclbinkernel, each) for each in kernels]

    @method
    def get_xsa_name(self, /) -> str:
        """The platform that it was made for."""
        return content_of(self).container.platform

    @method
    def get_uuid(self, /) -> uuid:
        """Its identity."""
        return wrap(uuid, content_of(self).container.uuid)

    @method
    def get_mems(self, /) -> list[xclbin.xclbinmem]:
        """Its memory banks."""
        return [wrap(xclbin.xclbinmem, each) for each in banks(content_of(self).container)]

    @method
    def get_axlf(self, /) -> Axlf:
        """Fails as in pyxrt, which has no Python type for what it would return."""
        raise TypeError(
            "Unable to convert function return value to a Python type! The signature was\n"
            "\t(self: pyxrt.xclbin) -> axlf"
        )


def content_of(container: xclbin) -> Content:
    """What an xclbin object holds; RuntimeError for one that is empty."""
    if container._impl is None:
        raise only_here("this xclbin is empty, give it a path; pyxrt would crash here")
    return container._impl


class xclbinip_vector(list[xclbin.xclbinip]):
    """A list of compute units, which nothing returns."""


class xclbinkernel_vector(list[xclbin.xclbinkernel]):
    """A list of kernels; `get_kernels` returns a plain list all the same."""


class xclbinmem_vector(list[xclbin.xclbinmem]):
    """A list of memory banks; `get_mems` returns a plain list all the same."""


for _vector in (xclbinip_vector, xclbinkernel_vector, xclbinmem_vector):
    _vector.__module__ = "pyxrt"

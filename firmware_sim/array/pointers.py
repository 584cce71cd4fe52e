# SPDX-License-Identifier: Apache-2.0
"""Primitives of compiled code for memory that has been checked before: copy bytes, view records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import carray

from firmware_sim.array.state import BUFFER, EVENT, OP, ROUTE, TASK_ROW, State
from firmware_sim.compiled import compiled


@intrinsic
def _copy_bytes(typing_context: Any, target: Any, source: Any, count: Any) -> Any:
    """Copy `count` bytes from address `source` to address `target`; regions must not overlap."""
    signature = types.void(types.int64, types.int64, types.int64)

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        byte_pointer = ir.IntType(8).as_pointer()
        to, from_, number = arguments
        cgutils.raw_memcpy(
            builder,
            builder.inttoptr(to, byte_pointer),
            builder.inttoptr(from_, byte_pointer),
            number,
            1,
        )
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _pointer(typing_context: Any, address: Any) -> Any:
    """The void pointer that the number `address` is."""
    signature = types.voidptr(types.int64)

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return signature, generate


copy_bytes: Callable[[int, int, int], None] = _copy_bytes  # pyright: ignore[reportAssignmentType]
"""(target, source, count): copy `count` bytes between two addresses of this process."""
pointer: Callable[[int], Any] = _pointer  # pyright: ignore[reportAssignmentType]
"""(address): a pointer to it, for `numba.carray`."""


@compiled
def words_at(address: int, count: int) -> Any:
    """`count` 32-bit words at an address, as an array."""
    return carray(pointer(address), (count,), np.uint32)


@compiled
def stream_words(m: State) -> Any:
    """The TXN stream that is executed."""
    return carray(pointer(m.words), (m.words_size,), np.uint32)


@compiled
def stream_ops(m: State) -> Any:
    """The ops of that stream, as `OP` records."""
    return carray(pointer(m.ops), (m.ops_size,), OP)


@compiled
def task_log(m: State) -> Any:
    """The log of tasks, as `TASK_ROW` records."""
    return carray(pointer(m.log), (m.log_size,), TASK_ROW)


@compiled
def routes(m: State) -> Any:
    """The routes, as `ROUTE` records."""
    return carray(pointer(m.routes), (m.routes_size,), ROUTE)


@compiled
def host_buffers(m: State) -> Any:
    """The host buffers, as `BUFFER` records."""
    return carray(pointer(m.buffers), (m.buffers_size,), BUFFER)


@compiled
def event_log(m: State) -> Any:
    """Events kept for a trace, as `EVENT` records."""
    return carray(pointer(m.events), (m.events_size,), EVENT)

# SPDX-License-Identifier: Apache-2.0
"""One primitive for compiled code: copy bytes between addresses that have been checked before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


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


copy_bytes: Callable[[int, int, int], None] = _copy_bytes  # pyright: ignore[reportAssignmentType]
"""(target, source, count): copy `count` bytes between two addresses of this process."""

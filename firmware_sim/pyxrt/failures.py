# SPDX-License-Identifier: Apache-2.0
"""Exceptions as they come out of pyxrt: RuntimeErrors with XRT's and the driver's texts.

XRT's `error` and `system_error` append the meaning of their error number; the driver's shim puts
the number in parentheses before it (XRT core/common/error.h, xdna-driver src/shim/shim_debug.h).
"""

from __future__ import annotations

import errno
import os


def xrt_error(text: str, number: int = errno.EINVAL) -> RuntimeError:
    """What XRT's `error` and `system_error` become."""
    return RuntimeError(f"{text}: {os.strerror(number)}")


def shim_error(text: str, number: int) -> RuntimeError:
    """What the shim's `shim_err` becomes; `number` may be negative, as the caller passed it."""
    return RuntimeError(f"{text} (err={number}): {os.strerror(abs(number))}")


def ioctl_error(command: str, number: int) -> RuntimeError:
    """What a driver call that fails with `number` becomes."""
    return shim_error(f"DRM_IOCTL_AMDXDNA_{command} IOCTL failed", -number)


def only_here(text: str) -> RuntimeError:
    """What the stand-in alone refuses; pyxrt would do it, or crash."""
    return RuntimeError(f"firmware_sim.pyxrt: {text}")

# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a device, each with what to do: one error family.

Texts of XRT and its driver that tell one cause from another: XRT
src/runtime_src/core/common/api/xrt_kernel.cpp, xdna-driver src/shim, and the threads that
`host.doctor` names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from host.errors import UsageError

HEALTH = re.compile(r"(\w+)\s*=\s*0x([0-9A-Fa-f]+)")
"""A health word in the text of a run that timed out."""


class NpuError(UsageError):
    """Something went wrong with a device; the message ends with what to do.

    `state` is the state in which a run ended, or None; `health` are the words that the driver adds
    to a run that timed out, by name; `hint` is what to do.
    """

    hint = ""

    def __init__(
        self, message: str, *, state: str | None = None, health: Mapping[str, int] | None = None
    ) -> None:
        message = " ".join(message.split())  # XRT's texts have lines
        super().__init__(f"{message}: {self.hint}" if self.hint else message)
        self.state = state
        self.health = dict(health or {})


class PyxrtMissing(NpuError):  # noqa: N818 (says what is)
    """pyxrt cannot be imported."""

    hint = (
        "it comes with XRT (Ubuntu: ppa:amd-team/xrt, packages libxrt2 libxrt-npu2 libxrt-utils), "
        "not from PyPI, and for the system's own Python; `sparsebd doctor` says what is missing"
    )


class DeviceNotFound(NpuError):  # noqa: N818
    """No NPU could be opened."""

    hint = "`sparsebd doctor` says why, backend sim needs none"


class DeviceLost(NpuError):  # noqa: N818
    """The driver does not take commands any more."""

    hint = "run it again; if it stays so, reload the driver (docs/run-on-ryzen-ai.md)"


class OutOfMemory(NpuError):  # noqa: N818
    """The driver has no memory for a buffer or a context."""

    hint = (
        "let go of other buffers, make it smaller, or raise the limit of locked memory that "
        "`ulimit -l` shows; `sparsebd doctor` says how"
    )


class BadArguments(NpuError):  # noqa: N818
    """Arguments that pyxrt would ignore, misread or crash on."""


class StreamMismatch(NpuError):  # noqa: N818
    """A stream that was made for another device or for more columns."""

    hint = "make the stream for this device and this xclbin"


class PartitionMisfit(NpuError):  # noqa: N818
    """The driver gives no context for the design."""

    hint = (
        "close what else uses the NPU, use a design with fewer columns, or one whose start columns "
        "the device has"
    )


class RunTimeout(NpuError):  # noqa: N818
    """A run did not end in time; the context is lost, the next run makes a new one."""

    hint = (
        "a stream that waits for a token that nobody sends is the usual cause, `sparsebd sim` says "
        "which"
    )


class RunFailed(NpuError):  # noqa: N818
    """The firmware refused or ended a run."""

    hint = "a stream for another device or an NPU that needs a reset: `sparsebd doctor`"


class RunAborted(NpuError):  # noqa: N818
    """A run was given up because one before it hung, or the NPU was reset."""

    hint = "run it again; if it stays so, reload the driver (docs/run-on-ryzen-ai.md)"


_CAUSES: tuple[tuple[type[NpuError], re.Pattern[str]], ...] = (
    (OutOfMemory, re.compile(r"err=-?(11|12)\b|Heap at max size|[Cc]annot allocate memory")),
    (DeviceLost, re.compile(r"err=-?(5|19|62|110)\b|No such device")),
)
"""Words of the driver that tell the cause, whatever was being done: no memory (EAGAIN of the heap's
mmap, ENOMEM); a device that does not answer (EIO, ENODEV, ETIME, ETIMEDOUT)."""


def caused(error: BaseException, doing: str, otherwise: type[NpuError]) -> NpuError:
    """The typed error for what pyxrt raised.

    Args:
        error: What it raised.
        doing: What did not work, as the beginning of a sentence.
        otherwise: The error where the text does not tell the cause.
    """
    text = str(error) or type(error).__name__
    if isinstance(error, MemoryError):
        return OutOfMemory(f"{doing} ({text})")
    kind = next((kind for kind, pattern in _CAUSES if pattern.search(text)), otherwise)
    return kind(f"{doing} ({text})")


def health_of(text: str) -> dict[str, int]:
    """Health words in what XRT says of a run that timed out, by name."""
    return {name: int(value, 16) for name, value in HEALTH.findall(text)}

# SPDX-License-Identifier: Apache-2.0
"""What `aie2` raises: one family, under everything else in the package.

A message is one sentence that says what was found, the limit, and what to do where that helps.
"""

from __future__ import annotations


class Aie2Error(ValueError):
    """Base of every error that this package raises on purpose."""


class FormatError(Aie2Error):
    """A file or stream that is truncated, malformed, or of a kind that is not read here.

    `offset` is the byte at which it was noticed, None where no single byte is to blame.
    """

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


class TxnError(FormatError):
    """An instruction stream (TXN) that cannot be read or written.

    `op` is the number of the op to blame, counted from 0; None if it is the header.
    """

    def __init__(self, message: str, offset: int | None = None, op: int | None = None) -> None:
        super().__init__(message, offset)
        self.op = op


class CdoError(FormatError):
    """A configuration (CDO) that cannot be read or written, or holds more than register writes."""


class PdiError(FormatError):
    """A device image (PDI) that cannot be read or written."""


class XclbinError(FormatError):
    """A container (xclbin) that cannot be read or written, or is not for an NPU."""


class RegisterError(Aie2Error):
    """A value that a register field cannot hold, or a field, BD, channel or address that is not."""


class DeviceError(Aie2Error):
    """A device that is not known here."""

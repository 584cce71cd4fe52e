# SPDX-License-Identifier: Apache-2.0
"""A stream per token: one instruction buffer at its largest size, rewritten for every run.

The planner writes the next stream into `Stream.words`; nothing is allocated, no context changes.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aie2.fields import WORD_BYTES
from host.device import checks, waits
from host.device.buffers import Buffer
from host.device.errors import BadArguments
from host.device.records import Record


class Run(Protocol):
    """Runs words in an instruction buffer of `room_bytes`."""

    def __call__(
        self,
        words: NDArray[np.uint32],
        buffers: tuple[Buffer, ...],
        timeout: Any,
        *,
        room_bytes: int,
        check: bool,
    ) -> Record:
        """As `Design.run`."""
        ...


class Stream:
    """An instruction buffer of fixed size on a design; `words` is where the next stream goes."""

    def __init__(self, max_bytes: int, run: Run) -> None:
        if max_bytes < WORD_BYTES or max_bytes % WORD_BYTES:
            raise BadArguments(
                f"a stream of up to {max_bytes} bytes: give a multiple of {WORD_BYTES}"
            )
        self.words: NDArray[np.uint32] = np.zeros(max_bytes // WORD_BYTES, np.uint32)
        """Filled by the planner (`Planner.plan_into`); host memory, handed over at each run."""
        self._run = run

    def run(
        self, count: int, *buffers: Buffer, timeout: float = waits.DEFAULT_S, check: bool = False
    ) -> Record:
        """Run the first `count` words.

        Raises:
            As `Design.run`.
        """
        if not 0 < count <= self.words.size:
            raise BadArguments(f"{count} words are to run of {self.words.size} that there are")
        words = checks.words_of(self.words[:count])
        return self._run(words, buffers, timeout, room_bytes=self.words.nbytes, check=check)

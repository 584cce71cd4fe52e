# SPDX-License-Identifier: Apache-2.0
"""Ops of stream version 1.0, which lacks size words and the upper halves of addresses.

Only read, by `aie2.txn.decode`; what comes out is the same ops as from version 0.1. Facts: aie-rt
driver/src/global/xaiegbl.h (the `_opt` structs).
"""

from __future__ import annotations

from collections.abc import Sequence

from aie2.txn_ops import BlockWrite, DdrPatch, MaskPoll, MaskPollBusy, MaskWrite, Op, Write, join64
from aie2.txn_walk import DDR_PATCH_WORDS_V1

ARG_MASK = 0xFF
"""The argument index of a short DDR patch is one byte; padding follows."""


def op_v1(kind: type[Op], words: Sequence[int]) -> Op:
    """The op of type `kind` in `words`, which have been checked against `txn_walk.SPECS_V1`."""
    if issubclass(kind, Write):
        return kind(words[1], words[2])
    if issubclass(kind, MaskWrite | MaskPoll | MaskPollBusy):
        return kind(words[1], words[2], words[3])
    if issubclass(kind, BlockWrite):
        return kind(words[1], tuple(words[3:]))
    if issubclass(kind, DdrPatch) and len(words) == DDR_PATCH_WORDS_V1:
        return kind(words[2], words[3] & ARG_MASK, join64(words[4:]))
    return kind.from_words(words)

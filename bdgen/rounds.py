# SPDX-License-Identifier: Apache-2.0
"""Place batches round after round, for a firmware that makes them before it knows all the rows.

After `bdgen.schedule`, instead of its placing lane after lane: there the second lane begins behind
all rows of the first, so its first receive BD cannot be written before the last row is known. A
*round* is one batch of every lane that still has one.
"""

import numpy as np

from bdgen.schedule import Batches, Ints, Transfers


def stream_order(batches: Batches) -> Ints:
    """Batches in the order in which `bdgen.emit` writes them: round by round, lane by lane."""
    counts = np.diff(batches.lane_starts)
    lane = np.repeat(np.arange(len(counts)), counts)
    nth = np.arange(len(lane)) - batches.lane_starts[lane]
    return np.lexsort((lane, nth))


def in_rounds(transfers: Transfers, batches: Batches) -> Transfers:
    """The same transfers, placed in the output by round and, within a round, by lane.

    `batches` are those of `transfers`. A batch is still contiguous, and the output as a whole too;
    where a batch lands follows from the batches before it in the stream.
    """
    order = stream_order(batches)
    start = np.zeros(len(order), np.int64)
    start[order] = np.cumsum(batches.nbytes[order]) - batches.nbytes[order]
    return transfers._replace(dst=transfers.dst + np.repeat(start - batches.dst, batches.sends))

# SPDX-License-Identifier: Apache-2.0
"""Writing instruction streams, beside a memcpy of the same words.

The limit is writing each word once. Three steps are told apart: the compiled writer alone, a
whole program (dealing, batching, placement included), and the op-object encoder of `aie2.txn`,
which is for reading and tests rather than for speed.
"""

import numpy as np
import pytest

from aie2 import txn
from aie2.devices import NPU1
from bdgen import emit, program, schedule
from bdgen.bitmap import pack
from bdgen.emit import Job
from bdgen.target import Matrix, Target
from sparsity.masks import bernoulli

TARGET = Target(NPU1, 4, 8192)
MATRIX = Matrix(11008, 8192)


def bitmap(sparsity):
    return pack(bernoulli(MATRIX.rows, sparsity, 0))


@pytest.mark.parametrize("sparsity", [0.0, 0.67, 0.9])
def test_write_stream(against_memcpy, sparsity):
    """The compiled writer: one task per wanted row."""
    rows = np.flatnonzero(bernoulli(MATRIX.rows, sparsity, 0))
    transfers = schedule.deal_rows(rows, MATRIX, len(TARGET.lanes))
    batches = schedule.batch(
        transfers, TARGET.object_bytes, program.limits(TARGET, "tasks", "wait")
    )
    job = Job(False, False, False, NPU1.queue_depth, 0, 1, 0)
    words, _ = emit.write_stream(TARGET, transfers, batches, job)
    against_memcpy(lambda: emit.write_stream(TARGET, transfers, batches, job), words)


@pytest.mark.parametrize("sparsity", [0.67, 0.9])
@pytest.mark.parametrize("mode", ["phase0", "host"])
def test_whole_program(against_memcpy, mode, sparsity):
    """From bitmap to finished program."""
    mask = bitmap(sparsity)
    make = getattr(program, mode)
    against_memcpy(lambda: make(TARGET, MATRIX, mask), make(TARGET, MATRIX, mask).words)


def test_index_of_a_stream(against_memcpy):
    """Walking a stream op by op, with all checks, as the simulator does before a run."""
    words = program.phase1(TARGET, MATRIX, bitmap(0.9)).words
    against_memcpy(lambda: txn.index(words), words)


def test_op_object_encoder(against_memcpy):
    """`aie2.txn.encode` of a stream's op objects."""
    words = program.host(TARGET, MATRIX, bitmap(0.9)).words
    made = txn.decode(words)
    against_memcpy(lambda: txn.encode(made), words)

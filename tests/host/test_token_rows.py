# SPDX-License-Identifier: Apache-2.0
"""Every source of masks, end to end: an FFN that has only the rows that simulated gathers bring.

Rows that no gather brought are NaN, so that one row too few spoils the output.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aie2.devices import NPU1, NPU2
from host.cases import execute, make, output_buffer, pieces, prepare
from host.token import masks, sources
from host.token.masks import FOUR_BITS, SIGNS, LayerMasks
from host.token.timing import Gatherer
from host.workload import Workload
from sparsity.bf16 import from_bf16, to_bf16
from sparsity.predictor.ffn import SparseFfn, run
from sparsity.predictor.layers import FfnLayer
from sparsity.predictor.made_up import make_layer

D, K, TOKENS = 512, 256, 32
NAN = 0x7FC0
"""A bfloat16 that is no number."""


def layer_of(gated):
    """A ReLU layer whose weights are bfloat16 numbers, 80 % sparse, rows unlike each other."""
    made = make_layer(D, K, TOKENS, 0.8, tau=3, seed=2)
    random = np.random.default_rng(3)
    up = random.standard_normal((K, D), np.float32) if gated else None
    first, down = (from_bf16(to_bf16(matrix)) for matrix in (made.first, made.down))
    return FfnLayer("made up", made.x, first, down, None if up is None else from_bf16(to_bf16(up)))


@pytest.fixture(scope="module", params=[True, False], ids=["gated", "plain"])
def token(request):
    """A layer, the masks of its last token, and that token's input."""
    layer = layer_of(request.param)
    return layer, masks.relu("made up", [layer], "", None), layer.x[-1]


def stored(layer, name):
    """A matrix as it lies in DDR."""
    first = {"gate": layer.first, "up": layer.up} if layer.up is not None else {"up": layer.first}
    return to_bf16((first | {"down": layer.down})[name])


def bring(device, matrix, mask, into):
    """Gather rows on the simulator; what it wrote goes into the rows of `into`."""
    data = np.ascontiguousarray(matrix).view(np.uint8)
    work = Workload("", "", data, to_bf16(mask.astype(np.float32)), "bf16", mask)
    setup = prepare(device, None, data.shape[1])
    made = make(setup, work, "host").program
    output = output_buffer(work, made)
    assert execute(setup, work, made, "central", output).ok
    raw, where = into.view(np.uint8), pieces(made)
    fields = (where.row, where.row_offset, where.nbytes, where.at)
    for row, offset, size, at in zip(*(each.tolist() for each in fields), strict=True):
        raw[row, offset : offset + size] = output[at : at + size]


def gathered(device, layer, model, source):
    """Run a source's steps: every matrix with the rows that came, NaN elsewhere."""
    found = {name: np.full((K, D), NAN, np.uint16) for name in sources.matrices(model.gated)}
    for step in source.steps:
        for gather in step.gathers:
            mask = model.layers[0].mask(gather.mask)
            every = np.ones(K, np.bool_)
            bring(
                device,
                stored(layer, gather.matrix),
                every if mask is None else mask,
                found[gather.matrix],
            )
    return found


def ffn(found, gated):
    first = found["gate" if gated else "up"]
    return SparseFfn(first, found["down"], found["up"] if gated else None)


@pytest.mark.parametrize("device", [NPU1, NPU2], ids=["npu1", "npu2"])
def test_the_rows_that_a_source_brings_are_enough_for_its_output(device, token):
    layer, model, x = token
    whole = ffn({name: stored(layer, name) for name in sources.matrices(model.gated)}, model.gated)
    dense = run(whole, x)
    assert (dense.skip_down == ~model.layers[0].known["active"]).all()
    for source in model.sources:
        kept = model.layers[0].mask(source.predictor) if source.predictor else None
        skip = None if kept is None else ~kept
        # The oracle is told which rows of the first matrix are wanted too.
        skip = dense.skip_down if source.name == "oracle" else skip
        step = run(ffn(gathered(device, layer, model, source), model.gated), x, skip)
        assert np.isfinite(step.output).all(), source.name
        assert np.array_equal(step.output, run(whole, x, skip).output), source.name
        if source.exact:
            assert np.array_equal(step.output, dense.output), source.name


def test_what_a_predicted_source_misses_is_what_its_output_lacks(token):
    layer, model, x = token
    whole = ffn({name: stored(layer, name) for name in sources.matrices(model.gated)}, model.gated)
    active = model.layers[0].known["active"]
    missed = active & ~model.layers[0].known[SIGNS]
    assert missed.any(), "a layer on which the predictor is never wrong shows nothing"
    lacking = run(whole, x).output - run(whole, x, ~model.layers[0].known[SIGNS]).output
    only_missed = run(whole, x, ~missed).output
    assert lacking == pytest.approx(only_missed, rel=1e-3, abs=1e-3 * float(abs(only_missed).max()))


def test_one_row_too_few_spoils_the_output(token):
    layer, model, x = token
    found = gathered(NPU1, layer, model, sources.dense(model.gated))
    row = int(np.flatnonzero(model.layers[0].known["active"])[0])
    found["down"][row] = NAN
    assert not np.isfinite(run(ffn(found, model.gated), x).output).all()


def test_bytes_are_those_of_the_rows_of_the_masks(token):
    _, model, _ = token
    gatherer = Gatherer(NPU1, K, 2 * D, ("central",), way="host")
    moved = {}
    for source in model.sources:
        for step in source.steps:
            for gather in step.gathers:
                mask = model.layers[0].mask(gather.mask)
                time, rows = gatherer.time(mask), K if mask is None else int(mask.sum())
                assert (time.rows, time.bytes_moved) == (rows, rows * 2 * D)
                key = source.name, gather.matrix
                moved[key] = moved.get(key, 0) + time.bytes_moved
    for predictor in (SIGNS, FOUR_BITS):
        for matrix in sources.matrices(model.gated):
            assert moved[f"{predictor} +AS", matrix] <= moved[predictor, matrix]


ROWS = st.lists(st.tuples(*[st.booleans()] * 3), min_size=1, max_size=64)


def read_rows(source, layer, matrix, count):
    """Which rows of a matrix a source reads, and how many of them twice."""
    times = np.zeros(count, np.int64)
    for step in source.steps:
        for gather in step.gathers:
            if gather.matrix == matrix:
                mask = layer.mask(gather.mask)
                times += np.ones(count, np.int64) if mask is None else mask
    return times


@given(ROWS, st.booleans())
def test_an_exact_source_reads_every_active_row_and_no_source_reads_a_row_twice(rows, gated):
    active, last, guess = np.array(rows).T
    layer = LayerMasks({"active": active, "last": last, "p": guess})
    for source in sources.for_relu(gated, ["p"], last=True):
        for matrix in sources.matrices(gated):
            times = read_rows(source, layer, matrix, len(rows))
            assert times.max() <= 1, (source.name, matrix)
            if source.exact:
                assert (times[active] == 1).all(), (source.name, matrix)


@given(ROWS, st.booleans())
def test_what_is_read_and_what_is_missed_hold_all_active_rows(rows, gated):
    active, last, guess = np.array(rows).T
    layer = LayerMasks({"active": active, "last": last, "p": guess})
    plain, later = sources.predicted(gated, "p"), sources.predicted_actual(gated, "p")
    missed = active & ~guess
    for matrix in sources.matrices(gated):
        one = read_rows(plain, layer, matrix, len(rows)) > 0
        two = read_rows(later, layer, matrix, len(rows)) > 0
        assert not (two & ~one).any()
        assert not (active & ~(two | missed)).any()
        assert not (one & missed).any()

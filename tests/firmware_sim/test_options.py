# SPDX-License-Identifier: Apache-2.0
"""What a caller can ask of a run: strictness, traces, jitter, start columns, other PDIs."""

from dataclasses import replace

import numpy as np
import pytest
from streams import GOLDEN, buffers, copy, golden, golden_buffers, passthrough, stream

from aie2 import txn
from aie2.txn_rare_ops import LoadPdi, MergeSync, ReadRegs
from firmware_sim import SimulationError, Stalled, simulate
from firmware_sim.array import events

SHIM_LOCK_5 = 0x14050


def run_golden(name, **options):
    held = golden_buffers(golden(name))
    files = GOLDEN / name
    return simulate(files / "aie.xclbin", files / "insts.bin", held, **options), held


def run(ops, configuration=None, **options):
    held = buffers(1024)
    return simulate(configuration or passthrough(), stream(ops), held, **options), held


def test_strict_stops_at_the_first_mistake():
    with pytest.raises(Stalled, match="^stopped at the first mistake: queue-overflow") as stopped:
        run_golden("gather_rows_c1_o4k_npu1", strict=True)
    with pytest.raises(Stalled) as loose:
        run_golden("gather_rows_c1_o4k_npu1")
    assert stopped.value.result.cycles < loose.value.result.cycles
    assert stopped.value.result.counts.dropped_pushes == 1


def test_strict_lets_warnings_pass():
    result, _ = run_golden("args8_c1_npu1", strict=True)
    assert [note.kind for note in result.diagnostics] == ["too-many-buffers"]


def test_a_trace_holds_every_push_token_and_task():
    result, _ = run_golden("gather_chain_c4_npu1", trace=True)
    kinds = result.events["kind"]
    assert np.all(np.diff(result.events["at"][kinds == events.OP_ENDED]) >= 0)
    by_stream = result.events["at"] > 0  # the configuration's own pushes come at 0
    assert (by_stream & (kinds == events.PUSHED)).sum() == result.counts.pushes
    assert (kinds == events.TOKEN_TAKEN).sum() == result.counts.tokens
    assert (kinds == events.OP_ENDED).sum() == result.counts.ops
    assert result.events.size > 100


def test_a_trace_changes_nothing_and_none_is_kept_unasked():
    traced, first = run_golden("passthrough_c1_ch1_o1k_npu1", trace=True)
    plain, second = run_golden("passthrough_c1_ch1_o1k_npu1")
    assert traced.cycles == plain.cycles
    assert plain.events.size == 0
    np.testing.assert_array_equal(first[1], second[1])


def test_a_long_trace_gets_room():
    result, _ = run([*copy(1024), *[txn.Write(SHIM_LOCK_5, 0)] * 50_000], trace=True)
    assert (result.events["kind"] == events.OP_ENDED).sum() == 50_008


def test_jitter_is_repeatable_by_seed_and_leaves_the_data_alone():
    times = []
    for seed in (1, 1, 2):
        result, held = run_golden("gather_chain_c4_npu1", jitter_seed=seed)
        times.append(result.cycles)
        assert result.ok
    assert times[0] == times[1] != times[2]
    plain, right = run_golden("gather_chain_c4_npu1")
    np.testing.assert_array_equal(held[1], right[1])
    assert abs(times[2] / plain.cycles - 1) < 0.2


def test_a_partition_starts_where_its_xclbin_allows():
    result, _ = run_golden("passthrough_c1_ch1_o1k_npu1", start_column=3)
    assert result.start_column == 3
    with pytest.raises(SimulationError, match="cannot start at physical column 7 of npu1"):
        run_golden("passthrough_c1_ch1_o1k_npu1", start_column=7)


def test_read_regs_tell_what_registers_hold_at_that_moment():
    result, _ = run([ReadRegs((SHIM_LOCK_5,)), txn.Write(SHIM_LOCK_5, 3)])
    assert result.reads == {SHIM_LOCK_5: 0}
    result, _ = run([txn.Write(SHIM_LOCK_5, 3), ReadRegs((SHIM_LOCK_5,))])
    assert result.reads == {SHIM_LOCK_5: 3}


def test_an_address_of_64_bits_is_outside_the_partition_however_large_it_is():
    largest = (1 << 64) - 1
    result, _ = run([ReadRegs((1 << 40, largest))])
    assert result.reads == {1 << 40: 0, largest: 0}
    assert [found.kind for found in result.diagnostics] == ["outside-partition"] * 2


def test_loading_another_pdi_begins_anew_with_its_configuration():
    plain = passthrough()
    writes = (plain.addresses, plain.values, plain.masks)
    held = replace(plain, others={0: writes, 1: writes})
    ops = [txn.Write(SHIM_LOCK_5, 3), LoadPdi(1, 0, 0), ReadRegs((SHIM_LOCK_5,)), *copy(1024)]
    result, (source, target) = run(ops, held)
    assert result.reads == {SHIM_LOCK_5: 0}
    np.testing.assert_array_equal(source, target)


def test_loading_the_pdi_that_is_loaded_is_skipped():
    ops = [txn.Write(SHIM_LOCK_5, 3), LoadPdi(0, 0, 0), ReadRegs((SHIM_LOCK_5,))]
    plain = passthrough()
    held = replace(plain, others={0: (plain.addresses, plain.values, plain.masks)})
    assert run(ops, held)[0].reads == {SHIM_LOCK_5: 3}


def test_a_pdi_that_is_not_there_is_named():
    result, _ = run([LoadPdi(9, 0, 0), *copy(1024)])
    assert [note.kind for note in result.diagnostics] == ["load-pdi"]


def test_merge_sync_waits_for_its_tokens():
    ops = copy(1024)
    ops[-1] = MergeSync(1, 1)
    result, (source, target) = run(ops)
    assert result.counts.tokens == 1
    np.testing.assert_array_equal(source, target)
    ops[-1] = MergeSync(2, 1)
    with pytest.raises(Stalled):
        run(ops)


def test_ops_of_the_full_elf_flow_are_named():
    result, _ = run([txn.Noop(), txn.CreateScratchpad(0, 64, 0), *copy(1024)])
    assert [note.kind for note in result.diagnostics] == ["unmodelled-op"]

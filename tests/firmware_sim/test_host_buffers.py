# SPDX-License-Identifier: Apache-2.0
"""Buffers with two copies: the device sees only what was synced, and forgotten syncs are named."""

import numpy as np
from streams import GOLDEN, golden, golden_buffers

from firmware_sim import HostBuffer, simulate

NAME = "passthrough_c1_ch1_o1k_npu1"


def run(buffers):
    return simulate(GOLDEN / NAME / "aie.xclbin", GOLDEN / NAME / "insts.bin", buffers)


def two_copies():
    return [HostBuffer(each) for each in golden_buffers(golden(NAME))]


def test_synced_buffers_give_the_data_and_no_diagnostic():
    source, target = two_copies()
    source.host[...] = 7
    source.sync_to_device()
    result = run([source, target])
    assert not result.diagnostics
    assert not np.any(target.host == 7)
    target.sync_from_device()
    assert np.all(target.host == 7)


def test_a_change_that_was_not_synced_is_named_and_does_not_reach_the_device():
    source, target = two_copies()
    source.host[...] = 7
    result = run([source, target])
    assert [note.kind for note in result.diagnostics] == ["buffer-not-synced"]
    assert not result.ok
    target.sync_from_device()
    assert np.all(target.host == source.device_bytes)


def test_a_changed_buffer_that_the_device_only_writes_is_no_mistake():
    source, target = two_copies()
    target.host[...] = 7
    assert not run([source, target]).diagnostics

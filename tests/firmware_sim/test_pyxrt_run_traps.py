# SPDX-License-Identifier: Apache-2.0
"""Traps of pyxrt around runs: waits, states, runlists, streams, contexts, faults.

Each is listed in conformance.toml under its test's name.
"""

import gc
import re

import numpy as np
import pytest
from pyxrt_lane import ABORT, COMPLETED, ERROR, TIMEOUT, Lane

from firmware_sim import pyxrt
from firmware_sim.pyxrt import simulation

HEALTH = re.compile(r"\ntxn_op_idx = 0x([0-9A-F]{8})\nctx_pc = 0x[0-9A-F]{8}\nfatal_error_type")


def health_op(run) -> str:
    """Op of a run's health words."""
    with pytest.raises(RuntimeError, match=r"\(ERT_CMD_STATE_TIMEOUT\)") as caught:
        run.wait2()
    found = HEALTH.search(str(caught.value))
    assert found
    return found[1]


def test_a_wait_without_limit_waits_for_the_end():
    run = Lane(faults=("TIMEOUT",)).start()
    assert run.wait(0) == TIMEOUT
    assert run.state() == TIMEOUT


def test_a_wait_with_a_limit_gives_up_and_the_command_goes_on():
    run = Lane(faults=("TIMEOUT",)).start()
    assert run.wait(1000) == TIMEOUT
    assert int(run.state()) == 3
    with pytest.raises(RuntimeError, match="^bad command state, can't launch$"):
        run.start()
    assert run.wait(1500) == TIMEOUT
    assert run.state() == TIMEOUT
    run.start()
    assert run.wait(1) == COMPLETED


def test_wait_never_raises_and_wait2_does():
    run = Lane(faults=("ERROR", "ABORT", "TIMEOUT")).start()
    text = r"^Command failed to complete successfully \(ERT_CMD_STATE_"
    for state in ("ERROR", "ABORT"):
        assert str(run.wait()).endswith(state)
        with pytest.raises(RuntimeError, match=text + state + r"\)$"):
            run.wait2()
        run.start()
    assert health_op(run) == "FFFFFFFF"
    run.start()
    assert run.wait2() is None


def test_a_command_that_runs_has_a_state_without_a_name():
    run = Lane(faults=("TIMEOUT",)).start()
    state = run.state()
    assert (repr(state), state.name) == ("<ert_cmd_state.???: 3>", "???")
    assert not hasattr(pyxrt.ert_cmd_state, "ERT_CMD_STATE_RUNNING")
    assert run.wait() == TIMEOUT
    assert str(pyxrt.run(Lane().kernel).state()) == "ert_cmd_state.ERT_CMD_STATE_NEW"


def test_a_run_that_runs_cannot_be_started_again():
    lane = Lane()
    run = lane.start()
    with pytest.raises(RuntimeError, match="^bad command state, can't launch$"):
        run.start()
    assert run.wait() == COMPLETED
    run.start()
    assert run.wait() == COMPLETED


def test_a_run_that_is_dropped_before_its_end_is_noticed(capsys):
    Lane().start()
    gc.collect()
    text = "xrt::run destructed while command is still in progress"
    assert text in capsys.readouterr().err
    Lane().start().wait()
    gc.collect()
    assert not capsys.readouterr().err


def test_a_run_of_a_runlist_cannot_be_started():
    lane = Lane()
    run = lane.start()
    run.wait()
    runs = pyxrt.runlist(lane.context)
    runs.add(run)
    text = "^Run object belongs to a runlist and cannot be explicitly started: Invalid argument$"
    with pytest.raises(RuntimeError, match=text):
        run.start()
    del runs
    gc.collect()
    run.start()
    assert run.wait() == COMPLETED


def prepared(lane: Lane):
    """A run with its arguments, not started."""
    run = pyxrt.run(lane.kernel)
    for place, value in enumerate(
        (3, lane.instructions, len(lane.stream), lane.input, lane.output)
    ):
        run.set_arg(place, value)
    return run


def test_a_runlist_must_be_idle():
    lane = Lane()
    data = lane.fill()
    runs = pyxrt.runlist(lane.context)
    runs.wait()
    runs.execute()
    runs.add(prepared(lane))
    runs.execute()
    with pytest.raises(
        RuntimeError,
        match="^runlist must be idle before adding run objects, current state: running",
    ):
        runs.add(prepared(lane))
    with pytest.raises(RuntimeError, match="^runlist must be idle before submitting for execution"):
        runs.execute()
    assert runs.wait() is None
    assert np.array_equal(lane.received(), data)
    runs.execute()
    runs.wait()


def test_a_run_that_fails_aborts_the_rest_of_its_runlist():
    lane = Lane(faults=("", "ERROR"))
    runs, members = pyxrt.runlist(lane.context), [prepared(lane) for _ in range(3)]
    for run in members:
        runs.add(run)
    runs.execute()
    with pytest.raises(RuntimeError, match=r"^runlist failed execution \(ERT_CMD_STATE_ERROR\)$"):
        runs.wait()
    assert [run.state() for run in members] == [COMPLETED, ERROR, ABORT]
    runs.execute()
    runs.wait()
    assert [run.state() for run in members] == [COMPLETED] * 3


@pytest.mark.parametrize(
    ("count", "state"),
    [(308, COMPLETED), (300, COMPLETED), (75, COMPLETED), (74, ERROR), (0, ERROR)],
)
def test_a_stream_longer_than_it_is_said_to_be_is_an_error(count, state):
    lane = Lane(messages=False)
    assert len(lane.stream) == 300
    assert lane.kernel(3, lane.instructions, count, lane.input, lane.output).wait() == state


@pytest.mark.parametrize(("made_for", "device"), [("npu2", "npu1"), ("npu1", "npu2")])
def test_a_stream_for_another_device_is_an_error(made_for, device):
    lane = Lane(f"passthrough_c1_ch1_o1k_{made_for}", device=device, messages=False)
    run = lane.start()
    assert run.wait() == ERROR
    assert f"this is {device}" in simulation.reason(run)
    assert simulation.result(run) is None


def test_a_stream_for_more_columns_hangs():
    lane = Lane(messages=False)
    wide = (lane.path.parent / "passthrough_c4_ch1_o1k_npu1" / "insts.bin").read_bytes()
    lane.instructions = lane.filled(wide, pyxrt.bo.cacheable, lane.kernel.group_id(1))
    lane.stream = wide
    run = lane.start()
    assert health_op(run) == "FFFFFFFF"
    assert simulation.reason(run) == "the stream is for 4 columns and the context has 1"


def test_a_buffer_that_is_not_set_is_address_zero():
    lane = Lane(messages=False)
    run = lane.start(lane.input)
    assert health_op(run) == "FFFFFFFF"
    assert "no such host buffer was given" in simulation.reason(run)
    run = pyxrt.run(lane.kernel)
    for place, value in ((0, 3), (1, lane.instructions), (2, len(lane.stream)), (4, lane.output)):
        run.set_arg(place, value)
    run.start()
    assert run.wait() == TIMEOUT
    assert simulation.reason(run).endswith("host buffers 0, 2, 3, 4 of the run were not set")


@pytest.mark.parametrize(("device", "most"), [("npu1", 6), ("npu2", 16)])
def test_contexts_that_are_kept_run_out(device, most):
    lane = Lane(f"passthrough_c1_ch1_o1k_{device}")
    opened = simulation.open(simulation.Settings(device=device))
    uuid = opened.register_xclbin(lane.xclbin)
    kept = [pyxrt.hw_context(opened, uuid) for _ in range(most)]
    sentence = (
        r"^DRM_IOCTL_AMDXDNA_CREATE_HWCTX IOCTL failed \(err=-2\): No such file or directory$"
    )
    with pytest.raises(RuntimeError, match=sentence):
        pyxrt.hw_context(opened, uuid)
    kept.pop()
    gc.collect()
    pyxrt.hw_context(opened, uuid)


def test_a_design_that_does_not_fit_gets_no_context():
    path = str(Lane().path.parent / "passthrough_c8_ch1_o1k_npu2" / "aie.xclbin")
    failed = "^DRM_IOCTL_AMDXDNA_CREATE_HWCTX IOCTL failed "
    with pytest.raises(RuntimeError, match=failed + r"\(err=-28\): No space left on device$"):
        pyxrt.hw_context(simulation.open(), path)
    with pytest.raises(RuntimeError, match=failed + r"\(err=-22\): Invalid argument$"):
        Lane(start_column=7)
    assert Lane(start_column=4).start().wait() == COMPLETED


def test_what_is_queued_behind_a_hang_is_aborted():
    lane = Lane(faults=("TIMEOUT",), messages=False)
    first, second = lane.start(), lane.start()
    assert (first.wait(), second.wait()) == (TIMEOUT, ABORT)
    assert lane.start().wait() == COMPLETED


@pytest.mark.parametrize("fault", ["TIMEOUT", "ERROR", "ABORT"])
def test_the_run_after_a_fault_works(fault):
    lane = Lane(faults=("", fault), messages=False)
    data = lane.fill()
    ends = [str(lane.start().wait()).rpartition("_")[2] for _ in range(3)]
    assert ends == ["COMPLETED", fault, "COMPLETED"]
    assert np.array_equal(lane.received(), data)

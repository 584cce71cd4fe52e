# SPDX-License-Identifier: Apache-2.0
"""What a Device lets go of, when, and in which order: XRT ends the process for some mistakes."""

import gc
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from device_copies import WORDS, buffers, copy, hanging

import firmware_sim.pyxrt
from firmware_sim.pyxrt.devices import npu_of
from host.device import (
    BadArguments,
    DeviceLost,
    NpuError,
    OutOfMemory,
    PartitionMisfit,
    RunFailed,
    RunTimeout,
    Settings,
    open_device,
    waits,
)

ENDS_THE_PROCESS = "pyxrt ends the process here"


@pytest.fixture
def made():
    return copy()


@pytest.fixture
def opened():
    with open_device(settings=Settings(messages=False)) as device:
        yield device


def contexts(device):
    """Contexts that are open on the simulated NPU."""
    return len(npu_of(device._open.device).slots)


def interrupt_once(monkeypatch):
    """Ctrl-C comes while the first run is waited for."""
    real, pressed = waits.state_of, []

    def state_of(run):
        if not pressed:
            pressed.append(True)
            raise KeyboardInterrupt
        return real(run)

    monkeypatch.setattr(waits, "state_of", state_of)


def test_an_interrupted_run_is_kept_until_it_ends_and_the_next_works(
    made, opened, monkeypatch, capfd
):
    design, (source, target) = opened.load(made.xclbin), buffers(opened)
    interrupt_once(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        design.run(hanging(made), source, target)
    gc.collect()
    assert contexts(opened) == 1  # the run is still going on
    design.run(made.insts, source, target)
    assert np.array_equal(target.array, source.array)
    gc.collect()
    assert contexts(opened) == 1
    assert ENDS_THE_PROCESS not in capfd.readouterr().err


def test_a_run_past_its_deadline_is_kept_until_it_ends(made, opened, monkeypatch, capfd):
    design, pair = opened.load(made.xclbin), buffers(opened)
    with pytest.raises(RunTimeout, match="did not end within 1e-09 s and is RUNNING") as failed:
        design.run(hanging(made), *pair, timeout=1e-9)
    assert failed.value.state == "RUNNING"
    gc.collect()
    assert design.run(made.insts, *pair).state == "COMPLETED"
    assert ENDS_THE_PROCESS not in capfd.readouterr().err


def test_closing_waits_for_a_run_that_was_given_up(made, capfd):
    with open_device(settings=Settings(messages=False)) as device:
        npu = npu_of(device._open.device)
        design, pair = device.load(made.xclbin), buffers(device)
        with pytest.raises(RunTimeout):
            design.run(hanging(made), *pair, timeout=1e-9)
    gc.collect()
    assert not npu.slots
    assert not npu.hung
    assert ENDS_THE_PROCESS not in capfd.readouterr().err


def test_a_run_that_never_ends_is_an_error_and_is_never_let_go_of(made, opened, monkeypatch, capfd):
    design, pair = opened.load(made.xclbin), buffers(opened)
    monkeypatch.setattr(waits, "GIVEN_UP_S", 0.0)
    monkeypatch.setattr(waits, "state_of", lambda run: "RUNNING")
    with pytest.raises(RunTimeout):
        design.run(hanging(made), *pair, timeout=1e-9)
    with pytest.raises(DeviceLost, match="has not ended"):
        design.run(made.insts, *pair)
    opened.close()
    gc.collect()
    assert ENDS_THE_PROCESS not in capfd.readouterr().err


def test_an_error_that_is_held_does_not_hold_the_context(made):
    """On an NPU the next context would find its columns taken."""
    with open_device(settings=Settings(faults=("ERROR",), messages=False)) as device:
        design, pair = device.load(made.xclbin), buffers(device)
        with pytest.raises(RunFailed) as held:
            design.run(made.insts, *pair)
        assert contexts(device) == 0
        assert design.run(made.insts, *pair).state == "COMPLETED"
        assert contexts(device) == 1
        assert held.value.state == "ERROR"


def test_a_runlist_that_fails_does_not_hold_the_context(made):
    with open_device(settings=Settings(faults=("", "TIMEOUT"), messages=False)) as device:
        design, pair = device.load(made.xclbin), buffers(device)
        with pytest.raises(RunTimeout, match="runlist ended as TIMEOUT, txn_op_idx") as held:
            design.runlist([(made.insts, pair)] * 3)
        assert held.value.health["txn_op_idx"] == 0xFFFFFFFF
        assert "\n" not in str(held.value)
        assert contexts(device) == 0
        assert design.runlist([(made.insts, pair)] * 3).state == "COMPLETED"


def test_runs_go_before_the_kernel_and_the_kernel_before_the_context(made, monkeypatch):
    order = []

    class Tracked:
        def __init__(self, name):
            self.name = name

        def __del__(self):
            order.append(self.name)

    with open_device(settings=Settings(messages=False)) as device:
        design = device.load(made.xclbin)
        session = design._load()
        session.run = session.instructions = session.kernel = session.context = None
        session.context, session.kernel = Tracked("context"), Tracked("kernel")
        session.instructions, session.run = Tracked("instructions"), Tracked("run")
        monkeypatch.setattr(waits, "state_of", lambda run: "COMPLETED")
        design.close()
        del session
    assert order == ["run", "instructions", "kernel", "context"]


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), None, "soon"])
def test_a_deadline_that_means_nothing_is_refused_before_the_run(made, opened, timeout):
    design, pair = opened.load(made.xclbin), buffers(opened)
    stream = design.stream(len(made.insts))
    stream.words[:] = np.frombuffer(made.insts, np.uint32)
    for run in (
        lambda: design.run(made.insts, *pair, timeout=timeout),
        lambda: stream.run(stream.words.size, *pair, timeout=timeout),
    ):
        with pytest.raises(BadArguments, match="give seconds, more than 0"):
            run()
    assert design.run(made.insts, *pair, timeout=np.float32(3)).state == "COMPLETED"


def test_a_buffer_of_another_device_is_refused(made, opened):
    design, (source, _) = opened.load(made.xclbin), buffers(opened)
    with open_device("sim") as other:
        foreign = other.buffer(WORDS)
    with pytest.raises(BadArguments, match="argument 1 is a buffer of another device"):
        design.run(made.insts, source, foreign)


def test_a_new_buffer_is_never_taken_for_the_one_whose_place_it_has(made, opened):
    """Python gives a new object the number of one that is gone."""
    design, target = opened.load(made.xclbin), opened.buffer(WORDS)
    first = opened.buffer(WORDS)
    first.array[:] = 1
    design.run(made.insts, first, target)
    number = id(first.bo)
    first.close()
    del first
    held = []
    for _ in range(200):
        held.append(opened.buffer(WORDS))
        if id(held[-1].bo) == number:
            break
    held[-1].array[:] = 2
    design.run(made.insts, held[-1], target)
    assert (target.array == 2).all()


def test_too_much_memory_is_one_sentence_with_the_limit_to_raise(made, opened):
    with pytest.raises(OutOfMemory, match="a buffer of 35184372088832 bytes.*sparsebd doctor"):
        opened.buffer(1 << 45, "uint8")
    design, pair = opened.load(made.xclbin), buffers(opened)
    stream = design.stream(80 << 20)
    words = np.frombuffer(made.insts, np.uint32)
    stream.words[: words.size] = words
    with pytest.raises(OutOfMemory, match="an instruction buffer of 83886080 bytes"):
        stream.run(words.size, *pair)
    assert design.run(made.insts, *pair).state == "COMPLETED"


@pytest.mark.parametrize(
    ("step", "text", "error", "why"),
    [
        ("hw_context", "CREATE_HWCTX IOCTL failed (err=-28): x", PartitionMisfit, "no context"),
        ("hw_context", "mmap(len=67108864) failed (err=-11): x", OutOfMemory, "ulimit -l"),
        ("hw_context", "Open /dev/accel/accel0 failed (err=-19)", DeviceLost, "err=-19"),
        ("register_xclbin", "Invalid xclbin", BadArguments, "refuses the xclbin"),
        ("kernel", "No such kernel 'MLIR_AIE'", BadArguments, "No such kernel"),
        ("start", "EXEC_CMD IOCTL failed (err=-5): Input/output error", DeviceLost, "err=-5"),
        ("sync", "SYNC_BO IOCTL failed (err=-19): No such device", DeviceLost, "err=-19"),
    ],
)
def test_what_the_driver_says_is_one_typed_error(monkeypatch, made, step, text, error, why):
    with open_device(settings=Settings(messages=False)) as device:
        backend = device._open
        module, opened = vars(firmware_sim.pyxrt), backend.device
        fails = Failing(step, text)
        pyxrt = SimpleNamespace(**{**module, **fails.parts(module)})
        monkeypatch.setitem(sys.modules, "pyxrt", pyxrt)
        for name, value in (("pyxrt", pyxrt), ("device", fails.device(opened))):
            object.__setattr__(backend, name, value)
        with pytest.raises(error, match=why) as failed:
            design = device.load(made.xclbin)
            object.__setattr__(backend, "device", opened)
            source, target = device.buffer(WORDS), device.buffer(WORDS)
            design.run(made.insts, source, target)
        assert isinstance(failed.value, NpuError)
        assert "\n" not in str(failed.value)


class Failing:
    """Parts of a module in which one step fails with a text of XRT's."""

    def __init__(self, step, text):
        self.step, self.text = step, text

    def fail(self, *arguments):
        raise RuntimeError(self.text)

    def parts(self, module):
        if self.step in ("hw_context", "kernel"):
            return {self.step: self.fail}
        if self.step == "start":
            return {"run": lambda kernel: Wrapped(module["run"](kernel), start=self.fail)}
        if self.step == "sync":
            return {"bo": FailingBuffers(module["bo"], self.fail)}
        return {}

    def device(self, opened):
        if self.step != "register_xclbin":
            return opened
        return Wrapped(opened, register_xclbin=self.fail)


class FailingBuffers:
    """pyxrt's `bo`, each of which cannot be synced."""

    def __init__(self, bo, fail):
        self.bo, self.fail = bo, fail
        self.host_only, self.cacheable = bo.host_only, bo.cacheable

    def __call__(self, *arguments):
        return Wrapped(self.bo(*arguments), sync=self.fail)


class Wrapped:
    """An object some of whose methods are others."""

    def __init__(self, inner, **others):
        self.__dict__.update(others)
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

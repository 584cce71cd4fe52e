# SPDX-License-Identifier: Apache-2.0
"""Devices, containers, contexts, kernels and settings: what they tell and what they refuse."""

import gc

import numpy as np
import pytest
from pyxrt_lane import COMPLETED, ERROR, FROM_DEVICE, TIMEOUT, TO_DEVICE, Lane
from streams import GOLDEN, golden_names

from firmware_sim import Phase1, Stalled, pyxrt, simulate
from firmware_sim.errors import SimulationError
from firmware_sim.pyxrt import simulation
from firmware_sim.pyxrt.contexts import context_of
from firmware_sim.pyxrt.devices import npu_of
from firmware_sim.pyxrt.npu import default_npu
from firmware_sim.pyxrt.settings import from_environment

INFO = pyxrt.xrt_info_device
XCLBIN = str(GOLDEN / "passthrough_c1_ch1_o1k_npu1" / "aie.xclbin")


@pytest.fixture
def default(monkeypatch):
    """The device of index 0, described anew by the environment."""
    default_npu.cache_clear()
    yield monkeypatch
    default_npu.cache_clear()


def test_devices_of_one_index_are_one_npu(default):
    default.setenv("SPARSEBD_SIM_DEVICE", "npu2")
    one, other = pyxrt.device(0), pyxrt.device("0000:c5:00.1")
    assert npu_of(one) is npu_of(other) is npu_of(pyxrt.device(index=0))
    assert npu_of(one) is npu_of(pyxrt.device(bdf="c5:00.1")) is npu_of(pyxrt.device("0"))
    assert one.get_info(INFO.name) == "NPU Strix"
    assert npu_of(simulation.open()) is not npu_of(simulation.open())


@pytest.mark.parametrize(
    ("argument", "error", "sentence"),
    [
        (1, RuntimeError, "^ No such device with index '1'$"),
        ("7", RuntimeError, "^ No such device with index '7'$"),
        ("0000:01:00.0", RuntimeError, "^No such device '0000:01:00.0': Invalid argument$"),
        ("", ValueError, "^stoul$"),
        (-1, TypeError, "incompatible constructor arguments"),
        (0.0, TypeError, "incompatible constructor arguments"),
    ],
)
def test_a_device_that_is_not_there_is_refused(argument, error, sentence):
    with pytest.raises(error, match=sentence):
        pyxrt.device(argument)


def test_info_is_always_text():
    device = simulation.open(simulation.Settings(clock_mhz=900.0))
    assert device.get_info(INFO.bdf) == "0000:c5:00.1"
    assert device.get_info(INFO.max_clock_frequency_mhz) == "900"
    assert device.get_info(INFO.thermal) == "NA"
    assert all(isinstance(device.get_info(key), str) for key in INFO.__members__.values())
    assert device.get_xclbin_uuid().to_string() == "00000000-0000-0000-0000-000000000000"


def test_a_container_tells_its_kernels_and_memories():
    container = pyxrt.xclbin(XCLBIN)
    (kernel,) = container.get_kernels()
    assert (kernel.get_name(), kernel.get_num_args()) == ("MLIR_AIE", 8)
    assert [
        (each.get_index(), each.get_tag(), each.get_base_address(), each.get_size_kb())
        for each in container.get_mems()
    ] == [(0, "HOST", 0x4000000, 0x10000), (1, "SRAM", 0x4000000, 0xC000)]
    assert [each.get_used() for each in container.get_mems()] == [True, True]
    assert isinstance(container.get_xsa_name(), str)


def damaged(data: bytes, kind: str) -> bytes:
    changed = bytearray(data)
    if kind == "magic":
        changed[0:4] = b"none"
    elif kind == "longer":
        changed += b"\0"
    elif kind == "short":
        return data[:100]
    else:
        changed[456:460] = b"\xff\xff\xff\xff"  # kind of the first section: no memories any more
        changed[460 + 40 * 1 - 4 : 460 + 40 * 1] = b"\xff\xff\xff\xff"  # and no partition
    return bytes(changed)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("magic", "^Invalid xclbin$"),
        ("longer", "^xclbin: m_length does not match buffer size$"),
        ("short", "^xclbin: buffer too small to contain header$"),
        ("sections", "AIE_PARTITION"),
    ],
)
def test_a_damaged_container_is_refused(kind, sentence, tmp_path):
    path = tmp_path / "damaged.xclbin"
    path.write_bytes(damaged((GOLDEN / XCLBIN).read_bytes(), kind))
    with pytest.raises(RuntimeError, match=sentence):
        pyxrt.xclbin(str(path))


def test_a_container_that_is_not_there_is_refused():
    with pytest.raises(RuntimeError, match="^Failed to open file 'none.xclbin' for reading$"):
        pyxrt.xclbin("none.xclbin")
    with pytest.raises(RuntimeError, match="^No xclbin specified$"):
        pyxrt.xclbin("")


def test_a_context_needs_a_container_that_is_registered():
    device, container = simulation.open(), pyxrt.xclbin(XCLBIN)
    uuid = container.get_uuid()
    sentence = f"^No xclbin with uuid '{uuid.to_string()}': Invalid argument$"
    with pytest.raises(RuntimeError, match=sentence):
        pyxrt.hw_context(device, uuid)
    device.register_xclbin(container)
    shared = pyxrt.hw_context(device, uuid)
    assert shared.get_mode() == pyxrt.hw_context.shared
    assert shared.get_xclbin_uuid().to_string() == uuid.to_string()
    assert shared.get_xclbin().get_uuid().to_string() == uuid.to_string()
    assert npu_of(shared.get_device()) is npu_of(device)
    assert pyxrt.uuid("no uuid").to_string() == pyxrt.device.get_xclbin_uuid(device).to_string()


@pytest.mark.parametrize("given", ["xclbin", "path"])
@pytest.mark.parametrize("more", [(), ("mode",), ("parameters",)])
def test_a_context_registers_a_container_itself(given, more):
    device = simulation.open()
    source = pyxrt.xclbin(XCLBIN) if given == "xclbin" else XCLBIN
    extras = {"mode": pyxrt.hw_context.exclusive, "parameters": {"gops": 1}}
    context = pyxrt.hw_context(device, source, *(extras[name] for name in more))
    assert context.get_mode() == (
        pyxrt.hw_context.exclusive if "mode" in more else pyxrt.hw_context.shared
    )
    assert pyxrt.kernel(hw_context=context, name="MLIR_AIE").group_id(1) == 0x10001


def test_a_kernel_that_is_not_there_is_refused():
    lane = Lane()
    with pytest.raises(RuntimeError, match="^No such kernel 'OTHER': Invalid argument$"):
        pyxrt.kernel(lane.context, "OTHER")
    with pytest.raises(RuntimeError, match="^No compute units matching 'MLIR_AIE:other'$"):
        pyxrt.kernel(lane.context, "MLIR_AIE:other")
    lane.kernel = pyxrt.kernel(lane.context, "MLIR_AIE:MLIRAIE")
    assert lane.start().wait() == COMPLETED


def test_a_context_lives_as_long_as_its_kernels_and_runs():
    lane = Lane()
    npu = npu_of(lane.device)
    run = lane.start()
    run.wait()
    del lane.context, lane.kernel
    gc.collect()
    assert len(npu.slots) == 1
    del run
    gc.collect()
    assert not npu.slots


def test_a_design_is_read_once_for_all_its_contexts():
    lane = Lane()
    again = pyxrt.hw_context(lane.device, lane.uuid)
    content = context_of(lane.context).content
    assert context_of(again).content is content
    assert content.configuration is content.configuration


@pytest.mark.parametrize(
    "name", [name for name in golden_names() if "npu2" in name and not name.startswith("args8")]
)
def test_a_run_gives_what_direct_simulation_gives(name):
    lane = Lane(name, device="npu2", messages=False)
    rng = np.random.default_rng(5)
    arrays = [rng.integers(0, 256, size, np.uint8) for size in lane.sizes]
    buffers = [lane.filled(array.tobytes(), pyxrt.bo.host_only, 0) for array in arrays]
    run = lane.start(*buffers)
    state = run.wait()
    result = simulation.result(run)
    try:
        expected, end = simulate(lane.path / "aie.xclbin", lane.stream, arrays), COMPLETED
    except Stalled as stalled:
        expected, end = stalled.result, TIMEOUT
    assert state == end
    assert result is not None
    assert (result.cycles, result.counts) == (expected.cycles, expected.counts)
    for buffer, array in zip(buffers, arrays, strict=True):
        buffer.sync(FROM_DEVICE)
        assert np.array_equal(buffer.read(array.size, 0).view(np.uint8), array)


def test_an_instruction_buffer_is_rewritten_for_each_run():
    lane = Lane("gather_chain_c1_npu1")
    short = Lane("gather_pairs_c1_npu1", opened=lane.device)
    data = lane.fill()
    assert lane.start().wait() == COMPLETED
    ours = lane.received()
    lane.instructions.write(short.stream, 0)
    lane.instructions.sync(TO_DEVICE)
    assert lane.kernel(3, lane.instructions, len(short.stream), lane.input, lane.output).wait() == (
        COMPLETED
    )
    rows = data.reshape(-1, 8192)
    assert not np.array_equal(lane.received(), ours)
    assert np.array_equal(lane.received()[: 6 * 8192], rows[[2, 3, 8, 13, 30, 45]].reshape(-1))


def test_settings_change_the_runs_to_come():
    lane = Lane()
    run = lane.start()
    run.wait()
    before = simulation.result(run)
    settings = simulation.Settings(profile="high", faults=("", "ERROR"), messages=False)
    simulation.reconfigure(lane.device, settings)
    run.start()
    assert run.wait() == COMPLETED
    after = simulation.result(run)
    assert before is not None
    assert after is not None
    assert (before.profile, after.profile) == ("central", "high")
    assert after.cycles != before.cycles
    run.start()
    assert (run.wait(), simulation.result(run)) == (ERROR, None)
    assert simulation.reason(run) == "ERROR was injected by the settings"
    with pytest.raises(simulation.SettingsError, match="cannot become npu2: open another one$"):
        simulation.reconfigure(lane.device, simulation.Settings("npu2"))


def test_a_firmware_image_takes_the_place_of_stock():
    lane = Lane("dense_rowwise_c4_npu1")
    settings = simulation.Settings(
        firmware=Phase1(wanted=np.ones(64, bool), row_bytes=8192), messages=False
    )
    simulation.reconfigure(lane.device, settings)
    run = lane.start()
    run.wait()
    result = simulation.result(run)
    assert result is not None
    assert result.firmware == "phase1"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"device": "npu9"}, "^device 'npu9' cannot be simulated: give npu1 or npu2$"),
        ({"faults": ("CRASH",)}, "^fault 'CRASH' is none of TIMEOUT, ERROR, ABORT; leave it empty"),
        ({"profile": "best"}, "^profile 'best' is not one of low, central, high$"),
        ({"firmware": "mine"}, "^firmware 'mine' is not one of stock, "),
        ({"clock_mhz": 0.0}, "give a positive one$"),
        ({"calibration": "none.toml"}, "^none.toml: No such file or directory; give"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong, sentence):
    with pytest.raises(SimulationError, match=sentence):
        simulation.Settings(**wrong)


def test_the_environment_describes_a_device():
    settings = from_environment(
        {
            "SPARSEBD_SIM_DEVICE": "npu2",
            "SPARSEBD_SIM_PROFILE": "low",
            "SPARSEBD_SIM_FIRMWARE": "native",
            "SPARSEBD_SIM_FAULTS": ",timeout, ERROR",
        }
    )
    assert settings == simulation.Settings("npu2", "low", "native", faults=("", "TIMEOUT", "ERROR"))
    assert from_environment({}) == simulation.Settings()


def test_a_run_that_hangs_tells_the_op_that_it_hangs_at():
    lane = Lane("gather_rows_c1_o8k_npu1", messages=False)
    run = lane.start()
    assert run.wait(1000) == TIMEOUT
    assert int(run.state()) == 3
    assert run.wait() == TIMEOUT
    with pytest.raises(RuntimeError, match="\ntxn_op_idx = 0x00000031\n"):
        run.wait2()
    assert simulation.reason(run).startswith("no progress after cycle ")
    assert ": op 49 waits for a token" in simulation.reason(run)


def test_another_opcode_is_an_error():
    lane = Lane(messages=False)
    run = lane.kernel(2, lane.instructions, len(lane.stream), lane.input, lane.output)
    assert run.wait() == ERROR
    assert simulation.reason(run) == "opcode 2 is not 3, which runs a stream"


def test_a_stream_that_was_not_synced_is_an_error():
    lane = Lane(messages=False)
    lane.instructions = pyxrt.bo(lane.device, 300, pyxrt.bo.cacheable, lane.kernel.group_id(1))
    lane.instructions.write(lane.stream, 0)
    run = lane.start()
    assert run.wait() == ERROR
    assert simulation.reason(run).endswith("were the instructions synced to the device?")

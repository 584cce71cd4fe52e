# SPDX-License-Identifier: Apache-2.0
"""What a run through the Device costs beside direct simulation of the same stream, in one run."""

import time

import numpy as np

from aie2.devices import NPU1
from firmware_sim import read_configuration, simulate
from host.device import open_device
from iron_designs.compiler import designs
from iron_designs.compiler.build import compile_design

WORDS = 16384
ROUNDS = 50


def test_a_run_through_the_device(benchmark, say):
    design = designs.passthrough(designs.Shape(NPU1, 4), 4 * WORDS)
    made = compile_design(design.dataflow, design.sequence)
    assert made.insts is not None
    words = np.frombuffer(made.insts, np.uint32)
    configuration = read_configuration(made.xclbin)
    plain = [np.zeros(4 * WORDS, np.uint32) for _ in range(2)]
    simulate(configuration, words, plain)
    direct = min(_seconds(lambda: simulate(configuration, words, plain)) for _ in range(ROUNDS))
    with open_device("sim") as device:
        loaded = device.load(made.xclbin)
        buffers = [device.buffer(4 * WORDS) for _ in range(2)]
        stream = loaded.stream(words.nbytes)
        stream.words[:] = words
        benchmark(lambda: stream.run(words.size, *buffers))
    through = benchmark.stats["min"]
    say(direct_us=direct * 1e6, through_device_us=through * 1e6, ratio=through / direct)


def _seconds(work):
    started = time.perf_counter()
    work()
    return time.perf_counter() - started

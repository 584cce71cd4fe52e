# SPDX-License-Identifier: Apache-2.0
"""Planning a gather: scan, packing and words, beside a memcpy of what goes in or comes out.

The 7B shape on Phoenix, 90 % sparse unless a name says otherwise. `cold` writes into a buffer that
no cache holds, as a stream buffer that the device has just read is. The C++ encoder is a plain one
of the same words, compiled with -O3 here and now; it is skipped where there is no g++.
"""

import ctypes
import shutil
import subprocess
from pathlib import Path
from time import perf_counter_ns
from timeit import Timer

import numpy as np
import pytest

from aie2.devices import NPU1
from bdgen.chain_words import write
from bdgen.planner import Options, Planner
from bdgen.scan import Scanner
from bdgen.target import Matrix, Target
from sparsity.bf16 import to_bf16
from sparsity.masks import bernoulli

TARGET = Target(NPU1, 4, 4096)
MATRIX = Matrix(11008, 8192)
COLD_BYTES = 1 << 29
"""Bytes of all the buffers that are written in turn: far more than any cache holds."""


def activations(dtype, sparsity=0.9):
    wanted = bernoulli(MATRIX.rows, sparsity, 0)
    values = np.where(wanted, 3, 0)
    if dtype == "bf16":
        return to_bf16(values.astype(np.float32))
    if dtype == "int4":
        return (values[::2] | values[1::2] << 4).astype(np.uint8)
    return values.astype({"fp16": np.float16, "fp32": np.float32, "int8": np.int8}[dtype])


def planned(effort, sparsity=0.9):
    """A planner that has planned a vector, its buffer, and the vector."""
    planner = Planner(TARGET, MATRIX, Options(effort=effort))
    buffer, vector = planner.buffer(), activations("fp16", sparsity)
    return planner, buffer, vector, planner.plan_into(buffer, vector)


def writer(planner, plan):
    """The compiled writer alone, on a deal that is made: called with a buffer."""
    layout, shape, desk = planner._layout, planner._shape, planner._desk
    return lambda buffer: write(buffer, layout, shape, plan.pieces, plan.chains, plan.lanes, *desk)


@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32", "int8", "int4"])
def test_scan_as_the_planner_does(against_memcpy, dtype):
    """From vector to bitmap, each vector like the one before."""
    vector = activations(dtype)
    scanner = Scanner(MATRIX.rows, dtype=dtype)
    against_memcpy(lambda: scanner(vector), vector)


@pytest.mark.parametrize("sparsity", [0.5, 0.67, 0.9])
@pytest.mark.parametrize("effort", ["runs", "fast"])
def test_vector_to_words(against_memcpy, effort, sparsity):
    """All of a plan, from vector to finished words."""
    planner, buffer, vector, plan = planned(effort, sparsity)
    against_memcpy(lambda: planner.plan_into(buffer, vector), plan.words.copy())


@pytest.mark.parametrize("effort", ["runs", "fast"])
def test_words_into_a_warm_buffer(against_memcpy, effort):
    """The compiled writer alone, into the same buffer again and again."""
    planner, buffer, _, plan = planned(effort)
    emit = writer(planner, plan)
    against_memcpy(lambda: emit(buffer), plan.words.copy())


@pytest.mark.parametrize("effort", ["runs", "fast"])
def test_words_into_a_cold_buffer(benchmark, say, effort):
    """The compiled writer and memcpy, each into buffers that have long left every cache."""
    planner, buffer, _, plan = planned(effort)
    emit, source = writer(planner, plan), plan.words.copy()
    apart = -(-len(buffer) // 1024) * 1024
    many = np.ones((COLD_BYTES // 4 // apart, apart), np.uint32)
    found = ([], [])
    for nth, cold in enumerate(many):
        ours = nth % 2 == 0
        begun = perf_counter_ns()
        if ours:
            emit(cold[: len(buffer)])
        else:
            cold[: len(source)] = source
        found[ours].append(perf_counter_ns() - begun)
    copied, written = (float(np.median(times)) / 1e3 for times in found)
    benchmark(lambda: emit(buffer))
    say(words=len(source), memcpy_us=copied, write_us=written, ratio=written / copied)


@pytest.fixture(scope="session")
def cpp(tmp_path_factory):
    """The encoder in C++, compiled."""
    if shutil.which("g++") is None:
        pytest.skip("no g++ to compile the C++ encoder with")
    library = tmp_path_factory.mktemp("encoder") / "encoder.so"
    source = Path(__file__).with_name("encoder.cpp")
    command = ["g++", "-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-o"]
    subprocess.run([*command, str(library), str(source)], check=True)
    encode = ctypes.CDLL(str(library)).encode
    encode.argtypes, encode.restype = [ctypes.c_void_p] * 5, ctypes.c_int64
    return encode


@pytest.mark.parametrize("effort", ["runs", "fast"])
def test_words_beside_a_plain_cpp_encoder(benchmark, say, cpp, effort):
    """The same words from both, in turns, into the same buffer."""
    planner, buffer, _, plan = planned(effort)
    emit, expected = writer(planner, plan), plan.words.copy()
    layout, shape = planner._layout, planner._shape
    machine = np.array(
        [
            layout.columns, layout.channels, layout.together, layout.half0, layout.half1,
            shape.row_words, shape.wrap, shape.burst, shape.axcache, layout.arg,
            layout.output_arg, TARGET.header_columns, TARGET.device.generation,
        ],
        np.int64,
    )  # fmt: skip
    out = np.zeros_like(buffer)
    arrays = (machine, plan.pieces, plan.chains, plan.lanes, out)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
    assert cpp(*pointers) == len(expected)
    assert np.array_equal(out[: len(expected)], expected)
    timers = Timer(lambda: emit(buffer)), Timer(lambda: cpp(*pointers))
    ours, theirs = (min(timer.repeat(100, 20)) / 20 * 1e6 for timer in timers)
    benchmark(lambda: emit(buffer))
    say(words=len(expected), cpp_us=theirs, write_us=ours, ratio=ours / theirs)

# SPDX-License-Identifier: Apache-2.0
"""A small design that copies its first buffer to its second, for the tests of the Device."""

from typing import NamedTuple

import numpy as np

from aie2 import txn
from aie2.devices import DEVICES
from iron_designs.compiler import designs
from iron_designs.compiler.build import Compiled, compile_design

WORDS = 4096


class Copy(NamedTuple):
    xclbin: bytes
    insts: bytes
    compiled: Compiled


def copy(device="npu1", columns=1, lane_bytes=4 * WORDS):
    shape = designs.Shape(DEVICES[device], columns)
    design = designs.passthrough(shape, lane_bytes)
    made = compile_design(design.dataflow, design.sequence)
    assert made.insts is not None
    return Copy(made.xclbin, made.insts, made)


def buffers(device, words=WORDS):
    source, target = device.buffer(words), device.buffer(words)
    source.array[:] = np.arange(words)
    target.array[:] = 7
    return source, target


def hanging(made):
    """The stream without its sending task: the token never comes."""
    program = txn.decode(made.insts)
    pushes = [op for op in program.ops if isinstance(op, txn.Write)]
    ops = tuple(op for op in program.ops if op is not pushes[-1])
    return txn.encode(txn.Program(program.header, ops))

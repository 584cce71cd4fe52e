# SPDX-License-Identifier: Apache-2.0
"""What an xclbin tells XRT about its kernel: arguments, memories, which is in which.

`aie2.xclbin_build` puts these sections around an AIE_PARTITION, and `aie2.xclbin_mirror` repeats
them as JSON. Facts: mlir-aie tools/aiecc/SidecarFiles.h (kernel, arguments, memories), XRT
src/runtime_src/core/include/xrt/detail/xclbin.h and what xclbinutil makes of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aie2.errors import XclbinError
from aie2.xclbin_format import CONNECTION, LAYOUT, MEMORY

LEAST_HOST_BUFFERS, MOST_HOST_BUFFERS = 5, 16
"""Host buffers that mlir-aie declares: XRT's run lists need five, more than 16 are untried."""
DRAM, PS_KERNEL, DPU = 2, 7, 1
"""Type of a memory, type and subtype of an IP layout entry."""
KERNEL_ID_SHIFT, KERNEL_ID_MAX = 16, 0xFFF
"""Where an IP layout entry's properties hold the kernel id."""
NO_ADDRESS = (1 << 64) - 1
COUNT_BYTES = 4
"""Of each table's count, which padding may follow."""


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory in which arguments can be."""

    tag: str
    size_kb: int
    base: int


MEMORIES = (Memory("HOST", 0x10000, 0x4000000), Memory("SRAM", 0xC000, 0x4000000))
HOST, SRAM = range(len(MEMORIES))


@dataclass(frozen=True, slots=True)
class KernelArgument:
    """An argument as the metadata declares it."""

    name: str
    type: str
    size_bytes: int
    offset_digits: str
    """Its offset among the arguments, in hexadecimal."""
    memory: int | None = None
    """Index of its memory; None for a scalar."""


SCALARS = (
    KernelArgument("opcode", "uint64_t", 8, "00"),
    KernelArgument("instr", "char *", 8, "08", SRAM),
    KernelArgument("ninstr", "uint32_t", 4, "10"),
)
"""Arguments before the host buffers."""
FIRST_BUFFER_BYTE, BUFFER_BYTES = 0x14, 8


@dataclass(frozen=True, slots=True)
class Connection:
    """An argument of the kernel and its memory, each by index."""

    argument: int
    memory: int


def arguments(host_buffers: int) -> tuple[KernelArgument, ...]:
    """Arguments of a kernel that takes this many host buffers.

    Raises:
        XclbinError: fewer or more than mlir-aie declares.
    """
    if not LEAST_HOST_BUFFERS <= host_buffers <= MOST_HOST_BUFFERS:
        raise XclbinError(
            f"xclbin: {host_buffers} host buffers cannot be declared; {LEAST_HOST_BUFFERS} to "
            f"{MOST_HOST_BUFFERS} can"
        )
    buffers = (
        KernelArgument(f"bo{n}", "void*", 8, f"{FIRST_BUFFER_BYTE + BUFFER_BYTES * n:X}", HOST)
        for n in range(host_buffers)
    )
    return (*SCALARS, *buffers)


def connections(taken: Sequence[KernelArgument]) -> tuple[Connection, ...]:
    """Which of the arguments is in which memory."""
    return tuple(
        Connection(index, argument.memory)
        for index, argument in enumerate(taken)
        if argument.memory is not None
    )


def xml(name: str, instance: str, kernel_id: int, taken: Sequence[KernelArgument]) -> bytes:
    """EMBEDDED_METADATA: the kernel as xclbinutil describes it."""
    lines = (
        '<?xml version="1.0" encoding="utf-8"?>',
        "<project>",
        "  <platform>",
        "    <device>",
        "      <core>",
        f'        <kernel name="{name}" language="c" type="dpu">',
        f'          <extended-data dpu_kernel_id="0x{kernel_id:x}" functional="0"'
        f' subtype="{DPU}"/>',
        *(_argument(index, argument) for index, argument in enumerate(taken)),
        f'          <instance name="{instance}"/>',
        "        </kernel>",
        "      </core>",
        "    </device>",
        "  </platform>",
        "</project>",
        "",
    )
    return "\n".join(lines).encode()


def _argument(index: int, argument: KernelArgument) -> str:
    size = f"0x{argument.size_bytes:x}"
    return (
        f'          <arg name="{argument.name}"'
        f' addressQualifier="{0 if argument.memory is None else 1}" id="{index}" size="{size}"'
        f' offset="0x{argument.offset_digits}" hostOffset="0x0" hostSize="{size}"'
        f' type="{argument.type}"/>'
    )


def memory_topology() -> bytes:
    """MEM_TOPOLOGY, and GROUP_TOPOLOGY."""
    entries = (
        MEMORY.pack(
            {
                "type": DRAM,
                "used": 1,
                "size_kb": memory.size_kb,
                "base": memory.base,
                "tag": memory.tag.encode(),
            },
            XclbinError,
        )
        for memory in MEMORIES
    )
    return _table(len(MEMORIES), 2 * COUNT_BYTES, entries)


def ip_layout(name: str, instance: str, kernel_id: int) -> bytes:
    """IP_LAYOUT: the kernel's one instance."""
    if not 0 <= kernel_id <= KERNEL_ID_MAX:
        raise XclbinError(
            f"xclbin: kernel id {kernel_id:#x} does not fit; 0 to {KERNEL_ID_MAX:#x} do"
        )
    entry = {
        "type": PS_KERNEL,
        "properties": kernel_id << KERNEL_ID_SHIFT | DPU,
        "base": NO_ADDRESS,
        "name": f"{name}:{instance}".encode(),
    }
    return _table(1, 2 * COUNT_BYTES, (LAYOUT.pack(entry, XclbinError),))


def connectivity(made: Sequence[Connection]) -> bytes:
    """CONNECTIVITY, or GROUP_CONNECTIVITY, of the one kernel."""
    entries = (
        CONNECTION.pack({"argument": each.argument, "memory": each.memory}, XclbinError)
        for each in made
    )
    return _table(len(made), COUNT_BYTES, entries)


def _table(count: int, first_byte: int, entries: Iterable[bytes]) -> bytes:
    """A count, zeros up to `first_byte`, and the entries."""
    return count.to_bytes(first_byte, "little") + b"".join(entries)

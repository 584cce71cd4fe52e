# SPDX-License-Identifier: Apache-2.0
"""A compiler for data movement that needs no toolchain: a `Dataflow` to an xclbin.

* `objects`: fifos to buffers, locks, DMA channels and circuit flows (`parts`); `memory` places the
  buffers.
* `routes`: a path through the stream switches for every flow.
* `configuration` and `switches`: all of that as register writes in aiecc's order (CDO).
* `sequence`: what the host asks of the shim DMAs, as an instruction stream (TXN).
* `container`: PDI and xclbin around it; `mlir` prints the same design for aiecc.

Every rule that aiecc follows is stated where it is applied, with the file of mlir-aie that has it
(commit 7fa34218b, 2026-03-24), so that what comes out is the same to the byte.
"""

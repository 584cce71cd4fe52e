# SPDX-License-Identifier: Apache-2.0
"""The array's static configuration: designs that print MLIR, and the xclbins compiled from them.

Designs: `passthrough`, `gather_rows`, `gather_chain`, `dense_rowwise`, `gather_to_core`, each with
a `main`; they stand on mlir-aie through `iron` (IRON's classes) or `placed` (the level below), and
`compiler` makes the same without it. `shipped` picks a compiled passthrough. Instructions that run
on it come from `bdgen`; `firmware_sim` or pyxrt loads the xclbin.
"""

# SPDX-License-Identifier: Apache-2.0
"""The array's static configuration: designs that print MLIR, and the xclbins compiled from them.

`passthrough` is the design, `shipped` picks a compiled one. Instructions that run on them come
from `bdgen`; `firmware_sim` or pyxrt loads the xclbin.
"""

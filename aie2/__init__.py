# SPDX-License-Identifier: Apache-2.0
"""What is true of AMD's AIE2 and AIE2P NPUs and of their files; it imports no other package here.

* `devices`, `tiles`, `registers`: how much there is, where it lies, what each bit means.
* `txn`: instruction streams, which `bdgen` writes and the controller runs; `disasm` prints them.
* `xclbin` holds `pdi` holds `cdo`: the container, the device image, the register writes in it.
* `errors`: what all of them raise.
"""

from aie2 import cdo, devices, disasm, errors, pdi, registers, tiles, txn, xclbin

__all__ = ["cdo", "devices", "disasm", "errors", "pdi", "registers", "tiles", "txn", "xclbin"]

# SPDX-License-Identifier: Apache-2.0
"""Host program of a passthrough: fill the input, run the design, compare, print PASS!

In the usual form of the ecosystem's drivers, for XRT's pyxrt and nothing else. Exits with 0 if the
output is the input.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

import argparse
import sys
import time

import numpy as np
import pyxrt

OPCODE = 3


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-x", "--xclbin", required=True, help="the design")
    parser.add_argument("-i", "--instr", required=True, help="its instruction stream")
    parser.add_argument("-k", "--kernel", default="MLIR_AIE", help="name of the kernel")
    parser.add_argument("-s", "--size", type=int, default=65536, help="bytes that are copied")
    parser.add_argument("-n", "--iters", type=int, default=1, help="runs")
    parser.add_argument("-v", "--verbosity", type=int, default=0)
    return parser.parse_args()


def main():
    opts = parse_args()
    instr_v = np.fromfile(opts.instr, dtype=np.uint32)
    if opts.verbosity >= 1:
        print("Sequence instr count:", len(instr_v))

    device = pyxrt.device(0)
    xclbin = pyxrt.xclbin(opts.xclbin)
    names = [k.get_name() for k in xclbin.get_kernels()]
    matching = [name for name in names if name.startswith(opts.kernel)]
    if not matching:
        print(f"Kernel '{opts.kernel}' not found in '{opts.xclbin}'")
        return 1
    device.register_xclbin(xclbin)
    context = pyxrt.hw_context(device, xclbin.get_uuid())
    kernel = pyxrt.kernel(context, matching[0])

    bo_instr = pyxrt.bo(device, instr_v.nbytes, pyxrt.bo.cacheable, kernel.group_id(1))
    bo_in = pyxrt.bo(device, opts.size, pyxrt.bo.host_only, kernel.group_id(3))
    bo_out = pyxrt.bo(device, opts.size, pyxrt.bo.host_only, kernel.group_id(4))

    bo_instr.write(instr_v, 0)
    bo_instr.sync(pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE)

    errors = 0
    for i in range(opts.iters):
        data = np.random.default_rng(i).integers(0, 256, opts.size, dtype=np.uint8)
        bo_in.write(data, 0)
        bo_out.write(np.zeros(opts.size, dtype=np.uint8), 0)
        bo_in.sync(pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE)
        bo_out.sync(pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE)

        start = time.perf_counter()
        run = kernel(OPCODE, bo_instr, len(instr_v), bo_in, bo_out)
        state = run.wait()
        elapsed_us = (time.perf_counter() - start) * 1e6
        if state != pyxrt.ert_cmd_state.ERT_CMD_STATE_COMPLETED:
            print("Kernel did not complete. Returned status:", state)
            return 1

        bo_out.sync(pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_FROM_DEVICE)
        received = bo_out.read(opts.size, 0).view(np.uint8)
        errors += int(np.count_nonzero(received != data))
        if opts.verbosity >= 1:
            print(f"Run {i}: {elapsed_us:.0f} us")

    if errors:
        print("Error count:", errors)
        print("FAIL!")
        return 1
    print("PASS!")
    return 0


if __name__ == "__main__":
    sys.exit(main())

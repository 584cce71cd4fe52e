# SPDX-License-Identifier: Apache-2.0
"""How often intervals cover hidden constants, over many machines: the figures of docs/calibrate.md.

python tests/host/calibrate_coverage.py npu1 100 (or with --quick), from the repository's root.
"""

import sys
from collections import defaultdict

import numpy as np
from hidden_machines import hidden_calibration, true_value

from aie2.devices import device
from host.calibrate.machine import SimulatedMachine
from host.calibrate.procedure import calibrate, plan


def main(name="npu1", machines="100", *options):
    covered, halves, offs = defaultdict(list), defaultdict(list), defaultdict(list)
    for seed in range(1, int(machines) + 1):
        hidden = hidden_calibration(name, seed)
        machine = SimulatedMachine(device(name), hidden, seed=seed)
        made = plan(machine, quick="--quick" in options)
        outcome = calibrate(machine, made, 15.0, "2026-11-23", seed=seed)
        for key, value in outcome.values.items():
            if value.measured:
                (low, high), truth = value.interval, true_value(hidden, key)
                covered[key].append(low <= truth <= high)
                halves[key].append((high - low) / 2 / truth)
        for each in outcome.forecasts:
            offs[each.name].append((each.off(each.fitted_us), each.off(each.shipped_us)))
    for key, hits in covered.items():
        print(f"| {key} | {len(hits)} | {np.mean(hits):.0%} | {np.median(halves[key]):.1%} |")
    everything = np.concatenate(list(covered.values()))
    print(f"{everything.mean():.1%} of {everything.size} intervals")
    for key, pairs in offs.items():
        fitted, shipped = (np.sort(np.abs(each)) for each in np.array(pairs).T)
        figures = (f"{x[x.size // 2]:.1%} (worst {x[-1]:.1%})" for x in (fitted, shipped))
        print(f"| {key} | {' | '.join(figures)} |")


if __name__ == "__main__":
    main(*sys.argv[1:])

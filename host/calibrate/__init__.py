# SPDX-License-Identifier: Apache-2.0
"""Measure a machine's timing constants, so that the simulator tells that machine's time.

In order: `designs` (what is loaded), `streams` and `benches` (what is run), `machine` (what runs
it), `measure` (times), `fit` and `limits` (constants with intervals), `write` (the file).
"""

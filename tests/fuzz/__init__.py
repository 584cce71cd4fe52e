# SPDX-License-Identifier: Apache-2.0
"""Damaged and made-up files for the readers and the simulator: `python -m tests.fuzz --help`.

A case is decided by (seed, number) alone. `cases` makes them (from `containers`, `streams`,
`programs`, with addresses and values of `registers`), `oracle` runs one and says what came of it,
`workers` runs many, each in a process that may crash or hang.
"""

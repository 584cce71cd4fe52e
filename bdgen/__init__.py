# SPDX-License-Identifier: Apache-2.0
"""From an activation vector to an instruction stream: what to move, in which BDs, in what words.

In the order of the flow: `scan` and `bitmap` (which rows are wanted), `runs` (rows that lie
together), `target` (what the stream is for), `schedule` (lanes and batches), `stencils` and `emit`
(words), `program` (the five modes) and `request` (what a Phase 2 stream tells its firmware).
"""

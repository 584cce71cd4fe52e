# SPDX-License-Identifier: Apache-2.0
"""Every table and stated figure of the three seeds, beside what comes out here.

The seeds are the slides on sparse row loads (0), the slides on sparsity of general language models
(1) and the SparseInfer paper (2). `catalogue.figures` is the list that `sparsebd sparsity tables`
prints; each entry is a `figure.SeedFigure`.

* Calculators, from shapes alone: `architecture` (parameters), `flops`, `sparseinfer` (operations,
  memory, time), `speedups` (Amdahl), `islands` (descriptors and Phase 1), `row_bytes`, `matching`.
* `live`: what is measured each time, in under two seconds; `measured`: what took longer, with the
  command that measured it.
* `npu_models`, `npu_rows`, `general_slides`, `general_patterns`, `paper_background`,
  `paper_prediction`, `paper_overheads`, `paper_results`: what the seeds say, item by item.
"""

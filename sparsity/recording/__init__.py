# SPDX-License-Identifier: Apache-2.0
"""What goes into down projections, recorded: histograms, masks and statistics of every layer.

* `record`: writes a recording while the model runs; `reading` reads it, a member at a time;
  `layout` is the file's format, `naming` its masks by `FILE.npz:LAYER:TOKEN`.
* `models`: runs a model of this package, and `hugging_face` one of transformers, and records it.
* `foreign`: recordings out of TEAL's histograms (`teal`) and PowerInfer's counts (`powerinfer`);
  `published`: tables of sparsities by layer.
"""

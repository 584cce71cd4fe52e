# SPDX-License-Identifier: Apache-2.0
"""Which rows a token will not need, guessed from sign bits before any weight is read.

SparseInfer (DATE 2025) predicts that a ReLU neuron stays at zero where most products of its
weights with the layer's input have a minus sign. Here it is with its kernels, measured beside the
predictors it replaces, and made better at the same weight traffic.

* `signs`: one bit per value in 64-bit words, from every format weights come in (`blocks`).
* `planes`: activations at 1 to 8 bits as bit planes; at 1 bit they are the signs.
* `kernels`, `predict`: XOR and popcount over a layer's rows, and the decision; `alpha` tunes it.
* `gemv`, `ffn`: the projections with skip flags, and a whole FFN from prediction to output.
* `quality`, `baselines`, `compare`: precision, missed rows, output error; other predictors too.
* `calibrate`: the alpha for a share of missed rows.
* `layers`, `made_up`, `use_lite_up`: real and made-up layers to measure on; `theory` has the law.
* `traffic`: bytes and operations, of every predictor and of the FFN it serves.
* `gpu`: the predictor and the sparse GEMV on an NVIDIA GPU; nothing else here needs one.
"""

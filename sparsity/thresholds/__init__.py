# SPDX-License-Identifier: Apache-2.0
"""Activations made sparse by a threshold: which, from what, and what it costs the model.

* `quantiles`: the threshold below which a share of magnitudes lies, exactly or from a stream.
* `rule`: what a rule is; `methods`: those that look at activations (the seed's, CATS, TEAL, top-k,
  WINA, ...); `foretold`: those that guess them.
* `trade_off`: sparsity reached and perplexity lost, on text that the thresholds have not seen.
"""

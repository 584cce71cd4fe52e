# SPDX-License-Identifier: Apache-2.0
"""Activations made sparse by a threshold: which, from what, and what it costs the model.

* `quantiles`: the threshold below which a share of magnitudes lies, exactly or from a stream.
* `methods`: what is zeroed, by whose rule (the seed's, CATS, TEAL, top-k, WINA, ...).
* `tradeoff`: sparsity reached and perplexity lost, on text that the thresholds have not seen.
"""

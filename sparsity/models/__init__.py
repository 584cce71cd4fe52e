# SPDX-License-Identifier: Apache-2.0
"""Models whose weights install from a package registry: run on text, opened up at each FFN.

`interface` is what a model offers to the rest of `sparsity`; each other module is one model, a
file format, or the text that models are run on.
"""

# SPDX-License-Identifier: Apache-2.0
"""Where masks come from: model shapes, patterns, files, and real activations of a ReLU model.

The first step of the road. `shapes` says how large the matrix is, `masks` or `capture` say which
of its rows a token wants; `bdgen` takes it from there. `recorded`, `coactivation` and `permute`
turn masks of many tokens into a better order of rows. Needs numpy and numba, imports no neighbour.
"""

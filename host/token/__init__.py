# SPDX-License-Identifier: Apache-2.0
"""A whole FFN layer, and a whole token, on the simulated NPU: which rows, known when, how long.

`sources` says what each way of knowing the wanted rows reads, and in which steps; `masks` has the
masks of a model's layers; `timing` simulates every gather; `report` adds up layers to a token;
`show` prints and draws it; `command` is `sparsebd run --ffn`.
"""

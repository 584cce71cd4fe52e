# SPDX-License-Identifier: Apache-2.0
"""A small language model with random weights in numpy alone: gated FFNs, no attention."""

import numpy as np

from sparsity.models.interface import FfnWeights

LAYERS, D, K, VOCABULARY = 3, 16, 32, 30


class NumpyModel:
    """An `FfnModel`: embedding, FFNs that add to a state, logits."""

    name = "made up"
    layers, d, k = LAYERS, D, K
    gated = True
    activation = "silu"
    language = True

    def __init__(self) -> None:
        random = np.random.default_rng(22)
        self.embedding = random.normal(0, 1, (VOCABULARY, D)).astype(np.float32)
        self._ffn = [
            FfnWeights(*(random.normal(0, 0.15, (K, D)).astype(np.float32) for _ in range(3)))
            for _ in range(LAYERS)
        ]

    def weights(self, layer: int) -> FfnWeights:
        return self._ffn[layer]

    def run(self, tokens, hook=None):
        state = self.embedding[tokens]
        for number, ffn in enumerate(self._ffn):
            assert ffn.gate is not None
            gate, up = state @ ffn.gate.T, state @ ffn.up.T
            a = gate / (1 + np.exp(-gate)) * up
            given = None if hook is None else hook(number, state, gate, up, a)
            state = state + (a if given is None else given) @ ffn.down
        return state @ self.embedding.T


def windows(count: int, tokens: int = 24, seed: int = 5) -> tuple[np.ndarray, ...]:
    """Token numbers drawn at random."""
    random = np.random.default_rng(seed)
    return tuple(random.integers(0, VOCABULARY, tokens) for _ in range(count))

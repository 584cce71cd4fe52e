# SPDX-License-Identifier: Apache-2.0
"""Made-up layers with a chosen sparsity: where the truth about a predictor is known beforehand.

`tau` is what real layers have and unrelated Gaussians lack: rows that differ in how often they are
on. Every row of weights leans towards a fixed direction that every input has a share of, by a
normal amount; at tau = 0 rows are alike and the predictor follows `theory`.
"""

import math

import numpy as np

from sparsity.errors import MaskError
from sparsity.predictor.layers import FfnLayer
from sparsity.predictor.theory import normal_quantile


def make_layer(
    d: int = 4096,
    k: int = 2048,
    tokens: int = 16,
    sparsity: float = 0.5,
    tau: float = 0.0,
    seed: int = 0,
) -> FfnLayer:
    """Make a layer without a gate.

    Args:
        d: width, at least 2.
        k: neurons.
        tokens: how many inputs.
        sparsity: expected share of zeros, above 0 and below 1.
        tau: standard deviation of the rows' means, in standard deviations of a dot product.
        seed: of everything.

    Raises:
        MaskError: a size, share, spread or seed that no layer has.
    """
    if min(d - 1, k, tokens) < 1 or not (0 < sparsity < 1 and 0 <= tau < math.inf) or seed < 0:
        raise MaskError(
            f"no layer has d {d}, k {k}, {tokens} tokens, sparsity {sparsity}, tau {tau}, seed "
            f"{seed}: give d from 2, k and tokens from 1, 0 < sparsity < 1, tau and seed from 0"
        )
    random = np.random.default_rng(seed)
    # Row means are N(mean, tau); with the dot product's own noise the spread is sqrt(1 + tau^2).
    mean = -normal_quantile(sparsity) * math.sqrt(1 + tau * tau)
    lean = mean + tau * random.standard_normal((k, 1), np.float32)
    direction = random.choice(np.array([-1.0, 1.0], np.float32), d)
    # Half of x's power lies along the direction, whose signs then agree as its values do.
    x = random.standard_normal((tokens, d), np.float32)
    share = _share_of(float(np.abs(lean).max()), d)
    x += share * direction
    gate = random.standard_normal((k, d), np.float32)
    norm = math.sqrt(1 + share * share)
    gate += (lean * np.float32(norm / (share * math.sqrt(d)))) * direction
    down = random.standard_normal((k, d), np.float32) / np.float32(math.sqrt(k))
    return FfnLayer(f"made-up d={d} k={k} tau={tau:g}", x, gate, down)


def _share_of(largest: float, d: int) -> np.float32:
    """How much of each input is the common direction."""
    return np.float32(0.25 if largest < math.sqrt(d) else 0.5)

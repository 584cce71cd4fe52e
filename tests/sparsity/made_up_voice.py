# SPDX-License-Identifier: Apache-2.0
"""A Piper voice's text encoder with small random weights, as PyTorch names and shapes them."""

import json
from pathlib import Path

import numpy as np

WIDTH, K, SIZE, REACH, LAYERS, PHONEMES = 8, 12, 4, 2, 2, 9
SYMBOLS = {"_": [0], "^": [1], "$": [2], " ": [3], "a": [4], "ð": [5], "ː": [6], "̃": [7], "x": [8]}


def shapes() -> dict[str, tuple[int, ...]]:
    """Names of parameters below `enc_p.encoder`."""
    found: dict[str, tuple[int, ...]] = {}
    for layer in range(LAYERS):
        attention = f"attn_layers.{layer}"
        for part in "qkvo":
            found[f"{attention}.conv_{part}.weight"] = (WIDTH, WIDTH, 1)
            found[f"{attention}.conv_{part}.bias"] = (WIDTH,)
        for part in "kv":
            found[f"{attention}.emb_rel_{part}"] = (1, 2 * REACH + 1, SIZE)
        for norm in "12":
            for part in ("gamma", "beta"):
                found[f"norm_layers_{norm}.{layer}.{part}"] = (WIDTH,)
        found[f"ffn_layers.{layer}.conv_1.weight"] = (K, WIDTH, 3)
        found[f"ffn_layers.{layer}.conv_1.bias"] = (K,)
        found[f"ffn_layers.{layer}.conv_2.weight"] = (WIDTH, K, 3)
        found[f"ffn_layers.{layer}.conv_2.bias"] = (WIDTH,)
    return found


def parameters() -> dict[str, np.ndarray]:
    """All parameters; the embedding has a name that says nothing, as an exporter may give it."""
    random = np.random.default_rng(11)
    found = {
        f"enc_p.encoder.{name}": random.normal(0, 0.7, shape).astype(np.float32)
        for name, shape in shapes().items()
    }
    return found | {"sid": random.normal(0, 0.7, (PHONEMES, WIDTH)).astype(np.float32)}


def write(folder: Path, leave_out: str = "") -> Path:
    """Write the voice as ONNX, without the parameters whose names end so, and its settings."""
    import onnx  # pyright: ignore[reportMissingImports]

    helper = onnx.helper
    kept = {n: a for n, a in parameters().items() if not leave_out or not n.endswith(leave_out)}
    graph = helper.make_graph(
        [helper.make_node("Gather", ["sid", "input"], ["embedded"])],
        "voice",
        [helper.make_tensor_value_info("input", onnx.TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("embedded", onnx.TensorProto.FLOAT, ["n", WIDTH])],
        [onnx.numpy_helper.from_array(array, name) for name, array in kept.items()],
    )
    path = folder / "voice.onnx"
    onnx.save(helper.make_model(graph), path)
    path.with_name("voice.onnx.json").write_text(json.dumps({"phoneme_id_map": SYMBOLS}))
    return path

# SPDX-License-Identifier: Apache-2.0
"""A package laid out as the real one, with small random weights and its own vocabulary."""

import json
from pathlib import Path

import numpy as np

WIDTH, D, K, WORDS = 8, 16, 24, 11


def weight_shapes() -> dict[str, tuple[int, ...]]:
    """Names as the graph has them, sizes of our own."""
    shapes: dict[str, tuple[int, ...]] = {
        "module/Embeddings_en": (WORDS, WIDTH),
        "top/Layer_0/AddTimingSignal/TimingSignal/ExpandDims_1": (1, WIDTH // 2),
        "top/tanh_layer_0/weights": (D, D),
        "top/tanh_layer_0/bias": (D,),
        "x/Layer_0/TransformerLayer/dense/kernel/ConcatPartitions/concat": (WIDTH, D),
        "x/Layer_0/TransformerLayer/dense/bias/ConcatPartitions/concat": (D,),
    }
    for number, width in enumerate((WIDTH, D)):
        scope = f"x/Layer_{number}/TransformerLayer"
        for norm, size in ((scope, width), (f"{scope}/FFN", D)):
            for part in ("scale", "bias"):
                stem = f"{norm}/layer_prepostprocess/layer_norm/layer_norm_{part}"
                shapes[f"{stem}/ConcatPartitions/concat"] = (size,)
        for name, size in (("qkv", 3 * width), ("output", D)):
            stem = f"{scope}/MultiheadAttention/{name}_transform_single"
            shapes[f"{stem}/kernel/part_0"] = (1, 1, width, size)
            shapes[f"{stem}/bias/ConcatPartitions/concat"] = (size,)
        for name, sizes in (("conv1", (D, K)), ("conv2", (K, D))):
            shapes[f"{scope}/FFN/{name}/Tensordot/Reshape_1"] = sizes
            shapes[f"{scope}/FFN/{name}/bias/ConcatPartitions/concat"] = sizes[1:]
    return shapes


def made_up_files() -> dict[str, bytes]:
    """The files of a package with random weights, cut into two shards."""
    generator = np.random.default_rng(5)
    manifest, blob = [], b""
    for name, sizes in weight_shapes().items():
        manifest.append({"name": name, "shape": list(sizes), "dtype": "float32"})
        blob += generator.normal(0, 0.6, sizes).astype("<f4").tobytes()
    manifest.append({"name": "a/count", "shape": [], "dtype": "int32"})
    blob += np.int32(7).tobytes()
    model = {"weightsManifest": [{"paths": ["one", "two"], "weights": manifest}]}
    return {
        "package.json": b'{"name": "made-up", "version": "1.2.3", "license": "Apache-2.0"}',
        "dist/model.json": json.dumps(model).encode(),
        "dist/vocab.json": b'[["\\u2581", -1.5], [":", null]]',
        "dist/one": blob[:1000],
        "dist/two": blob[1000:],
    }


def write_folder(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        path = folder / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder

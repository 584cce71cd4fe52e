# SPDX-License-Identifier: Apache-2.0
"""The predictor and the sparse products on an NVIDIA GPU: `python benchmarks/predictor_gpu.py`.

Checks them against numpy, then times them at 7B and 13B beside a copy on the device and beside
PowerInfer's predictor, two fp16 products of rank 1024, and prints what the SparseInfer paper has
for a Jetson Orin. Each kernel runs over the matrices of many layers in one launch, so that neither
the launch nor a cache that keeps one layer is what is timed; figures are per layer, the least of
the rounds. Needs numba with CUDA; `--json FILE` for the figures, `--small` for a trial.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sparsity.predictor import gpu
from sparsity.predictor.planes import make_planes
from sparsity.predictor.predict import limit, skip
from sparsity.predictor.signs import SignBits, words_for
from sparsity.predictor.traffic import POWERINFER_RANK

SHAPES = {"7b": (4096, 11008, 32), "13b": (5120, 13824, 40)}
SMALL = {"small": (70, 12, 2)}
PAPER = {"predictor_us": 70.0, "powerinfer_over_sparseinfer": 3.66}
"""ProSparse-Llama2-13B on a Jetson Orin AGX, SparseInfer (DATE 2025), section V-A."""
SKIPPED = 0.92
PRODUCT_LAYERS = 4
"""Layers whose weights are timed together; 13B's take 0.57 GB."""
ROUNDS = 20


def best_us(call: Callable[[], None], rounds: int = ROUNDS) -> float:
    """Time a launch by events on the device: the least of the rounds."""
    cuda = gpu.cuda()
    call()
    cuda.synchronize()
    found = []
    for _ in range(rounds):
        start, end = cuda.event(), cuda.event()
        start.record()
        call()
        end.record()
        end.synchronize()
        found.append(cuda.event_elapsed_time(start, end) * 1e3)
    return min(found)


def copy_us(nbytes: int) -> float:
    """Time copying so many bytes within the device's memory."""
    source = gpu.cuda().device_array(nbytes, np.uint8)
    target = gpu.cuda().device_array(nbytes, np.uint8)
    return best_us(lambda: target.copy_to_device(source))


def on_device(array: np.ndarray, copies: int) -> Any:
    """Put an array on the device several times over, one below the other."""
    whole = gpu.cuda().device_array((len(array) * copies, *array.shape[1:]), array.dtype)
    for part in range(copies):
        whole[part * len(array) : (part + 1) * len(array)].copy_to_device(array)
    return whole


def inputs(d: int, k: int) -> tuple[SignBits, np.ndarray, np.ndarray, np.ndarray]:
    """Make sign bits, fp16 weights, an input, and flags of which `SKIPPED` are set."""
    random = np.random.default_rng(0)
    weights = random.standard_normal((k, d), np.float32).astype(np.float16)
    words = random.integers(0, 1 << 64, (k, words_for(d)), np.uint64)
    if d % 64:
        words[:, -1] &= np.uint64((1 << d % 64) - 1)
    x = random.standard_normal(d, np.float32)
    return SignBits(words, d), weights, x, random.random(k) < SKIPPED


def check(d: int, k: int) -> dict[str, float]:
    """Compare with the processor; decisions must be equal, products near."""
    signs, weights, x, flags = inputs(d, k)
    on_gpu = gpu.GpuSigns.of(signs)
    for bits, alpha in ((1, 1.0), (1, 1.03), (4, 1.0), (8, 1.1)):
        planes = make_planes(x, bits)
        np.testing.assert_array_equal(on_gpu.skip(planes, alpha), skip(signs, planes, alpha))
    cuda, exact = gpu.cuda(), weights.astype(np.float64)
    a = np.random.default_rng(1).standard_normal(k, np.float32)
    on = {"w": weights, "x": x, "a": a, "skip": flags}
    there = {name: cuda.to_device(array) for name, array in on.items()}
    rows, down = cuda.device_array(k, np.float32), cuda.to_device(np.zeros(d, np.float32))
    gpu.rows_times(there["w"], there["x"], there["skip"], rows)
    gpu.down_times(there["w"], there["a"], there["skip"], down)
    wanted = np.where(flags, 0, exact @ x), (a * ~flags) @ exact
    errors = [
        float(np.abs(got.copy_to_host() - want).max() / np.abs(want).max())
        for got, want in zip((rows, down), wanted, strict=True)
    ]
    assert max(errors) < 1e-4, f"products differ by {errors} of the largest value"
    return {"rows_error": errors[0], "down_error": errors[1]}


def predictors(d: int, k: int, layers: int) -> dict[str, float]:
    """Time sign predictors and PowerInfer's, per layer."""
    signs, _, x, _ = inputs(d, k)
    cuda = gpu.cuda()
    whole = gpu.GpuSigns(on_device(gpu.halves(signs.words), layers), d)
    out = cuda.device_array(k * layers, np.bool_)
    found = {"copy_of_sign_bits_us": copy_us(signs.words.nbytes * layers) / layers}
    for bits in (1, 4, 8):
        planes = make_planes(x, bits)
        words, most = cuda.to_device(gpu.halves(planes.words)), limit(planes, 1.0)
        us = best_us(lambda words=words, most=most: whole.launch(words, most, out))
        found[f"predict_{bits}_bit_us"] = us / layers
    found["predict_over_copy"] = found["predict_1_bit_us"] / found["copy_of_sign_bits_us"]
    low_rank = sum(
        _product_us(*shape, layers) for shape in ((POWERINFER_RANK, d), (k, POWERINFER_RANK))
    )
    found["powerinfer_us"] = low_rank
    found["powerinfer_over_sparseinfer"] = low_rank / found["predict_1_bit_us"]
    return found


def _product_us(rows: int, columns: int, layers: int) -> float:
    """Time one dense fp16 product, per layer."""
    cuda = gpu.cuda()
    weights = on_device(np.full((rows, columns), 0.5, np.float16), layers)
    x, out = cuda.to_device(np.ones(columns, np.float32)), cuda.device_array(len(weights), "f4")
    skip_none = cuda.to_device(np.zeros(len(weights), np.bool_))
    return best_us(lambda: gpu.rows_times(weights, x, skip_none, out)) / layers


def products(d: int, k: int) -> dict[str, float]:
    """Time the gate (or up) and the down product, dense and sparse, per layer."""
    _, weights, x, flags = inputs(d, k)
    cuda = gpu.cuda()
    whole, layers = on_device(weights, PRODUCT_LAYERS), PRODUCT_LAYERS
    there, out = cuda.to_device(x), cuda.device_array(k * layers, np.float32)
    a, sums = cuda.to_device(np.ones(k * layers, np.float32)), cuda.to_device(np.zeros(d, "f4"))
    found = {"copy_of_weights_us": copy_us(weights.nbytes * layers) / layers}
    for name, each in (("dense", np.zeros_like(flags)), ("sparse", flags)):
        skipped = cuda.to_device(np.tile(each, layers))
        first = best_us(lambda skipped=skipped: gpu.rows_times(whole, there, skipped, out))
        down = best_us(lambda skipped=skipped: gpu.down_times(whole, a, skipped, sums))
        found |= {f"first_{name}_us": first / layers, f"down_{name}_us": down / layers}
    for step in ("first", "down"):
        found[f"{step}_speed_up"] = found[f"{step}_dense_us"] / found[f"{step}_sparse_us"]
    return found


def main() -> None:
    """Check, time and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--small", action="store_true", help="one tiny shape, checked only")
    options = parser.parse_args()
    figures: dict[str, Any] = {"paper": PAPER, "skipped": SKIPPED}
    for name, (d, k, layers) in (SMALL if options.small else SHAPES).items():
        figures[name] = {"equal_to_numpy": True, **check(d, k)}
        if not options.small:
            figures[name] |= predictors(d, k, layers) | products(d, k)
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()

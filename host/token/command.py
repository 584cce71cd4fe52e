# SPDX-License-Identifier: Apache-2.0
"""`sparsebd run --ffn`: options to a model's masks and a machine; tables, JSON and plot.

With `--ffn all` a token goes through all layers, with `--ffn 3` through layer 3 alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from aie2.devices import device as device_named
from firmware_sim import PROFILES
from host.cases import AUTO, prepare
from host.errors import UsageError
from host.plots import rendered
from host.token import masks
from host.token.masks import ModelMasks
from host.token.report import TokenTime, passes, token_time
from host.token.show import draw
from host.token.timing import Gatherer, check_way
from sparsity import shapes
from sparsity.errors import ShapeError
from sparsity.models import catalogue
from sparsity.predictor.layers import from_model
from sparsity.predictor.use_lite_up import LAYERS, shipped_layer

ALL_LAYERS = "all"
MODEL = "relullama-7b"
"""What is run if no model is named."""
USE_LITE = "use-lite"
SMOLLM2, SMOLLM2_SHAPE = "smollm2", "smollm2-135m"
"""The model that runs, at any share of zeros, and its shape, for drawn masks."""
DTYPE = "bf16"
ANY_ROW = 4
"""Bytes of a row that every design can move."""
SPARSITY = 0.5
"""Of models without a ReLU, unless it is said: the seed's."""
RUN_TOKENS, JUDGE_TOKENS = 512, 1024
"""Text that a model with a ReLU runs over, and that one without is judged by."""


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    layers: str
    """`ALL_LAYERS`, or the number of one."""
    model: str = MODEL
    device: str = "npu1"
    columns: int | None = None
    channels: int = 1
    profile: str = "band"
    way: str = AUTO
    sparsity: float | None = None
    token: int | None = None
    seed: int = 0


def run_ffn(
    options: Options, model: ModelMasks, advance: Callable[[], None] = lambda: None
) -> TokenTime:
    """Simulate a token, or one layer of it, by every source of masks.

    Args:
        options: what was asked for.
        model: of `model_masks`.
        advance: called `steps` times on the way.

    Raises:
        UsageError: options that do not fit.
    """
    profiles = _profiles(options.profile)
    device = device_named(options.device)
    model = _layers(model, options.layers)
    gatherer = Gatherer(
        device,
        model.k,
        shapes.row_bytes(model.d, DTYPE),
        profiles,
        options.way,
        options.columns,
        options.channels,
    )
    return token_time(model, gatherer, device.name, advance)


def model_masks(options: Options) -> ModelMasks:
    """Return the masks of the model that was asked for: shipped, drawn, or of a model that runs.

    Raises:
        UsageError: options that do not fit; the cheap ones are looked at first.
        SparsityError: no such model, or what it needs is not there.
    """
    _check(options)
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed} is negative: give 0 or more")
    if options.sparsity is not None and not 0 <= options.sparsity <= 1:
        raise UsageError(f"--sparsity {options.sparsity} is not a share: give 0 to 1")
    name = options.model.lower()
    if name == USE_LITE:
        _refuse(options, sparsity=True, seed=True)
        layers = [shipped_layer(layer) for layer in range(LAYERS)]
        return masks.relu(
            "USE-lite", layers, "one token of text, through the shipped layers", options.token
        )
    if name == SMOLLM2 or (name == SMOLLM2_SHAPE and options.sparsity is None):
        return _of_running(replace(options, model=SMOLLM2))
    try:
        shape = shapes.shape(options.model)
    except ShapeError:
        return _of_running(options)
    _refuse(options, token=True)
    if shape.activation != "ReLU" and shape.sparsity is None and options.sparsity is not None:
        return masks.drawn(shape, options.sparsity, options.seed)
    return masks.published(shape, options.sparsity, options.seed)


def _of_running(options: Options) -> ModelMasks:
    """Run a model and take one token's masks."""
    opened = catalogue.open_model(options.model)
    if opened.model.activation != "relu":
        _refuse(options, token=True, seed=True)
        share = SPARSITY if options.sparsity is None else options.sparsity
        return masks.thresholded(opened, share, JUDGE_TOKENS)
    _refuse(options, sparsity=True, seed=True)
    windows = opened.windows(0, RUN_TOKENS).judge
    layers = from_model(opened.model, range(opened.model.layers), windows)
    return masks.relu(opened.model.name, layers, "one token of text", options.token)


def _check(options: Options) -> None:
    """Refuse what no model can change, before one is read."""
    _profiles(options.profile)
    check_way(options.way)
    prepare(device_named(options.device), options.columns, ANY_ROW, channels=options.channels)
    if options.layers != ALL_LAYERS and not options.layers.isdecimal():
        raise UsageError(f"--ffn {options.layers!r}: give {ALL_LAYERS}, or the number of a layer")


def _refuse(
    options: Options, *, sparsity: bool = False, token: bool = False, seed: bool = False
) -> None:
    if sparsity and options.sparsity is not None:
        raise UsageError(f"--sparsity is for drawn masks: {options.model} has its own zeros")
    if token and options.token is not None:
        raise UsageError(f"--token is for a model with a ReLU that runs, not {options.model}")
    if seed and options.seed:
        raise UsageError(f"--seed is for drawn masks: {options.model} has its own zeros")


def _profiles(name: str) -> tuple[str, ...]:
    if name == "band":
        return tuple(PROFILES)
    if name not in PROFILES:
        raise UsageError(f"--profile {name!r} is not one of {', '.join(PROFILES)}, band")
    return (name,)


def steps(model: ModelMasks, options: Options) -> int:
    """How often `run_ffn` calls `advance`; UsageError for a layer that the model lacks."""
    return passes(_layers(model, options.layers))


def _layers(model: ModelMasks, wanted: str) -> ModelMasks:
    if wanted == ALL_LAYERS:
        return model
    if not wanted.isdecimal() or int(wanted) >= len(model.layers):
        raise UsageError(
            f"--ffn {wanted!r}: give {ALL_LAYERS}, or a layer of {model.name}, 0 to "
            f"{len(model.layers) - 1}"
        )
    return masks.one_layer(model, int(wanted))


def files(found: TokenTime, json_file: Path, plot_file: Path) -> dict[Path, bytes]:
    """Return what goes into the files."""
    data = (found.model_dump_json(indent=1) + "\n").encode()
    return {json_file: data, plot_file: rendered(draw(found), plot_file)}

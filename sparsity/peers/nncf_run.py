# SPDX-License-Identifier: Apache-2.0
"""OpenVINO NNCF's activation sparsification on a module of transformers, calibrated and judged.

NNCF is the one peer that installs: `pip install 'sparsebd[peers]'`. It is imported when first used.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from sparsity.errors import SparsityError
from sparsity.models.interface import Tokens
from sparsity.models.perplexity import perplexity
from sparsity.peers.llama_torch import peer
from sparsity.recording.hugging_face import HuggingFaceModel

DOWN = ".*down_proj.*"
"""Which of the module's operations get sparse inputs."""
_API = "nncf.experimental.torch.sparsify_activations"


@dataclass(frozen=True, slots=True, eq=False)
class Sparsified:
    """A copy of a module with NNCF's sparsifiers in front of its down projections."""

    module: Any
    seconds: float
    """Time to trace the module, put sparsifiers in and calibrate them."""


def installed() -> str | None:
    """The installed version of NNCF, None if there is none."""
    try:
        return str(peer("nncf").__version__)
    except SparsityError:
        return None


def sparsify(module: Any, windows: Sequence[Tokens], share: float) -> Sparsified:
    """Calibrate NNCF to zero a share of the inputs of every down projection.

    Args:
        module: a `LlamaForCausalLM`; left as it is.
        windows: each one batch of calibration.
        share: 0 to 1.

    Raises:
        PackageError: NNCF or torch is missing.
    """
    nncf, api, torch = peer("nncf"), peer(_API), peer("torch")
    own = copy.deepcopy(module)
    batches = [{"input_ids": torch.from_numpy(window)[None]} for window in windows]
    start = perf_counter()
    with redirect_stdout(io.StringIO()):  # its progress bar
        made = api.sparsify_activations(
            own, nncf.Dataset(batches), {api.TargetScope(patterns=[DOWN]): share}
        )
    return Sparsified(made, perf_counter() - start)


@dataclass(frozen=True, slots=True)
class Judged:
    """What sparsifiers do to text that they were not calibrated on."""

    perplexity: float
    thresholds: tuple[float, ...]
    """By layer."""
    by_layer: tuple[float, ...]
    """Share of zeros that each lets through to its down projection."""


def judge(sparse: Sparsified, windows: Sequence[Tokens]) -> Judged:
    """Run the module on other text and count what its sparsifiers zero.

    Raises:
        SparsityError: NNCF put in another number of sparsifiers than there are layers.
    """
    zeros: dict[Any, int] = {}  # by sparsifier, in the order of the layers
    totals: dict[Any, int] = {}

    def count(sparsifier: Any, _: Any, made: Any) -> None:
        zeros[sparsifier] = zeros.get(sparsifier, 0) + int((made == 0).sum())
        totals[sparsifier] = totals.get(sparsifier, 0) + made.numel()

    handles = [each.register_forward_hook(count) for each in _sparsifiers(sparse.module)]
    model = HuggingFaceModel(sparse.module, name="NNCF")
    try:
        found = perplexity(model, windows)
    finally:
        for handle in handles:
            handle.remove()
    if len(zeros) != model.layers:
        raise SparsityError(f"NNCF sparsified {len(zeros)} projections of {model.layers} layers")
    return Judged(
        found,
        tuple(float(each.running_threshold) for each in zeros),
        tuple(zeros[each] / totals[each] for each in zeros),
    )


def _sparsifiers(module: Any) -> list[Any]:
    """NNCF's sparsifiers in a module, in no order."""
    kind = peer(f"{_API}.torch_backend").ActivationsSparsifier
    storage = peer("nncf.torch.function_hook.wrapper").get_hook_storage(module)
    return [hook for _, hook in storage.named_hooks() if isinstance(hook, kind)]

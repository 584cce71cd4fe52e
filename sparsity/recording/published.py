# SPDX-License-Identifier: Apache-2.0
"""Tables of sparsities by layer, as papers and repositories publish them.

| from | file |
|-|-|
| this package | a name in `sparsity.shapes`, such as `ReluLLaMA-7B` |
| NimbleEdge sparse_transformers (Apache-2.0) | `sparsity.json`: `{"gate": [percent, ...], "up": [...]}` |
| Polar Sparsity (MIT) | CSV `layer,batch_size,optimal_k`: neurons that a router keeps |
| anybody | CSV `layer,sparsity`, or JSON `[share, ...]` or `{"0": share, ...}` |
"""  # noqa: E501

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from sparsity.errors import CaptureError
from sparsity.models.text import read_text
from sparsity.shapes import shape


@dataclass(frozen=True, slots=True)
class SparsityTable:
    """Sparsities of one thing by layer."""

    what: str
    """What the shares are of, as the source has it: down, gate, up, batch 8, ..."""
    by_layer: tuple[float, ...]
    """Shares from 0 to 1, from the first layer to the last."""

    @property
    def mean(self) -> float:
        """Mean over the layers."""
        return sum(self.by_layer) / len(self.by_layer)


def of_model(name: str) -> SparsityTable:
    """Return the published sparsities of a model in `sparsity.shapes`, one for each layer.

    Raises:
        ShapeError: no such model.
        CaptureError: nothing is published of it.
    """
    model = shape(name)
    if model.sparsity is None:
        raise CaptureError(f"no sparsity is published of {model.name}: record it")
    shares = [model.layer_sparsity(layer) for layer in range(model.layers)]
    return SparsityTable("down", tuple(share for share in shares if share is not None))


def read_tables(path: str | PathLike[str], neurons: int | None = None) -> list[SparsityTable]:
    """Read a file of one of the forms above.

    Args:
        path: `.csv` or `.json`.
        neurons: of a layer; Polar Sparsity's files need it.

    Raises:
        CaptureError: unreadable, of another form, a layer missing, or no share.
    """
    source = Path(path)
    text = read_text(source)
    if source.suffix.lower() == ".json":
        return _json(source, text)
    return _csv(source, text, neurons)


def _json(source: Path, text: str) -> list[SparsityTable]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CaptureError(f"{source} is not JSON: {error}") from None
    if isinstance(found, dict) and found and all(isinstance(v, list) for v in found.values()):
        return [_table(source, key, each, 100) for key, each in found.items()]
    if isinstance(found, dict) and all(key.isdecimal() for key in found):
        by_layer: dict[int, Any] = {}
        for key, share in found.items():
            _enter(source, by_layer, int(key), share)
        found = _by_layer(source, by_layer)
    if isinstance(found, list):
        return [_table(source, "down", found, 1)]
    raise CaptureError(f"{source} has no list of shares by layer: give [0.9, ...] or 0: 0.9, ...")


def _csv(source: Path, text: str, neurons: int | None) -> list[SparsityTable]:
    if neurons is not None and neurons < 1:
        raise CaptureError(f"{neurons} neurons of a layer: give 1 or more")
    try:
        rows = list(csv.DictReader(text.splitlines()))
    except csv.Error as error:
        raise CaptureError(f"{source} is not CSV: {error}") from None
    columns = {name for name in (rows[0] if rows else {}) if name}
    if {"layer", "sparsity"} <= columns:
        shares: dict[int, Any] = {}
        for row in rows:
            _enter(source, shares, _number(source, row["layer"]), row["sparsity"])
        return [_table(source, "down", _by_layer(source, shares), 1)]
    if not {"layer", "optimal_k"} <= columns:
        raise CaptureError(f"{source} has no columns layer and sparsity, or layer and optimal_k")
    if neurons is None:
        raise CaptureError(f"{source} says how many neurons are kept: say of how many")
    batches: dict[str, dict[int, float]] = {}
    for row in rows:
        kept = _number(source, row["optimal_k"])
        of_batch = batches.setdefault(f"batch {row.get('batch_size') or '?'}", {})
        _enter(source, of_batch, _number(source, row["layer"]), 1 - kept / neurons)
    return [_table(source, what, _by_layer(source, each), 1) for what, each in batches.items()]


def _number(source: Path, text: str | None) -> int:
    try:
        return int(text or "")
    except ValueError:
        raise CaptureError(f"{source} has {text!r} where a whole number belongs") from None


def _enter(source: Path, shares: dict[int, Any], layer: int, share: Any) -> None:
    if layer in shares:
        raise CaptureError(f"{source} has layer {layer} twice: give one table in a file")
    shares[layer] = share


def _by_layer(source: Path, shares: dict[int, Any]) -> list[Any]:
    if sorted(shares) != list(range(len(shares))):
        raise CaptureError(f"{source} has layers {sorted(shares)}: give each from 0 on")
    return [shares[layer] for layer in sorted(shares)]


def _table(source: Path, what: str, values: Sequence[Any], whole: float) -> SparsityTable:
    try:
        shares = tuple(float(value) / whole for value in values)
    except (TypeError, ValueError, OverflowError):
        raise CaptureError(f"{source}: {what} has an entry that is no number") from None
    odd = [share * whole for share in shares if not 0 <= share <= 1 or math.isnan(share)]
    if odd or not shares:
        raise CaptureError(
            f"{source}: {what} has {odd[0] if odd else 'nothing'}: give 0 to {whole:g} by layer"
        )
    if whole > 1 and 0 < max(shares) <= 1 / whole:
        raise CaptureError(f"{source}: {what} has no entry above 1: give percent, not shares")
    return SparsityTable(what, shares)

# SPDX-License-Identifier: Apache-2.0
"""`sparsebd permute`: weights with their neurons renumbered, proved equal before they are written.

What is proved is what is written: the permuted tensors are made into files in memory, read back
from there, compared with the weights by `sparsity.permute_proof`, and only then written, all of
them or none.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer
from numpy.typing import NDArray

from bdgen.pack import EFFORTS, Effort
from host import permute_report as reports
from host.errors import UsageError
from host.outputs import check_writable, write_whole
from sparsity.capture import load_use_lite
from sparsity.npy import UNREADABLE, parse_only_array, reason
from sparsity.permute import FIELDS, ORDERS, Ffn, Order, check_order, make_order, permute_rows
from sparsity.permute_proof import Proof, prove
from sparsity.recorded import Recorded, from_capture, read_recorded

MODEL = "use-lite"
"""The model whose W_down and activations are shipped."""
ORDER_FILE = "order.npy"
PROVED_TOKENS = 8
"""Recorded tokens that the FFN is run on, evenly spread over those held out."""


def permute(
    out: Annotated[Path, typer.Option(help="folder for the permuted weights and order.npy")],
    weights: Annotated[
        Path | None, typer.Option(help="W_down as .npy, one row per neuron (uint16 is bfloat16)")
    ] = None,
    gate: Annotated[Path | None, typer.Option(help="W_gate, one row per neuron")] = None,
    up: Annotated[Path | None, typer.Option(help="W_up, one row per neuron")] = None,
    bias_gate: Annotated[Path | None, typer.Option(help="bias behind W_gate")] = None,
    bias_up: Annotated[Path | None, typer.Option(help="bias behind W_up")] = None,
    masks: Annotated[
        Path | None,
        typer.Option(help="recorded masks or activations as .npy, tokens x neurons, or bitmaps"),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="use-lite: its shipped W_down and activations")
    ] = None,
    layer: Annotated[int | None, typer.Option(help="layer of the model; default: 0")] = None,
    order: Annotated[
        str, typer.Option(help="coactivation, frequency, or an order made before, as .npy")
    ] = "coactivation",
    train: Annotated[
        float, typer.Option(help="share of the tokens, from the first on, to make the order from")
    ] = 0.5,
    effort: Annotated[
        str, typer.Option(help="efforts to count BDs with, some of runs,fast,best")
    ] = "fast",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Renumber an FFN's neurons so that those wanted together lie together; same output, proved."""
    paths = {"down": weights, "gate": gate, "up": up, "bias_gate": bias_gate, "bias_up": bias_up}
    given = {name: path for name, path in paths.items() if path is not None}
    efforts = _efforts(effort)
    before, recorded = _inputs(given, masks, model, layer)
    _check_out(
        out, before.tensors.keys(), [*given.values(), *([masks] if masks else []), Path(order)]
    )
    chosen, trained_on, held_out = _order(order, recorded, train)
    files = {name: _npy(permute_rows(each, chosen)) for name, each in before.tensors.items()}
    after = Ffn(**{name: _view(data) for name, data in files.items()})
    proof = prove(before, after, chosen, _proving(held_out))
    report = _report(order, trained_on, held_out, before, chosen, efforts, proof)
    _write(out, {f"{name}.npy": data for name, data in files.items()} | {ORDER_FILE: _npy(chosen)})
    if as_json:
        typer.echo(json.dumps(reports.to_json(report), indent=1))
        return
    typer.echo("\n".join(reports.lines(report)))
    typer.echo(f"wrote {', '.join(f'{name}.npy' for name in files)} and {ORDER_FILE} to {out}")


def _efforts(text: str) -> list[Effort]:
    """Split the efforts; refuse one that there is not."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in EFFORTS]
    if unknown or not names:
        raise UsageError(f"no effort {(unknown or [text])[0]!r}: give some of {','.join(EFFORTS)}")
    return [cast(Effort, name) for name in names]


def _inputs(
    given: Mapping[str, Path], masks: Path | None, model: str | None, layer: int | None
) -> tuple[Ffn, Recorded]:
    """Read weights and masks; what is not given comes from the model."""
    if model not in (None, MODEL):
        raise UsageError(f"no weights of model {model!r} are shipped: give {MODEL}, or --weights")
    if model is None and layer is not None:
        raise UsageError("--layer is of a model: give --model too, or the weights of that layer")
    if model is None and ("down" not in given or masks is None):
        raise UsageError(f"give --weights and --masks, or --model {MODEL}")
    tensors = {name: _read(path) for name, path in given.items()}
    if model is None:
        ffn = Ffn(**tensors)
        return ffn, read_recorded(cast(Path, masks), ffn.neurons)
    capture = load_use_lite()
    shipped = from_capture(capture, layer or 0)
    ffn = Ffn(**{"down": capture.w_down[layer or 0], **tensors})
    recorded = shipped if masks is None else read_recorded(masks, ffn.neurons)
    if recorded.masks.shape[1] != ffn.neurons:
        raise UsageError(
            f"--weights has {ffn.neurons} rows, {MODEL} has {recorded.masks.shape[1]}: "
            "give the --masks of the same model"
        )
    return ffn, recorded


def _read(path: Path) -> NDArray[Any]:
    """Read one tensor."""
    try:
        return parse_only_array(path.read_bytes())
    except UNREADABLE as error:
        raise UsageError(f"{path} cannot be read as a numpy array: {reason(error)}") from error


def _order(name: str, recorded: Recorded, train: float) -> tuple[Order, int, Recorded]:
    """The order, how many tokens it was made from, and the tokens to judge it by."""
    if name not in ORDERS and Path(name).suffix.lower() == ".npy":
        return check_order(_read(Path(name)), recorded.masks.shape[1]), 0, recorded
    seen, held_out = recorded.split(train)
    return make_order(name, seen.masks), len(seen.masks), held_out


def _proving(held_out: Recorded) -> NDArray[Any]:
    """Recorded activations to run, or random ones where only masks were recorded."""
    tokens = np.linspace(0, len(held_out.masks) - 1, PROVED_TOKENS).astype(np.int64)
    tokens = np.unique(tokens)
    if held_out.activations is not None:
        return held_out.activations[tokens]
    masks = held_out.masks[tokens]
    return np.where(masks, np.random.default_rng(2).standard_normal(masks.shape), 0.0)


def _report(
    order: str,
    trained_on: int,
    held_out: Recorded,
    before: Ffn,
    chosen: Order,
    efforts: list[Effort],
    proof: Proof,
) -> reports.Report:
    """Measure the order on tokens that it was not made from."""
    judged = reports.judged(held_out.masks)
    row_bytes = before.down.shape[1] * before.down.itemsize
    return reports.Report(
        order=order,
        tokens_ordered_by=trained_on,
        tokens_left=len(held_out.masks),
        tokens_judged_by=len(judged),
        neurons=before.neurons,
        row_bytes=row_bytes,
        wanted=float(judged.sum(axis=1).mean()),
        changes=tuple(reports.measure(judged, chosen, row_bytes, efforts)),
        proof=proof,
    )


def _npy(array: NDArray[Any]) -> bytes:
    """Return an array as the bytes of a `.npy` file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)
    return file.getvalue()


def _view(data: bytes) -> NDArray[Any]:
    """Return the array in bytes that `_npy` made, without a copy."""
    file = io.BytesIO(data)
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape)


def _check_out(out: Path, tensors: Iterable[str], inputs: Iterable[Path]) -> None:
    """Refuse a folder that cannot be one, where an input is, or where another order's files are."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"cannot write to {out}: it is a file, name a folder")
    if not out.exists() and not out.parent.is_dir():
        raise UsageError(f"cannot make {out}: there is no folder {out.parent}, make it")
    files = [out / f"{name}.npy" for name in tensors] + [out / ORDER_FILE]
    for path in inputs:
        if path.resolve() in [file.resolve() for file in files]:
            raise UsageError(f"{path} would be written over: name another folder with --out")
    for left in (out / f"{name}.npy" for name in FIELDS):
        if left not in files and left.exists():
            raise UsageError(f"{left} would stay and not fit the rest: name another folder")
    if out.exists():
        check_writable(*files)


def _write(out: Path, files: Mapping[str, bytes]) -> None:
    """Write all files or none; a folder made for them goes again if they cannot be written."""
    with _folder(out):
        write_whole({out / name: data for name, data in files.items()})


@contextmanager
def _folder(out: Path) -> Iterator[None]:
    made = not out.exists()
    try:
        out.mkdir(exist_ok=True)
        yield
    except BaseException:
        if made:
            with suppress(OSError):
                out.rmdir()
        raise

# SPDX-License-Identifier: Apache-2.0
"""From gathers to layers to a token: every source's time, by matrix, with what the host adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from pydantic import BaseModel

from host.token.masks import LayerMasks, ModelMasks
from host.token.sources import Known, Source, Step
from host.token.timing import Gatherer, Mask, Time, predictor_us
from sparsity.predictor.few_bits import read_bytes
from sparsity.shapes import ROW_ALIGNMENT_BYTES

Band = tuple[float, ...]
"""Microseconds by profile, in the order of the run."""


class MatrixTime(BaseModel):
    """One matrix's gathers of a token, all layers."""

    matrix: str
    rows: int
    bytes_moved: int
    bds: int
    us: Band


class StepTime(BaseModel):
    """When a step of a layer is where: microseconds after the FFN's input is there, mean layer."""

    known: str
    """What its masks have to wait for."""
    reads: list[str]
    """Matrices whose rows it gathers."""
    known_us: float
    """Its masks are known; 0 if they were before."""
    begin_us: float
    """They are planned and submitted: the first op runs."""
    end_us: float
    """The last row is there."""


class SourceTime(BaseModel):
    """A token by one source of masks."""

    name: str
    exact: bool
    cost: str
    """What it costs the model, where that is known."""
    matrices: list[MatrixTime]
    submissions: int
    npu_us: Band
    """All gathers."""
    submit_us: Band
    """All submissions, before their first op."""
    plan_us: float
    """Scans and plans that a submission waits for, measured on this machine."""
    predict_us: float
    """Predictions, measured on this machine."""
    us: Band
    """All of these."""
    layer_us: list[float]
    """By layer, in the central profile or the one that was run."""
    steps: list[StepTime]
    """In the same profile."""


class Early(BaseModel):
    """What it is worth to know the rows before the first product, per token and in `us`' profile.

    The four add up to the exact source's time less the predictor's.
    """

    predictor: str
    first_rows_us: float
    """Rows of the first matrix that are not read."""
    other_rows_us: float
    """Rows of the others: below zero where the predictor keeps more than are wanted."""
    waiting_us: float
    """Plans and submissions that the gathers no longer wait for."""
    predicting_us: float
    """The predictor itself, so below zero."""


class TokenTime(BaseModel):
    """One model on one machine."""

    model: str
    origin: str
    device: str
    columns: int
    layers: int
    k: int
    row_bytes: int
    gated: bool
    profiles: list[str]
    sources: list[SourceTime]
    early: list[Early]


class _Host:
    """What this machine needs for plans and predictions; each measured once, on one layer."""

    def __init__(self, model: ModelMasks, gatherer: Gatherer) -> None:
        self._gatherer = gatherer
        self._typical = _typical(model)
        self._plans: dict[str, float] = {}
        self._predictors = {
            name: predictor_us(model.k, model.d, bits) for name, bits in model.bits.items()
        }

    def plan_us(self, step: Step) -> float:
        """Plans that a step waits for."""
        return 0.0 if step.known is Known.EARLIER else sum(map(self._plan, sorted(step.masks)))

    def predict_us(self, source: Source) -> float:
        """The predictor of a source, per layer."""
        return self._predictors[source.predictor] if source.predictor else 0.0

    def _plan(self, name: str) -> float:
        if name not in self._plans:
            mask = self._typical.mask(name)
            wanted = mask is not None and bool(mask.any())
            self._plans[name] = self._gatherer.plan_us(mask) if mask is not None and wanted else 0.0
        return self._plans[name]


def _typical(model: ModelMasks) -> LayerMasks:
    """The layer with the median number of active rows."""
    order = sorted(model.layers, key=lambda layer: int(layer.known["active"].sum()))
    return order[len(order) // 2]


def passes(model: ModelMasks) -> int:
    """How often `token_time` calls `advance`."""
    return len(model.sources) * len(model.layers)


def token_time(
    model: ModelMasks,
    gatherer: Gatherer,
    device: str,
    advance: Callable[[], None] = lambda: None,
) -> TokenTime:
    """Simulate every gather of a token by every source."""
    host = _Host(model, gatherer)
    found = [_source(model, source, gatherer, host, advance) for source in model.sources]
    return TokenTime(
        model=model.name,
        origin=model.origin,
        device=device,
        columns=gatherer.columns,
        layers=len(model.layers),
        k=model.k,
        row_bytes=gatherer.row_bytes,
        gated=model.gated,
        profiles=list(gatherer.profiles),
        sources=found,
        early=_early(model, found, shown_profile(gatherer.profiles)),
    )


def shown_profile(names: Sequence[str]) -> int:
    """Return which of a run's profiles stands for all in tables: the central one, or the first."""
    return names.index("central") if "central" in names else 0


def _source(
    model: ModelMasks,
    source: Source,
    gatherer: Gatherer,
    host: _Host,
    advance: Callable[[], None],
) -> SourceTime:
    layers: list[dict[str, list[Time]]] = []
    for layer in model.layers:
        times: dict[str, list[Time]] = {}
        for step in source.steps:
            for gather in step.gathers:
                mask: Mask | None = layer.mask(gather.mask)
                whole = gatherer.row_bytes
                size = _few_bytes(model.d, gather.bits) if gather.bits else whole
                times.setdefault(gather.matrix, []).append(gatherer.of_rows(size).time(mask))
        layers.append(times)
        advance()
    count, steps = len(layers), len(source.steps)
    matrices = [_matrix(name, [times[name] for times in layers]) for name in layers[0]]
    npu = _added([matrix.us for matrix in matrices])
    submit = tuple(each * steps * count for each in gatherer.submit_us)
    plan = sum(host.plan_us(step) for step in source.steps) * count
    predict = host.predict_us(source) * count
    place = shown_profile(gatherer.profiles)
    outside = gatherer.submit_us[place] * steps + (plan + predict) / count
    timeline = _timeline(source, layers, gatherer.submit_us[place], host, place)
    return SourceTime(
        name=source.name,
        exact=source.exact,
        cost=model.cost.get(source.name, ""),
        matrices=matrices,
        submissions=steps * count,
        npu_us=npu,
        submit_us=submit,
        plan_us=plan,
        predict_us=predict,
        us=tuple(n + s + plan + predict for n, s in zip(npu, submit, strict=True)),
        layer_us=[
            outside + sum(time.us[place] for part in times.values() for time in part)
            for times in layers
        ],
        steps=timeline,
    )


def _few_bytes(d: int, bits: int) -> int:
    """Bytes of a row at a few bits a weight, with its scale, as long as a BD can move it."""
    return -(-read_bytes(1, d, bits) // ROW_ALIGNMENT_BYTES) * ROW_ALIGNMENT_BYTES


def _timeline(
    source: Source,
    layers: list[dict[str, list[Time]]],
    submit_us: float,
    host: _Host,
    place: int,
) -> list[StepTime]:
    """Steps of a layer, one after the other, with the mean times of its gathers."""
    found: list[StepTime] = []
    done: dict[str, int] = {}
    now = 0.0
    for step in source.steps:
        known = now + (host.predict_us(source) if step.known is Known.INPUT else 0.0)
        begin = known + host.plan_us(step) + submit_us
        now = begin
        for gather in step.gathers:
            number = done.get(gather.matrix, 0)
            done[gather.matrix] = number + 1
            now += float(np.mean([times[gather.matrix][number].us[place] for times in layers]))
        found.append(
            StepTime(
                known=step.known.value,
                reads=list(dict.fromkeys(gather.matrix for gather in step.gathers)),
                known_us=known,
                begin_us=begin,
                end_us=now,
            )
        )
    return found


def _matrix(name: str, layers: list[list[Time]]) -> MatrixTime:
    times = [time for layer in layers for time in layer]
    return MatrixTime(
        matrix=name,
        rows=sum(time.rows for time in times),
        bytes_moved=sum(time.bytes_moved for time in times),
        bds=sum(time.bds for time in times),
        us=_added([time.us for time in times]),
    )


def _added(bands: list[Band]) -> Band:
    return tuple(float(value) for value in np.sum(bands, axis=0))


def _early(model: ModelMasks, found: list[SourceTime], place: int) -> list[Early]:
    """Every predictor against the source that reads all of the first matrix."""
    by_name = {each.name: each for each in found}
    base = next((each for each in found if each.name == "exact"), None)
    if base is None:
        return []
    return [_compared(name, base, by_name[name], place) for name in model.bits if name in by_name]


def _compared(name: str, base: SourceTime, other: SourceTime, place: int) -> Early:
    first, *rest = (
        one.us[place] - two.us[place]
        for one, two in zip(base.matrices, other.matrices, strict=True)
    )
    waiting = base.submit_us[place] + base.plan_us - other.submit_us[place] - other.plan_us
    return Early(
        predictor=name,
        first_rows_us=first,
        other_rows_us=sum(rest),
        waiting_us=waiting,
        predicting_us=-other.predict_us,
    )

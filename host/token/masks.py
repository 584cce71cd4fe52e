# SPDX-License-Identifier: Apache-2.0
"""Masks of every layer of a model for one token, by name: real where a model runs, else drawn.

Models that run give the masks of one token of text, and what a source costs them. Of models known
by their published sparsity the active rows are drawn, row by row, and so is what a predictor makes
of them: at the rates that it has on a made-up layer of that width and sparsity whose rows differ as
much as the paper's precision asks for (`sparsity.predictor.made_up`, tau 8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from host.errors import UsageError
from host.token import sources
from host.token.sources import Source
from sparsity import masks as made_up_masks
from sparsity.models.catalogue import Opened
from sparsity.models.interface import Matrix
from sparsity.predictor.calibrate import calibrate
from sparsity.predictor.layers import FfnLayer
from sparsity.predictor.made_up import make_layer
from sparsity.predictor.predict import SignPredictor
from sparsity.predictor.quality import Quality, judge
from sparsity.predictor.signs import pack_signs
from sparsity.shapes import ModelShape
from sparsity.thresholds.foretold import Estimated, Predicted
from sparsity.thresholds.methods import Cats, PerLayer
from sparsity.thresholds.rule import Rule
from sparsity.thresholds.trade_off import PERPLEXITY, Steps, rise_said, trade_off

SIGNS, FOUR_BITS = "signs", "signs x 4 bits"
MISSED = 0.02
"""Share of active rows that the second predictor is calibrated to miss."""
TAU = 8.0
"""At 92 % sparsity it gives the precision of over 99 % that SparseInfer's Fig. 3 shows."""
NEURONS, TOKENS, GRID = 1024, 16, 5
"""Of a made-up layer, and how many sparsities are tried between the least and the largest."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LayerMasks:
    """One layer's masks, [k] each, true where a row is wanted."""

    known: Mapping[str, Mask]
    cost: Mapping[str, str] = field(default_factory=dict)
    """By source: what it costs this layer, where that is known."""
    origin: str = ""
    """Where the masks come from, where it is not said of all layers alike."""

    def mask(self, name: str) -> Mask | None:
        """Return a mask by its name in a source; None for all rows."""
        if name == sources.ALL:
            return None
        for sign in (" & ", " - "):
            one, found, other = name.partition(sign)
            if found:
                second = self.known[other]
                return self.known[one] & (second if sign == " & " else ~second)
        return self.known[name]


@dataclass(frozen=True, slots=True)
class ModelMasks:
    """What a token needs of a model."""

    name: str
    k: int
    d: int
    """Elements of a row."""
    gated: bool
    layers: tuple[LayerMasks, ...]
    sources: tuple[Source, ...]
    origin: str
    """Where the masks come from, in a sentence."""
    bits: Mapping[str, int] = field(default_factory=dict)
    """Bits of the activations that each predictor takes."""
    cost: Mapping[str, str] = field(default_factory=dict)
    """By source: what it costs the model, where one runs."""


def one_layer(model: ModelMasks, number: int) -> ModelMasks:
    """Return the model with one of its layers, and what is known of that one."""
    layer = model.layers[number]
    return replace(
        model,
        layers=(layer,),
        cost=layer.cost or model.cost,
        origin=layer.origin or model.origin,
    )


def published(shape: ModelShape, sparsity: float | None, seed: int) -> ModelMasks:
    """Draw the masks of a model that is known by its published sparsity.

    Args:
        shape: of the table of models.
        sparsity: of every layer; None as published.
        seed: of all draws.

    Raises:
        UsageError: nothing is published and no sparsity given.
    """
    wanted = [
        shape.layer_sparsity(layer) if sparsity is None else sparsity
        for layer in range(shape.layers)
    ]
    if None in wanted:
        raise UsageError(f"no sparsity of {shape.name} is published: give --sparsity")
    shares = np.array(wanted, np.float64)
    rates = {name: _rates(shape.d, shares, bits, seed) for name, bits in _PREDICTORS.items()}
    source = "as given" if sparsity is not None or shape.sparsity is None else shape.sparsity.source
    origin = f"sparsity ({source}); predictors at the rates of a made-up layer"
    random = np.random.default_rng(seed)
    layers = []
    for layer, share in enumerate(shares):
        active = made_up_masks.bernoulli(shape.k, float(share), seed + layer)
        known = {"active": active}
        for name, (missed, found) in rates.items():
            draw = random.random(shape.k)
            known[name] = np.where(active, draw >= missed[layer], draw >= found[layer])
        layers.append(LayerMasks(known, _missed([known]), f"rows drawn at {share:.1%} {origin}"))
    return ModelMasks(
        name=shape.name,
        k=shape.k,
        d=shape.d,
        gated=shape.gated,
        layers=tuple(layers),
        sources=tuple(sources.for_relu(shape.gated, list(_PREDICTORS), last=False)),
        origin=f"rows drawn at {shares.mean():.1%} {origin}",
        bits=_PREDICTORS,
        cost=_missed([layer.known for layer in layers]),
    )


_PREDICTORS = {SIGNS: 1, FOUR_BITS: 4}


def drawn(shape: ModelShape, sparsity: float, seed: int) -> ModelMasks:
    """Draw the masks of a model whose small activations would be zeroed, at the same share by all.

    Args:
        shape: of a model without a ReLU.
        sparsity: of every layer and every rule.
        seed: of all draws.
    """
    names = "active", "gate", sources.ESTIMATED
    layers: list[dict[str, Mask]] = [
        dict.fromkeys(names, made_up_masks.bernoulli(shape.k, sparsity, seed + layer))
        for layer in range(shape.layers)
    ]
    origin = f"rows drawn at {sparsity:.1%} sparsity; what that costs this model is not known"
    return ModelMasks(
        name=shape.name,
        k=shape.k,
        d=shape.d,
        gated=shape.gated,
        layers=tuple(LayerMasks(known, {}, origin) for known in layers),
        sources=tuple(sources.for_thresholds(shape.gated, [], False, Estimated.BITS)),
        origin=origin,
    )


def _rates(
    d: int, shares: NDArray[np.float64], bits: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of active rows missed, and of zeros found, at every sparsity."""
    low, high = (float(np.clip(edge, 1e-3, 1 - 1e-3)) for edge in (shares.min(), shares.max()))
    grid = np.unique(np.linspace(low, high, GRID))
    tried = []
    for share in grid:
        layer = make_layer(d, NEURONS, TOKENS, float(share), TAU, seed)
        tried.append(_judged(layer, _predictor(layer, bits), slice(None)))
    missed = np.interp(shares, grid, [each.missed for each in tried])
    found = np.interp(shares, grid, [each.recall for each in tried])
    return missed, found


def _predictor(layer: FfnLayer, bits: int) -> SignPredictor:
    """SparseInfer's at alpha 1; more bits are calibrated to what may be missed."""
    signs = pack_signs(layer.first)
    if bits == 1:
        return SignPredictor(signs)
    alpha = calibrate(signs, layer.x, layer.activations() != 0, MISSED, bits).alpha
    return SignPredictor(signs, alpha, bits)


def _judged(layer: FfnLayer, predictor: SignPredictor, tokens: slice) -> Quality:
    part = layer.part(tokens)
    skip = np.array([predictor(x) for x in part.x])
    return judge(skip, part.activations(), part.down)


def relu(name: str, layers: Sequence[FfnLayer], origin: str, token: int | None) -> ModelMasks:
    """Take the masks of a model with a ReLU, of one token that really went through it.

    Predictors are calibrated on the first half of the tokens and judged by the second.

    Args:
        name: of the model.
        layers: weights and inputs.
        origin: where both come from.
        token: of the second half, counted from 0; None for its last.

    Raises:
        UsageError: no such token.
    """
    count = len(layers[0].x)
    half = count // 2
    if half < 1:
        raise UsageError(f"{name} ran over {count} tokens: calibrating and judging take 2")
    place = count - 1 if token is None else half + token
    if not half <= place < count:
        raise UsageError(f"--token: {name} has tokens 0 to {count - half - 1}, not {token}")
    found, errors = [], {name: [] for name in _PREDICTORS}
    for layer in layers:
        masks: dict[str, Mask] = {}
        pair = layer.part(slice(place - 1, place + 1)).activations() != 0
        masks["last"], masks["active"] = pair
        for kind, bits in _PREDICTORS.items():
            predictor = _predictor(layer.part(slice(0, half)), bits)
            masks[kind] = ~predictor(layer.x[place])
            errors[kind].append(_judged(layer, predictor, slice(half, None)))
        cost = _errors({kind: qualities[-1:] for kind, qualities in errors.items()})
        found.append(LayerMasks(masks, cost))
    gated = layers[0].up is not None
    return ModelMasks(
        name=name,
        k=len(layers[0].first),
        d=layers[0].first.shape[1],
        gated=gated,
        layers=tuple(found),
        sources=tuple(sources.for_relu(gated, list(_PREDICTORS), last=True)),
        origin=origin,
        bits=_PREDICTORS,
        cost=_errors(errors),
    )


def thresholded(opened: Opened, sparsity: float, judge_tokens: int) -> ModelMasks:
    """Take the masks of a model without a ReLU, its small activations zeroed.

    Rules are fitted on one part of the default text; the token is the last of the other part.

    Args:
        opened: the model.
        sparsity: of every rule.
        judge_tokens: text that the model's loss is measured on.
    """
    model = opened.model
    windows = opened.windows(3 * opened.window, judge_tokens)
    rules: dict[str, Rule] = {"active": PerLayer(sparsity), SIGNS_4: Predicted(sparsity)}
    if model.gated:
        rules |= {"gate": Cats(sparsity), sources.ESTIMATED: Estimated(sparsity)}
    judged = trade_off(model, windows.fit, windows.judge, list(rules.values()), [sparsity])
    steps = Steps(model)
    layers: list[LayerMasks] = []

    def hook(layer: int, x: Matrix, gate: Matrix | None, up: Matrix, a: Matrix) -> None:
        step = steps.step(layer, x[-2:], None if gate is None else gate[-2:], a[-2:])
        masks = {name: ~rule.zeroed(step)[1] for name, rule in rules.items()}
        masks["last"] = ~rules["active"].zeroed(step)[0]
        layers.append(LayerMasks(masks))

    model.run(windows.judge[-1], hook)
    weights = model.weights(0)
    rises = {point.rule: point.rise for point in judged.points}
    kind = "perplexity" if judged.measure == PERPLEXITY else "output error"
    said = {mask: f"{kind} {rise_said(rises[rule.title])}" for mask, rule in rules.items()}
    return ModelMasks(
        name=model.name,
        k=model.k,
        d=weights.up.shape[1],
        gated=model.gated,
        layers=tuple(layers),
        sources=tuple(sources.for_thresholds(model.gated, [SIGNS_4], True, Estimated.BITS)),
        origin=f"one token of text; {sparsity:.0%} zeroed by rules fitted on other text",
        bits={SIGNS_4: Predicted.BITS},
        cost={
            "threshold on a": said["active"],
            "last token's, ahead": said["active"],
            "threshold on gate": said.get("gate", ""),
            sources.estimated(model.gated, Estimated.BITS).name: said.get(sources.ESTIMATED, ""),
            SIGNS_4: said[SIGNS_4],
        },
    )


SIGNS_4 = "lowest by signs"
"""The predictor of a model without a ReLU: a share of rows, the lowest products as foretold."""


def _missed(layers: Sequence[Mapping[str, Mask]]) -> dict[str, str]:
    """Share of active rows that each predictor misses, over some layers."""
    said = {}
    for name in _PREDICTORS:
        active = sum(int(known["active"].sum()) for known in layers)
        missed = sum(int((known["active"] & ~known[name]).sum()) for known in layers)
        said |= _twice(name, f"{missed / active:.1%} missed" if active else "")
    return said


def _errors(found: Mapping[str, Sequence[Quality]]) -> dict[str, str]:
    said = {}
    for name, qualities in found.items():
        missed = np.mean([each.missed for each in qualities])
        error = np.mean([each.output_error or 0.0 for each in qualities])
        said |= _twice(name, f"{missed:.1%} missed, FFN output off by {error:.1%}")
    return said


def _twice(predictor: str, text: str) -> dict[str, str]:
    return {predictor: text, f"{predictor} +AS": text}

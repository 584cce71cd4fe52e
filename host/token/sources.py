# SPDX-License-Identifier: Apache-2.0
"""Ways of knowing which rows are wanted: what each reads, in which order, and what it waits for.

An FFN is two products or three, each with a matrix of one row per neuron: gate and up and down, or
up and down. Which rows are wanted is known at some point: a token before, when the FFN's input is
there, after the first product, or before the last. What comes earlier reads all rows. Whenever a
mask becomes known the host plans its gathers and submits them: that is where a *step* begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

GATED: tuple[str, ...] = ("gate", "up", "down")
PLAIN: tuple[str, ...] = ("up", "down")

ALL = ""
"""Name of the mask of all rows, whose stream is made once and kept."""
ESTIMATED = "estimated"
"""Name of the mask of rows that a few bits of the weights foretell."""
FEW_BITS = "few bits"
"""Those bits of gate and up, as if they were a matrix."""


class Known(Enum):
    """What has to be there before a step's masks can be made."""

    EARLIER = "before the token"
    INPUT = "with the FFN's input"
    PRODUCT = "after a product"


@dataclass(frozen=True, slots=True)
class Gather:
    """Rows of one matrix."""

    matrix: str
    mask: str
    """Name of a mask of the layer, or `ALL`."""
    bits: int = 0
    """Of each weight, where rows are not read whole."""


@dataclass(frozen=True, slots=True)
class Step:
    """Gathers that are submitted together."""

    known: Known
    gathers: tuple[Gather, ...]

    @property
    def masks(self) -> set[str]:
        """Masks that are planned for this step; all rows need no plan."""
        return {gather.mask for gather in self.gathers} - {ALL}


@dataclass(frozen=True, slots=True)
class Source:
    """One way of knowing."""

    name: str
    steps: tuple[Step, ...]
    predictor: str = ""
    """Name of the predictor that has to run first."""
    exact: bool = True
    """Whether the FFN's output is that of the exact masks."""


def matrices(gated: bool) -> tuple[str, ...]:
    """Matrices of an FFN in the order of its products."""
    return GATED if gated else PLAIN


def dense(gated: bool) -> Source:
    """All rows of all matrices."""
    return Source("dense", (_step(Known.EARLIER, matrices(gated), ALL),))


def after_first(
    gated: bool, name: str = "exact", mask: str = "active", exact: bool = True
) -> Source:
    """All rows of the first matrix; its product tells the rows of the others."""
    first, *rest = matrices(gated)
    steps = _step(Known.EARLIER, [first], ALL), _step(Known.PRODUCT, rest, mask)
    return Source(name, steps, exact=exact)


def before_last(gated: bool, name: str, mask: str, exact: bool = True) -> Source:
    """All rows but the down projection's, whose input tells which of its rows are wanted."""
    *first, last = matrices(gated)
    steps = _step(Known.EARLIER, first, ALL), _step(Known.PRODUCT, [last], mask)
    return Source(name, steps, exact=exact)


def predicted(gated: bool, predictor: str) -> Source:
    """Rows of all matrices as a predictor has them, before any product (SparseInfer)."""
    step = _step(Known.INPUT, matrices(gated), predictor)
    return Source(predictor, (step,), predictor, exact=False)


def predicted_actual(gated: bool, predictor: str) -> Source:
    """As `predicted`, and what the first product shows to be zero is left out then (+AS)."""
    first, *rest = matrices(gated)
    steps = (
        _step(Known.INPUT, [first], predictor),
        _step(Known.PRODUCT, rest, both(predictor, "active")),
    )
    return Source(f"{predictor} +AS", steps, predictor, exact=False)


def prefetched(gated: bool, late: bool) -> Source:
    """Rows of the last token, ahead; what the product shows to be missing comes after it.

    Args:
        gated: whether there is a gate.
        late: whether the mask is known only before the last product, else after the first.
    """
    names = matrices(gated)
    cut = len(names) - 1 if late else 1
    ahead = _step(Known.EARLIER, names[cut:], "last")
    begin = Step(Known.EARLIER, _step(Known.EARLIER, names[:cut], ALL).gathers + ahead.gathers)
    return Source(
        "last token's, ahead", (begin, _step(Known.PRODUCT, names[cut:], without("active", "last")))
    )


def estimated(gated: bool, bits: int) -> Source:
    """A few bits of all weights before the down projection; they tell the rows of all matrices."""
    names = matrices(gated)
    copies = tuple(Gather(FEW_BITS, ALL, bits) for _ in names[:-1])
    steps = Step(Known.EARLIER, copies), _step(Known.PRODUCT, names, ESTIMATED)
    return Source(f"estimated from {bits} bits", steps, exact=False)


def oracle(gated: bool) -> Source:
    """The wanted rows of all matrices, known for nothing: what a predictor can reach at best."""
    return Source("oracle", (_step(Known.EARLIER, matrices(gated), "active"),))


def both(one: str, other: str) -> str:
    """Name of the mask of rows that two masks have."""
    return f"{one} & {other}"


def without(one: str, other: str) -> str:
    """Name of the mask of rows that one mask has and the other has not."""
    return f"{one} - {other}"


def for_relu(gated: bool, predictors: Sequence[str], last: bool) -> list[Source]:
    """Sources of a model whose activations are zero by themselves."""
    found = [dense(gated), after_first(gated)]
    if last:
        found.append(prefetched(gated, late=False))
    for predictor in predictors:
        found += [predicted(gated, predictor), predicted_actual(gated, predictor)]
    return [*found, oracle(gated)]


def for_thresholds(
    gated: bool, predictors: Sequence[str], last: bool, bits: int = 0
) -> list[Source]:
    """Sources of a model whose small activations are zeroed: none is exact but dense.

    Args:
        gated: whether there is a gate.
        predictors: names of those that know the rows with the FFN's input.
        last: whether there is a token before this one.
        bits: of the weights that `estimated` goes by; 0 leaves it out.
    """
    found = [dense(gated), before_last(gated, "threshold on a", "active", exact=False)]
    if last:
        found.append(prefetched(gated, late=True))
    if gated:
        found.append(after_first(gated, "threshold on gate", "gate", exact=False))
        found += [estimated(gated, bits)] if bits else []
    return [*found, *(predicted(gated, predictor) for predictor in predictors)]


def _step(known: Known, names: Sequence[str], mask: str) -> Step:
    return Step(known, tuple(Gather(name, mask) for name in names))

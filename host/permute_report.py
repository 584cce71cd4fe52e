# SPDX-License-Identifier: Apache-2.0
"""What a permutation gains on tokens that it was not made from: runs and BDs, before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdgen import bitmap, runs
from bdgen.pack import Effort, pack
from bdgen.target import WORD_BYTES
from sparsity.permute import Order
from sparsity.permute_proof import Proof

JUDGED = 1024
"""Most tokens that are measured, evenly spread over those held out."""
NOISE = 3.0
"""Standard errors of the mean by which a change must differ from 0 to be called one."""

Masks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Change:
    """Something per token, before and after the permutation."""

    what: str
    """"runs", or "BDs, " and the effort that packed them."""
    before: float
    after: float
    error: float | None
    """Standard error of the difference, token by token; a single token has none."""

    @property
    def share(self) -> float:
        """The difference as a share of what was there before; 0 where there was nothing."""
        return self.after / self.before - 1 if self.before else 0.0

    @property
    def is_real(self) -> bool:
        """Whether the difference is more than chance."""
        return self.error is not None and abs(self.after - self.before) > NOISE * self.error


@dataclass(frozen=True, slots=True)
class Report:
    """What was done, what was proved and what it gains."""

    order: str
    tokens_ordered_by: int
    """Tokens that the order was made from; 0 where it came from a file."""
    tokens_left: int
    """The other tokens."""
    tokens_judged_by: int
    """How many of them were measured."""
    neurons: int
    row_bytes: int
    wanted: float
    """Rows wanted per judged token."""
    changes: tuple[Change, ...]
    proof: Proof


def judged(masks: Masks) -> Masks:
    """Return at most `JUDGED` tokens, evenly spread."""
    return masks[np.linspace(0, len(masks) - 1, min(len(masks), JUDGED)).astype(np.int64)]


def measure(
    masks: Masks, order: Order, row_bytes: int, efforts: Sequence[Effort]
) -> Iterator[Change]:
    """Yield runs, and BDs at each effort, of masks as they are and permuted.

    Args:
        masks: bool [tokens, neurons].
        order: old neuron by new place.
        row_bytes: bytes of a row of W_down.
        efforts: of `bdgen.pack`; none is measured where rows are no whole number of words.
    """
    bitmaps = [[bitmap.pack(mask) for mask in each] for each in (masks, masks[:, order])]
    rows = masks.shape[1]
    yield _change("runs", *([len(runs.runs(bits, rows)[0]) for bits in side] for side in bitmaps))
    for effort in efforts if row_bytes % WORD_BYTES == 0 else ():
        counts = (
            [len(pack(bits, rows, row_bytes, effort=effort)) for bits in side] for side in bitmaps
        )
        yield _change(f"BDs, {effort}", *counts)


def _change(what: str, before: list[int], after: list[int]) -> Change:
    apart = np.subtract(after, before)
    error = float(apart.std(ddof=1) / np.sqrt(len(apart))) if len(apart) > 1 else None
    return Change(what, float(np.mean(before)), float(np.mean(after)), error)


def lines(report: Report) -> Iterator[str]:
    """Yield the report as lines for a person."""
    seen = report.tokens_ordered_by
    yield f"order: {report.order}, " + (
        f"made from the first {seen} tokens" if seen else "as given"
    )
    cut = report.tokens_judged_by < report.tokens_left
    yield (
        f"judged by {report.tokens_judged_by}{f' of {report.tokens_left}' if cut else ''}"
        f"{' other' if seen else ''} tokens: {report.wanted:.1f} of {report.neurons} rows wanted, "
        f"{100 * (1 - report.wanted / report.neurons):.1f} % sparse"
    )
    yield f"{'per token':<12}{'before':>10}{'after':>10}{'change':>10}{'rows each':>16}"
    yield from (_line(change, report.wanted) for change in report.changes)
    if len(report.changes) == 1:
        yield f"BDs are not counted: rows of {report.row_bytes} bytes are no whole number of words"
    yield _verdict(report.changes[0], "not seen" if seen else "perhaps seen")
    yield from _proof_lines(report.proof)


def _line(change: Change, wanted: float) -> str:
    each = [wanted / count if count else 0.0 for count in (change.before, change.after)]
    return (
        f"{change.what:<12}{change.before:>10.1f}{change.after:>10.1f}"
        f"{100 * change.share:>+8.1f} %{each[0]:>8.2f} ->{each[1]:>5.2f}"
    )


def _verdict(change: Change, seen: str) -> str:
    if not change.is_real:
        return "nothing gained: these masks do not cluster, the change is within what chance makes"
    if change.after > change.before:
        return "nothing gained: there are more runs than before"
    return f"{-100 * change.share:.1f} % fewer runs on tokens that the order has {seen}"


def _proof_lines(proof: Proof) -> Iterator[str]:
    rows = ", ".join(f"{name} {count}" for name, count in proof.tensors.items())
    yield f"proof: rows equal byte for byte: {rows}"
    if proof.hidden:
        yield f"       hidden values equal bit for bit: {proof.hidden}"
    yield (
        f"       products equal bit for bit: {proof.products}, and so is the output of "
        f"{proof.vectors} vectors when added in the old order"
    )
    yield (
        f"       added in the new order, it is off by at most {proof.deviation:.1e} of the sum of "
        f"magnitudes, {100 * proof.bound_used:.1f} % of what rounding could make"
    )


def to_json(report: Report) -> dict[str, Any]:
    """Return the report, ready for JSON."""
    changes = [
        asdict(change) | {"share": change.share, "is_real": change.is_real}
        for change in report.changes
    ]
    return asdict(report) | {"changes": changes}

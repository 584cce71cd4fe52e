# SPDX-License-Identifier: Apache-2.0
"""One stated figure of a seed beside ours, and when the two count as the same.

A seed's number is kept as it is printed, for its digits say how exact it is: ours is the same when
it lies within half a unit of the last printed digit. Bounds ("more than 90 %") are the same when
they hold. Everything else needs a sentence.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from sparsity.errors import SparsityError

Value = int | float | str | None


class Kind(StrEnum):
    """Where our value comes from."""

    COMPUTED = "computed"
    MEASURED = "measured"
    ELSEWHERE = "not reproducible here"


class Verdict(StrEnum):
    """How ours stands to the seed's."""

    SAME = "same"
    DIFFERS = "differs"
    CLOSEST = "closest thing"
    """Ours is not what the seed measured, but the nearest that can be had here."""
    BESIDE = "beside"
    """Not stated by the seed; worked out from what it states."""
    MISSING = "not measured yet"


@dataclass(frozen=True, slots=True)
class SeedFigure:
    """One entry of the list.

    Raises:
        SparsityError: a verdict that needs a sentence and has none, or a value that is missing.
    """

    seed: int
    """0: slides on sparse row loads; 1: slides on general models; 2: SparseInfer paper."""
    table: str
    """Where in the seed: a table, figure, section or slide."""
    what: str
    printed: str
    """The seed's value, as printed."""
    value: float | None
    """The seed's value as a number in `unit`; None where it is words or several numbers."""
    ours: Value
    unit: str
    kind: Kind
    verdict: Verdict
    sentence: str = ""
    """Why they differ, or what ours is; empty only where both are the same."""

    def __post_init__(self) -> None:
        if self.verdict is not Verdict.SAME and not self.sentence:
            raise SparsityError(f"{self.what}: {self.verdict} needs a sentence that says why")
        if self.ours is None and self.verdict in (Verdict.SAME, Verdict.DIFFERS, Verdict.BESIDE):
            raise SparsityError(f"{self.what}: {self.verdict}, but there is no value of ours")
        if self.kind is Kind.ELSEWHERE and self.verdict is not Verdict.CLOSEST:
            raise SparsityError(
                f"{self.what}: what is not reproducible has at most a closest thing"
            )

    @property
    def ratio(self) -> float | None:
        """Ours over the seed's, where both are numbers and the seed's is not zero."""
        if not isinstance(self.ours, int | float) or not self.value:
            return None
        return self.ours / self.value


_NUMBER = re.compile(r"-?\d[\d,]*(?:\.(\d+))?(?:e([+-]?\d+))?")


def resolution(printed: str) -> tuple[float, float]:
    """Return the first number in a text and one unit of its last digit: "2.211e6" is +- 1e3.

    Raises:
        SparsityError: no number.
    """
    found = _NUMBER.search(printed)
    if found is None:
        raise SparsityError(f"{printed!r} holds no number: give the seed's value as printed")
    decimals, exponent = len(found[1] or ""), int(found[2] or 0)
    return float(found[0].replace(",", "")), 10.0 ** (exponent - decimals)


def rounds_to(ours: float, printed: str) -> bool:
    """Whether ours lies within half a unit of the last printed digit, which includes both ends."""
    value, unit = resolution(printed)
    return abs(ours - value) <= unit / 2 * (1 + 1e-9)


def truncates_to(ours: float, printed: str) -> bool:
    """Whether a positive value gives what is printed if digits are cut off and not rounded."""
    value, unit = resolution(printed)
    return value <= ours < value + unit


@dataclass(frozen=True, slots=True)
class Table:
    """A part of a seed; its methods make the entries that belong to it."""

    seed: int
    name: str

    def number(
        self,
        what: str,
        printed: str,
        ours: float | None,
        unit: str = "",
        sentence: str = "",
        kind: Kind = Kind.COMPUTED,
        bound: int = 0,
    ) -> SeedFigure:
        """Compare a number; the verdict follows.

        Args:
            what: what it is.
            printed: the seed's.
            ours: ours, in the same unit; None if not measured yet, for which `sentence` says how.
            unit: of both.
            sentence: needed where they differ; kept if they agree.
            kind: where ours comes from.
            bound: 1 where the seed says "at least" or "over", -1 for "at most", 0 for the value.
        """
        value, _ = resolution(printed)
        if ours is None:
            verdict = Verdict.MISSING
        else:
            inside = rounds_to(ours, printed) if not bound else (ours - value) * bound >= 0
            verdict = Verdict.SAME if inside else Verdict.DIFFERS
        return SeedFigure(
            self.seed, self.name, what, printed, value, ours, unit, kind, verdict, sentence
        )

    def statement(
        self,
        what: str,
        said: str,
        ours: Value,
        holds: bool,
        sentence: str,
        unit: str = "",
        kind: Kind = Kind.COMPUTED,
    ) -> SeedFigure:
        """Check something the seed says in words; `ours` is the figure that `holds` was taken from.

        Where ours is None, it has not been measured yet.
        """
        verdict = Verdict.SAME if holds else Verdict.DIFFERS
        if ours is None:
            verdict = Verdict.MISSING
        return SeedFigure(
            self.seed, self.name, what, said, None, ours, unit, kind, verdict, sentence
        )

    def beside(
        self, what: str, ours: Value, unit: str, sentence: str, kind: Kind = Kind.COMPUTED
    ) -> SeedFigure:
        """Add what the seed does not state but what follows from it."""
        return SeedFigure(
            self.seed, self.name, what, "", None, ours, unit, kind, Verdict.BESIDE, sentence
        )

    def beside_if(self, what: str, ours: Value, unit: str, sentence: str) -> SeedFigure:
        """As `beside`, for something measured that may not have been measured yet."""
        if ours is not None:
            return self.beside(what, ours, unit, sentence, Kind.MEASURED)
        return SeedFigure(
            self.seed,
            self.name,
            what,
            "",
            None,
            None,
            unit,
            Kind.MEASURED,
            Verdict.MISSING,
            sentence,
        )

    def closest(
        self,
        what: str,
        printed: str,
        ours: Value,
        unit: str,
        sentence: str,
        like: bool = False,
        kind: Kind = Kind.ELSEWHERE,
    ) -> SeedFigure:
        """List what cannot be reproduced here, with the nearest value, if there is one.

        Args:
            what: what it is.
            printed: the seed's.
            ours: the nearest thing, or None; of what is measured here, None if nobody has yet.
            unit: of ours.
            sentence: what ours is, and why it is not the seed's.
            like: whether ours is a quantity of the seed's kind, so that a ratio means something.
            kind: MEASURED where ours is a measurement of what the seed measured, elsewhere.
        """
        missing = kind is Kind.MEASURED and ours is None
        value = resolution(printed)[0] if like else None
        return SeedFigure(
            self.seed,
            self.name,
            what,
            printed,
            value,
            ours,
            unit,
            kind,
            Verdict.MISSING if missing else Verdict.CLOSEST,
            sentence,
        )

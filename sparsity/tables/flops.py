# SPDX-License-Identifier: Apache-2.0
"""The FLOPs column of ReLU Strikes Back's table, from shapes: what each row seems to have counted.

The column says FLOPS (G); its numbers are multiplications of one token. The slide gives zeros in
the inputs of three groups of projections. Which products they save is not said, nor whether the
head counts, so every way is tried on every row.
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from sparsity.tables.architecture import Architecture, architecture
from sparsity.tables.figure import resolution, rounds_to


class Skip(StrEnum):
    """Which products zeros save."""

    OWN = "each projection saves by its own input's zeros"
    UP_TOO = "zeros of the down projection's input save the up projection's rows too"
    ALL = "zeros of the down projection's input save up and gate rows too"


@dataclass(frozen=True, slots=True)
class StrikesBackRow:
    """One row of the table."""

    name: str
    model: str
    """The shape it is counted on."""
    qkv: float
    """Zeros in the input of the query, key and value projections."""
    up: float
    """Zeros in the input of the up projection and, where there is one, of the gate's."""
    down: float
    printed: str
    """Its FLOPS (G)."""
    accuracy: str
    """Its mean zero-shot accuracy, percent."""

    @property
    def relufied(self) -> bool:
        """Whether its activations were changed and it was trained on."""
        return "relufied" in self.name


STRIKES_BACK: tuple[StrikesBackRow, ...] = (
    StrikesBackRow("Llama 7B", "ReluLLaMA-7B", 0, 0, 0, "6.6", "68.4"),
    StrikesBackRow("Llama 7B (relufied-s1)", "ReluLLaMA-7B", 0, 0, 0.62, "4.8", "67.1"),
    StrikesBackRow("Llama 7B (relufied-s2)", "ReluLLaMA-7B", 0.51, 0.67, 0.65, "2.9", "66.4"),
    StrikesBackRow("Falcon 7B", "Falcon-7B", 0, 0.01, 0, "6.6", "66.8"),
    StrikesBackRow("Falcon 7B (relufied-s1)", "Falcon-7B", 0, 0, 0.94, "4.1", "65.2"),
    StrikesBackRow("Falcon 7B (relufied-s2)", "Falcon-7B", 0.56, 0.56, 0.95, "2.2", "64.8"),
    StrikesBackRow("OPT 6.7B", "OPT-6.7B", 0, 0, 0.97, "4.5", "59.8"),
    StrikesBackRow("OPT 6.7B (relufied-s2)", "OPT-6.7B", 0.50, 0.40, 0.97, "2.8", "58.6"),
)


def accuracy_lost(row: StrikesBackRow) -> float:
    """Return the points of accuracy that a row of the table loses to its model's first row."""
    first = next(each for each in STRIKES_BACK if each.model == row.model)
    return round(float(first.accuracy) - float(row.accuracy), 1)


def multiplications(
    model: Architecture,
    qkv: float = 0.0,
    up: float = 0.0,
    down: float = 0.0,
    skip: Skip = Skip.OWN,
    head: bool = True,
) -> float:
    """Return one token's multiplications with weights, attention scores left out.

    Args:
        model: whose.
        qkv: zeros in the input of query, key and value projections, 0 to 1.
        up: of up and gate.
        down: of the down projection.
        skip: what the last of these saves besides.
        head: whether the head counts.
    """
    gates = model.shape.matrices - 2
    up_kept = gate_kept = 1 - up
    if skip is not Skip.OWN:
        up_kept *= 1 - down
    if skip is Skip.ALL:
        gate_kept *= 1 - down
    layer = (
        (1 - qkv) * model.query_key_value
        + model.shape.d**2
        + (up_kept + gates * gate_kept + (1 - down)) * model.matrix
    )
    return layer * model.shape.layers + head * model.head


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to count a row."""

    skip: Skip
    head: bool
    giga: float
    fits: bool
    """Whether it rounds to what is printed."""


def readings(row: StrikesBackRow) -> list[Reading]:
    """Return every way to count a row, the one nearest to the printed number first.

    Of ways that come equally near, the simplest is first: own zeros, without the head.
    """
    model = architecture(row.model)
    found = []
    for skip, head in product(Skip, (False, True)):
        giga = multiplications(model, row.qkv, row.up, row.down, skip, head) / 1e9
        found.append(Reading(skip, head, giga, rounds_to(giga, row.printed)))
    value = resolution(row.printed)[0]
    return sorted(found, key=lambda each: abs(round(each.giga - value, 9)))

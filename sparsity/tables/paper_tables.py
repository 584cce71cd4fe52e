# SPDX-License-Identifier: Apache-2.0
"""The SparseInfer paper's accuracy tables and speed-ups, as printed: `paper_results`' data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccuracyRow:
    """One row of Table II or III; percent, changes in percentage points as printed."""

    alpha: str
    """"-" for the dense model."""
    gsm8k: str
    bbh: str
    average: str
    changes: tuple[str, str, str] = ("", "", "")
    """Against the dense model, of the three."""


TABLE_2 = (
    AccuracyRow("-", "30.71", "44.80", "37.76"),
    AccuracyRow("1.00", "27.75", "42.91", "35.33", ("-2.96", "-1.89", "-2.43")),
    AccuracyRow("1.01", "28.73", "43.57", "36.15", ("-1.98", "-1.23", "-1.61")),
    AccuracyRow("1.02", "29.64", "44.43", "37.04", ("-1.07", "-0.37", "-0.72")),
    AccuracyRow("1.03", "30.63", "44.34", "37.49", ("-0.08", "-0.46", "-0.27")),
)
"""ProSparse-Llama2-13B."""
TABLE_3 = (
    AccuracyRow("-", "13.42", "35.80", "24.61"),
    AccuracyRow("1.00", "8.95", "27.37", "18.16", ("-4.47", "-8.43", "-6.45")),
    AccuracyRow("1.01", "10.77", "33.70", "22.24", ("-2.65", "-2.10", "-2.37")),
    AccuracyRow("1.02", "11.30", "35.51", "23.41", ("-2.12", "-0.29", "-1.20")),
    AccuracyRow("1.03", "12.96", "35.60", "24.28", ("-0.46", "-0.20", "-0.33")),
)
"""ProSparse-Llama2-7B."""


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """How much faster a token was, end to end."""

    model: str
    alpha: float
    over_llama_cpp: str
    over_powerinfer: str

    @property
    def powerinfer(self) -> float:
        """What PowerInfer then gains over llama.cpp."""
        return float(self.over_llama_cpp) / float(self.over_powerinfer)


SPEED_UPS = (
    SpeedUp("ProSparse-13B", 1.00, "1.79", "1.27"),
    SpeedUp("ProSparse-7B", 1.00, "1.74", "1.30"),
    SpeedUp("ProSparse-13B", 1.02, "1.70", "1.21"),
    SpeedUp("ProSparse-7B", 1.03, "1.59", "1.19"),
)

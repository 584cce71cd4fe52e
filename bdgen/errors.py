# SPDX-License-Identifier: Apache-2.0
"""The one exception of bdgen: a vector, mask or plan that cannot become an instruction stream."""

import numpy as np


class PlanError(ValueError):
    """What was found, the limit it breaks and what to do instead, in one sentence."""


def describe(value: object) -> str:
    """Name a wrong argument for a PlanError: an array's dimensions and type, else the type."""
    if isinstance(value, np.ndarray):
        return f"a {value.ndim}-D {value.dtype} array"
    return f"a {type(value).__name__}"

# SPDX-License-Identifier: Apache-2.0
"""The errors of `sparsity`: one family, each a sentence that says what to do."""


class SparsityError(ValueError):
    """Anything wrong with a model name, a mask, a capture or a model package."""


class ShapeError(SparsityError):
    """An unknown model name or element format, or a row that a BD cannot move."""


class MaskError(SparsityError):
    """A mask that cannot be made as asked, or a file that does not hold one."""


class CaptureError(SparsityError):
    """A capture that lacks the layer or token asked for, or that is not what it says."""


class PackageError(SparsityError):
    """A model package that is not the one this code can read."""


class PermuteError(SparsityError):
    """Weights, masks or an order that do not fit together, or a proof that failed."""

# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a design before an NPU or simulator sees it: one error family."""


class DesignError(ValueError):
    """A design that the array cannot hold, or a compiled one that is not shipped."""


class ToolchainMissing(DesignError):  # noqa: N818 (says what is, as Stalled does)
    """mlir-aie is needed here and cannot be imported; the message says how to install it."""


class CompilationFailed(DesignError):  # noqa: N818
    """mlir-aie's aiecc gave up on a design; the message ends with what it said."""

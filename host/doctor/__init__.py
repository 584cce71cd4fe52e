# SPDX-License-Identifier: Apache-2.0
"""`sparsebd doctor`: why a program cannot reach the NPU of this machine, and what mends it.

A `Machine` answers questions (`machine`, `this_machine`, `recording`); a `Survey` is what the
checks share; each check gives one `Answer`; `examination` runs them all; `report` shows it.
"""

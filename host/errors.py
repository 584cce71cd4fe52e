# SPDX-License-Identifier: Apache-2.0
"""What a person can get wrong at the command line, as one sentence each."""

from __future__ import annotations


class UsageError(ValueError):
    """Options that do not go together or name something that does not exist."""

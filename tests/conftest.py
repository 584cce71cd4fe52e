# SPDX-License-Identifier: Apache-2.0
"""Settings for all tests: compiled code may take long on its first call, so no deadlines."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "sparsebd", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("sparsebd")

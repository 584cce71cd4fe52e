# SPDX-License-Identifier: Apache-2.0
"""The API reference is what the docstrings say."""

from pathlib import Path

from host import api_reference


def test_the_page_is_that_of_the_sources():
    page = Path(__file__).parents[2] / "docs/api.md"
    told = "docs/api.md is stale: python -m host.api_reference > docs/api.md"
    assert page.read_text() == api_reference.page(), told


def test_every_public_name_has_a_line_that_says_what_it_is():
    for line in api_reference.page().splitlines():
        assert not line.endswith(":"), line

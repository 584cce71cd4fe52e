# SPDX-License-Identifier: Apache-2.0
"""Commands that help and documents show can be typed as they are."""

import re
import shlex
from pathlib import Path

import pytest
from command import sparsebd
from typer.core import TyperGroup
from typer.main import get_command

from host.cli import app
from host.sparsity_app import GUIDE

ROOT = Path(__file__).parents[2]
GUIDED = [line.strip() for line in GUIDE.splitlines() if line.strip().startswith("sparsebd ")]


def shown(document):
    """Command lines of a document's code blocks that are no synopsis."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    for line in lines:
        command = re.match(r"(?:\S*/)?(sparsebd .*?)(?:\s+[#>|].*)?$", line.strip())
        if command and not re.search(r"[\[|]|\.\.\.", line):
            yield command[1]


COMMANDS = GUIDED + [
    line
    for file in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    for line in shown(file)
]


def test_the_guide_is_shown_as_it_is_written():
    lines = [line.strip() for line in sparsebd("sparsity", "--help").out.splitlines()]
    assert [line for line in lines if line.startswith("sparsebd ")] == GUIDED


@pytest.mark.parametrize("line", dict.fromkeys(COMMANDS))
def test_a_command_that_is_shown_can_be_typed(line):
    command, words = get_command(app), shlex.split(line)[1:]
    while isinstance(command, TyperGroup):
        command = command.commands[words.pop(0)]
    command.make_context("sparsebd", words)  # parses options and arguments, runs nothing

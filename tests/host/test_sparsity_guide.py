# SPDX-License-Identifier: Apache-2.0
"""`sparsebd sparsity --help`: a guide whose commands can be typed."""

import shlex

import pytest
from command import sparsebd
from typer.core import TyperGroup
from typer.main import get_command

from host.cli import app
from host.sparsity_app import GUIDE

LINES = [line.strip() for line in GUIDE.splitlines() if line.strip().startswith("sparsebd ")]


def test_the_guide_is_shown_as_it_is_written():
    shown = [line.strip() for line in sparsebd("sparsity", "--help").out.splitlines()]
    assert [line for line in shown if line.startswith("sparsebd ")] == LINES


@pytest.mark.parametrize("line", LINES)
def test_every_command_of_the_guide_can_be_typed(line):
    command, words = get_command(app), shlex.split(line)[1:]
    while isinstance(command, TyperGroup):
        command = command.commands[words.pop(0)]
    command.make_context("sparsebd", words)  # parses options and arguments, runs nothing

# SPDX-License-Identifier: Apache-2.0
"""Run `sparsebd` in this process, as a person would from a shell."""

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

from host import cli


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


def sparsebd(*arguments) -> Outcome:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = cli.main([str(argument) for argument in arguments])
    return Outcome(status, out.getvalue(), err.getvalue())


def refused(outcome: Outcome) -> str:
    """The one sentence of a refusal; fails if it is anything more or less than that."""
    assert outcome.status == 2, outcome
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.endswith("\n")
    assert outcome.err.count("\n") == 1
    return outcome.err.removeprefix("error: ").rstrip("\n")

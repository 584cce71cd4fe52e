# SPDX-License-Identifier: Apache-2.0
"""Asking a real system: nothing hangs, nothing raises, nothing outside of a root is read."""

import os
import subprocess
import sys
import time
from importlib.machinery import EXTENSION_SUFFIXES

import pytest

from host.doctor import processes, this_machine
from host.doctor.examination import Verdict, examine
from host.doctor.files import Files, Tree
from host.doctor.machine import Imported
from host.doctor.this_machine import ThisMachine

NO_LIMIT = 30.0


def test_this_very_machine_is_examined_in_less_than_two_seconds():
    began = time.monotonic()
    report = examine(ThisMachine())
    spent = time.monotonic() - began
    assert report.verdict in Verdict
    assert all(item.answer.found for item in report.findings)
    if report.verdict is Verdict.SIMULATOR:
        assert spent < 2


def test_facts_are_those_of_this_process():
    facts = ThisMachine().facts
    assert facts.python
    assert facts.python.version == ".".join(map(str, sys.version_info[:3]))
    assert facts.python.suffixes == tuple(EXTENSION_SUFFIXES)
    assert facts.release == os.uname().release
    assert facts.memlock is not None


def test_a_command_that_does_not_end_is_left_in_time():
    began = time.monotonic()
    ran = processes.run((sys.executable, "-c", "import time; time.sleep(60)"), 0.3, os.environ)
    assert ran
    assert ran.timed_out
    assert time.monotonic() - began < 2


def test_a_child_that_keeps_the_output_open_does_not_hold_us():
    began = time.monotonic()
    ran = processes.run(("/bin/sh", "-c", "echo said; sleep 60 &"), NO_LIMIT, os.environ)
    assert ran
    assert (ran.status, ran.output) == (0, "said\n")
    assert time.monotonic() - began < 5


def test_a_command_waits_for_no_input():
    ran = processes.run(("/bin/cat",), NO_LIMIT, os.environ)
    assert ran
    assert (ran.status, ran.output, ran.timed_out) == (0, "", False)


def test_endless_output_is_cut():
    ran = processes.run(("/bin/sh", "-c", "head -c 9000000 /dev/zero"), NO_LIMIT, os.environ)
    assert ran
    assert len(ran.output) == processes.LIMIT_BYTES


def test_a_command_that_cannot_be_started_is_none():
    assert processes.run(("/nowhere/at/all",), NO_LIMIT, os.environ) is None
    assert ThisMachine().run(("no-such-program-here",)) is None


def test_time_is_shared_by_all_commands():
    ran = ThisMachine(seconds=0).run(("true",))
    assert ran
    assert ran.timed_out


def test_only_wanted_lines_of_a_command_are_kept():
    ran = ThisMachine().run(
        ("printf", "one amdxdna\\ntwo\\nAMD-vi three\\n"), keep="amdxdna|AMD-Vi"
    )
    assert ran
    assert ran.output == "one amdxdna\nAMD-vi three\n"


def test_opening_a_node_says_the_error_by_its_name(tmp_path):
    machine = ThisMachine()
    assert machine.opens("/dev/null") == ""
    assert machine.opens("/dev/accel/no-such-node") == "ENOENT"
    assert machine.opens(str(tmp_path)) == "EISDIR"


def test_opening_a_node_that_does_not_come_back_is_a_timeout(tmp_path, monkeypatch):
    monkeypatch.setattr(this_machine, "OPEN", "import time; time.sleep(60)")
    monkeypatch.setattr(this_machine, "OPEN_SECONDS", 0.3)
    assert ThisMachine().opens("/dev/null") == "TIMEOUT"


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A folder on the path, for this process and those that it starts."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_a_module_is_imported_elsewhere_and_its_file_told(modules):
    (modules / "doctor_good.py").write_text("print('chatter')\n")
    told = ThisMachine().imports("doctor_good")
    assert told == Imported(file=str(modules / "doctor_good.py"))
    assert "doctor_good" not in sys.modules


def test_a_module_that_does_not_load_says_why(modules):
    (modules / "doctor_bad.py").write_text("raise ImportError('libxrt_coreutil.so.2: not found')\n")
    told = ThisMachine().imports("doctor_bad")
    assert told == Imported(error="ImportError: libxrt_coreutil.so.2: not found")


def test_a_module_that_kills_its_process_does_not_kill_ours(modules):
    (modules / "doctor_crash.py").write_text("import os; os.abort()\n")
    told = ThisMachine().imports("doctor_crash")
    assert told
    assert not told.file
    assert told.error


def test_a_module_that_is_not_there_is_none():
    assert ThisMachine().imports("no_such_module_anywhere") is None


def test_who_holds_a_file_open_is_found(tmp_path):
    path = tmp_path / "node"
    path.touch()
    with path.open() as held:
        program = "import sys, time; print(flush=True); time.sleep(60)"
        with subprocess.Popen(
            (sys.executable, "-c", program), stdin=held, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout
            other.stdout.readline()
            found = ThisMachine().holders(str(path))
            other.kill()
    assert [pid for pid, _ in found.processes] == [other.pid]


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "root"
    (root / "sys").mkdir(parents=True)
    (tmp_path / "secret").write_text("outside")
    return root


def test_a_pipe_or_device_in_a_tree_is_not_read(tree):
    os.mkfifo(tree / "sys" / "pipe")
    assert Files(tree).read("/sys/pipe") is None
    assert ThisMachine().read("/dev/zero") is None


def test_links_do_not_lead_out_of_a_tree(tree):
    (tree / "sys" / "up").symlink_to("../../secret")
    (tree / "sys" / "absolute").symlink_to(tree.parent / "secret")
    (tree / "sys" / "loop").symlink_to("loop")
    (tree / "sys" / "own").write_text("inside")
    (tree / "sys" / "good").symlink_to("own")
    files = Files(tree)
    assert files.read("/sys/good") == "inside"
    assert files.target("/sys/good") == "own"
    assert [files.read(f"/sys/{name}") for name in ("up", "absolute", "loop")] == [None] * 3
    assert files.read("/../secret") is None


def test_what_is_not_there_is_none(tree):
    files = Files(tree)
    assert files.read("/proc/modules") is None
    assert files.names("/proc") is None
    assert files.target("/sys") is None
    assert files.node("/dev/accel/accel0") is None
    assert files.read("/sys") is None
    assert files.read("/bad\0name") is None
    assert files.names("/sys") == ()


def test_names_are_sorted_and_can_be_narrowed(tree):
    for name in ("b", "accel1", "accel0"):
        (tree / "sys" / name).touch()
    assert Files(tree).names("/sys") == ("accel0", "accel1", "b")
    assert Files(tree).names("/sys", "accel") == ("accel0", "accel1")


def test_a_tree_knows_its_kernel_and_runs_nothing(tree):
    (tree / "proc/sys/kernel").mkdir(parents=True)
    (tree / "proc/sys/kernel/osrelease").write_text("6.17.0-14-generic\n")
    machine = Tree(tree)
    assert machine.facts.release == "6.17.0-14-generic"
    assert machine.run(("true",)) is None
    assert machine.opens("/dev/null") is None
    assert machine.imports("os") is None

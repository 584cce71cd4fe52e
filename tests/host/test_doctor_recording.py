# SPDX-License-Identifier: Apache-2.0
"""A recorded machine answers as it did, and no machine, however odd, makes a check fail."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.doctor.examination import CHECKS, examine
from host.doctor.recorder import Recorder
from host.doctor.recording import Recorded, Recording, dump, load
from host.doctor.report import to_json
from host.doctor.this_machine import ThisMachine
from host.errors import UsageError

MACHINES = Path(__file__).parents[1] / "data" / "machines"
NAMES = sorted(path.stem for path in MACHINES.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_of_a_machine_gives_the_same_report(name, tmp_path):
    recorder = Recorder(load(MACHINES / f"{name}.toml"))
    before = examine(recorder)
    again = tmp_path / "again.json"
    again.write_text(dump(recorder.recording))
    assert examine(load(again)) == before


def test_this_machine_can_be_recorded(tmp_path):
    recorder = Recorder(ThisMachine())
    before = examine(recorder)
    again = tmp_path / "this.json"
    again.write_text(dump(recorder.recording))
    assert examine(load(again)) == before


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("release = ", "is no recorded machine: "),
        ("about = 'none'", "is no recorded machine: release: Field required"),
        ("release = 'x'\nnonsense = 1", "nonsense: Extra inputs are not permitted"),
        ("release = 'x'\nfiles = 3", "files: Input should be a valid dictionary"),
    ],
)
def test_a_file_that_is_no_machine_is_refused(text, sentence, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match="bad.toml") as refusal:
        load(path)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


def everything(name: str) -> Recording:
    return load(MACHINES / f"{name}.toml").recording


odd = st.text(max_size=60) | st.sampled_from(["", "\n", "\0", "0x", "Live (", "ii  libxrt2", "{}"])


@settings(max_examples=150)
@given(st.data())
def test_no_check_fails_whatever_the_files_and_commands_say(data):
    told = everything(data.draw(st.sampled_from(NAMES)))
    for path in data.draw(st.lists(st.sampled_from([*told.files, "/proc/version"]), max_size=6)):
        told.files[path] = data.draw(odd)
    for command in told.commands.values():
        if data.draw(st.booleans()):
            command.output = data.draw(odd)
            command.status = data.draw(st.integers(-9, 127))
    for path in data.draw(st.lists(st.sampled_from([*told.links, "/none"]), max_size=3)):
        told.links[path] = data.draw(odd)
    for node in told.nodes.values():
        node.opens = data.draw(st.sampled_from(["", "EACCES", "TIMEOUT", "EIO", "EPERM", None]))
    told.memlock = data.draw(st.none() | st.integers(-1, 1 << 40))
    told.release = data.draw(st.sampled_from([told.release, "", "6.8", "odd"]))
    report = examine(Recorded(told))
    assert [item.check for item in report.findings] == list(CHECKS)
    assert json.loads(to_json(report))["status"] == report.status


@settings(max_examples=60)
@given(st.data())
def test_no_check_fails_whatever_is_missing(data):
    told = everything(data.draw(st.sampled_from(NAMES)))
    for table in (told.files, told.links, told.folders, told.nodes, told.commands, told.imports):
        for name in data.draw(st.sets(st.sampled_from(sorted(table) or ["none"]))):
            table.pop(name, None)
    assert len(examine(Recorded(told)).findings) == len(CHECKS)

# SPDX-License-Identifier: Apache-2.0
import shutil
import subprocess

import pytest
from made_up_voice import SYMBOLS

from sparsity.errors import PackageError, SparsityError
from sparsity.models import piper_phonemes
from sparsity.models.piper_phonemes import FABLE, Phonemes, sentences

PHONEMES = Phonemes(phoneme_id_map=SYMBOLS)
ENGLISH = (
    "The North Wind and the Sun were disputing which was the stronger, when a traveler came along "
    "wrapped in a warm cloak. They agreed that the one who first succeeded in making the traveler "
    "take his cloak off should be considered stronger than the other. Then the North Wind blew as "
    "hard as he could, but the more he blew the more closely did the traveler fold his cloak "
    "around him; and at last the North Wind gave up the attempt. Then the Sun shined out warmly, "
    "and immediately the traveler took off his cloak. And so the North Wind was obliged to confess "
    "that the Sun was the stronger of the two."
)


def test_numbers_have_pads_between_them():
    assert PHONEMES.ids("ða x").tolist() == [1, 0, 5, 0, 4, 0, 3, 0, 8, 0, 2]


def test_ipa_is_decomposed_and_unknown_characters_left_out():
    assert PHONEMES.ids("ã").tolist() == [1, 0, 4, 0, 7, 0, 2]
    assert PHONEMES.ids("qa").tolist() == PHONEMES.ids("a").tolist()


@pytest.mark.parametrize("ipa", ["", "QZ"])
def test_no_phoneme_is_refused(ipa):
    with pytest.raises(SparsityError, match="has no phoneme of this voice: give IPA, not spelling"):
        PHONEMES.ids(ipa)


def test_settings_without_a_pad_are_refused():
    with pytest.raises(PackageError, match=r"^the voice's settings have no number for '_': "):
        Phonemes(phoneme_id_map={"^": [1], "a": [4]}).ids("a")


def test_without_the_program_text_is_refused(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(PackageError, match="^espeak-ng is not installed, "):
        sentences("Good day.")


def test_clauses_keep_their_punctuation(monkeypatch):
    asked = []

    def said(_command, **given):
        asked.append(given["input"].strip())
        return subprocess.CompletedProcess([], 0, f" {given['input'].strip().upper()}\nX\n", "")

    monkeypatch.setattr(shutil, "which", lambda _: "/bin/true")
    monkeypatch.setattr(piper_phonemes.subprocess, "run", said)
    assert sentences("one, two;\n three. four? --- five") == [
        "ONE X, TWO X; THREE X.",
        "FOUR X?",
        "--- FIVE X",
    ]
    assert asked == ["one", "two", "three", "four", "--- five"]


def test_a_program_that_fails_is_reported(monkeypatch):
    false = shutil.which("false")
    assert false is not None
    monkeypatch.setattr(shutil, "which", lambda _: false)
    with pytest.raises(PackageError, match="^espeak-ng could not speak 'one': "):
        sentences("one.")


def test_the_fable_is_what_the_program_says():
    program = shutil.which("espeak-ng")
    if program is None:
        pytest.skip("espeak-ng is not installed")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    if "1.51" not in version.stdout:
        pytest.skip("the fable was said by espeak-ng 1.51")
    assert tuple(sentences(ENGLISH)) == FABLE

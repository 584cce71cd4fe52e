# SPDX-License-Identifier: Apache-2.0
"""Phonemes for a Piper voice: from IPA, or from English text where `espeak-ng` is installed.

Before `sparsity.models.piper`. Piper voices were trained on what the program espeak-ng makes of
text, so other IPA should follow its habits: stress before the vowel, punctuation at the end of a
clause. `FABLE` is a text that needs no program.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import unicodedata

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from sparsity.errors import PackageError, SparsityError

FABLE = (
    "ðə nˈɔːɹθ wˈɪnd ænd ðə sˈʌn wɜː dɪspjˈuːɾɪŋ wˌɪtʃ wʌzðə stɹˈɔŋɡɚ, wˌɛn ɐ tɹˈævəlɚ kˈeɪm ɐlˈɔŋ "
    "ɹˈæpt ɪn ɐ wˈɔːɹm klˈoʊk.",
    "ðeɪ ɐɡɹˈiːd ðætðə wˈʌn hˌuː fˈɜːst səksˈiːdᵻd ɪn mˌeɪkɪŋ ðə tɹˈævəlɚ tˈeɪk hɪz klˈoʊk ˈɔf "
    "ʃˌʊd biː kənsˈɪdɚd stɹˈɔŋɡɚ ðɐn ðɪ ˈʌðɚ.",
    "ðˈɛn ðə nˈɔːɹθ wˈɪnd blˈuː æz hˈɑːɹd æz hiː kˈʊd, bˌʌt ðə mˈoːɹ hiː blˈuː ðə mˈoːɹ klˈoʊsli "
    "dˈɪd ðə tɹˈævəlɚ fˈoʊld hɪz klˈoʊk ɚɹˈaʊnd hˌɪm; ænd æt lˈæst ðə nˈɔːɹθ wˈɪnd ɡˈeɪv ˌʌp ðɪ "
    "ɐtˈɛmpt.",
    "ðˈɛn ðə sˈʌn ʃˈaɪnd ˈaʊt wˈɔːɹmli, ænd ɪmˈiːdɪətli ðə tɹˈævəlɚ tˈʊk ˈɔf hɪz klˈoʊk.",
    "ænd sˌoʊ ðə nˈɔːɹθ wˈɪnd wʌz əblˈaɪdʒd tə kənfˈɛs ðætðə sˈʌn wʌzðə stɹˈɔŋɡɚɹ ʌvðə tˈuː.",
)
"""Aesop's fable of the North Wind and the Sun as espeak-ng 1.51 says it (voice en-us), a sentence
each."""

PAD, START, END = "_", "^", "$"
_PROGRAM = "espeak-ng"
_SENTENCE = re.compile(r"(?<=[.?!])\s+")
_CLAUSE = re.compile(r"([^.,;:?!]*)([.,;:?!]?)")


class Phonemes(BaseModel):
    """What a voice's settings say of its phonemes."""

    phoneme_id_map: dict[str, list[int]]
    """A phoneme, one character, and its numbers."""

    def ids(self, ipa: str) -> NDArray[np.int64]:
        """Numbers of one sentence in IPA: start, then the phonemes with a pad after each, end.

        As Piper's own: decomposed (NFD), a pad after the start too, characters that the voice lacks
        left out.

        Raises:
            SparsityError: no character is a phoneme of the voice.
        """
        known = [each for each in unicodedata.normalize("NFD", ipa) if each in self.phoneme_id_map]
        if not known:
            raise SparsityError(f"{ipa!r} has no phoneme of this voice: give IPA, not spelling")
        numbers: list[int] = []
        for each in (START, *known):
            numbers += [*self._of(each), *self._of(PAD)]
        return np.array([*numbers, *self._of(END)], np.int64)

    def _of(self, symbol: str) -> list[int]:
        if symbol not in self.phoneme_id_map:
            raise PackageError(f"the voice's settings have no number for {symbol!r}: use another")
        return self.phoneme_id_map[symbol]


def sentences(text: str) -> list[str]:
    """English text in IPA, sentence by sentence, by the program espeak-ng (voice en-us).

    Each clause is spoken by itself and keeps its punctuation, as Piper feeds them to a voice.

    Raises:
        PackageError: espeak-ng is not installed, or fails.
    """
    program = shutil.which(_PROGRAM)
    if program is None:
        raise PackageError(
            f"{_PROGRAM} is not installed, and it says how text is spoken: install it with the "
            "system's packages, or give IPA"
        )
    spoken = (_speak(program, sentence) for sentence in _SENTENCE.split(" ".join(text.split())))
    return [sentence for sentence in spoken if sentence]


def _speak(program: str, sentence: str) -> str:
    clauses = []
    for words, mark in _CLAUSE.findall(sentence):
        said = _clause(program, words)
        if said:
            clauses.append(said + mark)
    return " ".join(clauses)


def _clause(program: str, words: str) -> str:
    if not any(map(str.isalnum, words)):
        return ""
    command = [program, "-q", "--ipa", "-v", "en-us", "--stdin"]
    try:
        done = subprocess.run(
            command, input=words, capture_output=True, check=True, encoding="utf-8", timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise PackageError(f"{_PROGRAM} could not speak {words!r}: {error}") from None
    return " ".join(done.stdout.split())

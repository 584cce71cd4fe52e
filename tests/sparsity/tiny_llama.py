# SPDX-License-Identifier: Apache-2.0
"""A Llama of a few thousand weights in a GGUF file, for tests of reading and running one."""

from pathlib import Path

import numpy as np

LAYERS, D, K, HEADS, KV_HEADS = 2, 64, 96, 4, 2
PIECES = [chr(letter) for letter in range(ord("a"), ord("z") + 1)] + ["Ġ", "th", "Ġth", "the"]
MERGES = ["t h", "Ġ th", "th e"]


def tensors(seed: int = 0) -> dict[str, np.ndarray]:
    """All weights by name, float32, [outputs, inputs]."""
    random = np.random.default_rng(seed)
    kv = D // HEADS * KV_HEADS
    shapes = {
        "attn_norm": (D,),
        "attn_q": (D, D),
        "attn_k": (kv, D),
        "attn_v": (kv, D),
        "attn_output": (D, D),
        "ffn_norm": (D,),
        "ffn_gate": (K, D),
        "ffn_up": (K, D),
        "ffn_down": (D, K),
    }
    every = {"token_embd.weight": (len(PIECES), D), "output_norm.weight": (D,)}
    for layer in range(LAYERS):
        every |= {f"blk.{layer}.{name}.weight": shape for name, shape in shapes.items()}
    return {
        name: random.normal(1 if len(shape) == 1 else 0, 0.3, shape).astype(np.float32)
        for name, shape in every.items()
    }


def write(path: Path, gguf, *, q8: bool = False, seed: int = 0, **changes) -> Path:
    """Write the model; `changes` are other header entries, None for none, or tensors by name."""
    file = gguf.GGUFWriter(path, changes.pop("architecture", "llama"))
    header = {
        "add_block_count": LAYERS,
        "add_embedding_length": D,
        "add_feed_forward_length": K,
        "add_head_count": HEADS,
        "add_head_count_kv": KV_HEADS,
        "add_context_length": 64,
        "add_rope_freq_base": 10000.0,
        "add_layer_norm_rms_eps": 1e-5,
        "add_tokenizer_model": "gpt2",
        "add_tokenizer_pre": "smollm",
        "add_token_list": PIECES,
        "add_token_merges": MERGES,
    }
    for name, value in header.items():
        if (given := changes.pop(name, value)) is not None:
            getattr(file, name)(given)
    for name in [name for name in changes if name.startswith("add_")]:
        getattr(file, name)(changes.pop(name))
    for name, values in (tensors(seed) | changes).items():
        if q8 and values.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            file.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            file.add_tensor(name, values)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path

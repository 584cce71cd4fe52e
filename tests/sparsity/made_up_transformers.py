# SPDX-License-Identifier: Apache-2.0
"""Tiny randomly initialised models of transformers, one of each family; needs torch."""

import importlib

VOCABULARY, LAYERS, WIDTH, NEURONS, CONTEXT = 61, 2, 32, 48, 64

_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": NEURONS,
    "max_position_embeddings": CONTEXT,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_GROUPED = _SIZES | {"num_key_value_heads": 2, "head_dim": 8}


def _opt():
    sizes = {key: each for key, each in _SIZES.items() if key != "intermediate_size"}
    return sizes | {"ffn_dim": NEURONS, "word_embed_proj_dim": WIDTH}


def _falcon(**more):
    sizes = {key: each for key, each in _SIZES.items() if key != "intermediate_size"}
    return sizes | {"ffn_hidden_size": NEURONS} | more


# Name, class, its configuration, gated, activation.
FAMILIES = {
    "Llama": ("Llama", _GROUPED, True, "silu"),
    "ReluLlama": ("Llama", _GROUPED | {"hidden_act": "relu"}, True, "relu"),
    "Mistral": ("Mistral", _GROUPED, True, "silu"),
    "Qwen2": ("Qwen2", _GROUPED, True, "silu"),
    "Gemma": ("Gemma", _GROUPED, True, "gelu"),
    "Gemma2": ("Gemma2", _GROUPED, True, "gelu"),
    "Phi": ("Phi", _SIZES, False, "gelu"),
    "Phi3": ("Phi3", _SIZES, True, "silu"),
    "OPT": ("OPT", _opt(), False, "relu"),
    "OptAfter": ("OPT", _opt() | {"do_layer_norm_before": False}, False, "relu"),
    "Falcon": ("Falcon", _falcon(), False, "gelu"),
    "FalconBias": ("Falcon", _falcon(bias=True, new_decoder_architecture=True), False, "gelu"),
    "GPTNeoX": ("GPTNeoX", _SIZES, False, "gelu"),
}


def make(name, seed=0):
    """A model of a family, the same at each call with the same seed."""
    torch, transformers = map(importlib.import_module, ("torch", "transformers"))
    kind, settings, *_ = FAMILIES[name]
    torch.manual_seed(seed)
    config = getattr(transformers, f"{kind}Config")(**settings)
    return getattr(transformers, f"{kind}ForCausalLM")(config).eval()

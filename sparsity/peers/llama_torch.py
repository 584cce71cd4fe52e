# SPDX-License-Identifier: Apache-2.0
"""A GGUF model of the Llama family in transformers: what peers work on, and a second forward.

The same weights as `sparsity.models.llama` dequantises, in someone else's forward pass. Needs torch
and transformers (`pip install 'sparsebd[peers]'`), imported when first used.
"""

from __future__ import annotations

import importlib
from os import PathLike
from typing import Any

import numpy as np

from sparsity.errors import CaptureError, PackageError
from sparsity.models.gguf_file import GgufFile
from sparsity.models.interface import FfnWeights, Hook, Matrix, Tokens
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


class TorchLlama:
    """Such a module as an `FfnModel`: its layers heard, and changed, through torch's hooks."""

    gated = True
    activation = "silu"
    language = True

    def __init__(self, module: Any, name: str) -> None:
        self.name = name
        self.module = module
        """A `LlamaForCausalLM`, or what a peer made of one."""
        config = module.config
        self.layers, self.d, self.k = (
            int(each)
            for each in (config.num_hidden_layers, config.hidden_size, config.intermediate_size)
        )

    def weights(self, layer: int) -> FfnWeights:
        """One layer's FFN weights."""
        if not 0 <= layer < self.layers:
            raise CaptureError(f"{self.name} has layers 0 to {self.layers - 1}, not {layer}")
        ffn = self.module.model.layers[layer].mlp
        gate, up, down = (
            part.weight.detach().numpy() for part in (ffn.gate_proj, ffn.up_proj, ffn.down_proj)
        )
        return FfnWeights(up, np.ascontiguousarray(down.T), gate)

    def run(self, tokens: Tokens, hook: Hook | None = None) -> Matrix:
        """Return the logits [T, vocabulary] of a text of T tokens; `hook` as the interface says."""
        torch = peer("torch")
        hooks = [] if hook is None else self._listen(hook)
        try:
            with torch.no_grad():
                numbers = torch.from_numpy(np.asarray(tokens, np.int64))[None]
                return self.module(input_ids=numbers).logits[0].numpy()
        finally:
            for each in hooks:
                each.remove()

    def _listen(self, hook: Hook) -> list[Any]:
        """Torch's handles of one hook on every layer."""
        torch = peer("torch")
        heard: dict[str, Matrix] = {}
        handles = []
        for number, block in enumerate(self.module.model.layers):
            ffn = block.mlp

            def gate(_: Any, given: Any, made: Any) -> None:
                heard["x"], heard["gate"] = given[0][0].numpy(), made[0].numpy()

            def up(_: Any, __: Any, made: Any) -> None:
                heard["up"] = made[0].numpy()

            def down(_: Any, given: Any, layer: int = number) -> Any:
                a = given[0][0].numpy()
                instead = hook(layer, heard["x"], heard["gate"], heard["up"], a)
                return None if instead is None else (torch.from_numpy(instead)[None],)

            handles += [
                ffn.gate_proj.register_forward_hook(gate),
                ffn.up_proj.register_forward_hook(up),
                ffn.down_proj.register_forward_pre_hook(down),
            ]
        return handles

# SPDX-License-Identifier: Apache-2.0
"""Models of transformers: their FFNs found, heard and changed through hooks, nothing patched.

`HuggingFaceModel` makes one an `FfnModel`; `record_batches` records padded batches. torch and
transformers are loaded when a model is.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsity.errors import CaptureError, PackageError
from sparsity.models.interface import FfnWeights, Hook, Matrix, Tokens, check_layer
from sparsity.recording.families import Ffn, activation_of, find_ffns
from sparsity.recording.models import check_layers

if TYPE_CHECKING:
    from sparsity.recording.record import Recorder

MISSING = "models of transformers need torch and transformers: `pip install 'sparsebd[peers]'`"


class HuggingFaceModel:
    """A transformers model as an `FfnModel`."""

    def __init__(self, model: Any, tokenizer: Any = None, name: str | None = None) -> None:
        """Take a model as it is, on whatever device and in whatever precision.

        Args:
            model: such as `AutoModelForCausalLM` gives; it is put into evaluation mode.
            tokenizer: its own, for `encode`.
            name: for tables; default: the configuration's.

        Raises:
            CaptureError: of a family whose FFNs are not known.
        """
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.ffns = find_ffns(model)
        first = self.ffns[0]
        self.name = name or str(getattr(model.config, "name_or_path", "")) or type(model).__name__
        self.layers = len(self.ffns)
        self.d, self.k = int(first.down.out_features), int(first.down.in_features)
        self.gated = first.fused or first.gate is not None
        self.activation = activation_of(model.config)
        self.language = model.get_output_embeddings() is not None

    @property
    def context(self) -> int | None:
        """Tokens that the model was made for, where its configuration says."""
        return getattr(self.model.config, "max_position_embeddings", None)

    def encode(self, text: str) -> Tokens:
        """Return a text's token numbers, without special tokens; CaptureError without tokenizer."""
        if self.tokenizer is None:
            raise CaptureError(f"{self.name} came without a tokenizer: give token numbers")
        return np.asarray(self.tokenizer(text, add_special_tokens=False)["input_ids"], np.int64)

    def weights(self, layer: int) -> FfnWeights:
        """Return a layer's FFN weights as float32.

        Raises:
            CaptureError: no such layer, or a gate with a bias, for which there is no place.
        """
        check_layer(self, layer)
        ffn = self.ffns[layer]
        up, bias = _array(ffn.up.weight), _bias(ffn.up)
        gate = None if ffn.gate is None else _array(ffn.gate.weight)
        gate_bias = None if ffn.gate is None else _bias(ffn.gate)
        if ffn.fused:
            k = int(ffn.down.in_features)
            gate, up = np.ascontiguousarray(up[:k]), np.ascontiguousarray(up[k:])
            if bias is not None:
                gate_bias, bias = bias[:k], bias[k:]
        if gate_bias is not None and gate_bias.any():
            raise CaptureError(f"the gate of layer {layer} of {self.name} has a bias: record only")
        down = np.ascontiguousarray(_array(ffn.down.weight).T)
        return FfnWeights(gate=gate, up=up, down=down, bias_up=bias, bias_down=_bias(ffn.down))

    def run(self, tokens: Tokens, hook: Hook | None = None) -> Matrix:
        """Run a text: logits [T, vocabulary], or the last hidden state of a model without a head.

        Args:
            tokens: [T] token numbers.
            hook: see `sparsity.models.interface.Hook`.

        Raises:
            CaptureError: no token, one outside the vocabulary, or a hook's answer of another shape.
        """
        torch = _torch()
        self._check(tokens)
        batch = torch.from_numpy(np.asarray(tokens, np.int64))[None].to(self.model.device)
        with _opened(self, hook), torch.no_grad():
            output = self.model(input_ids=batch, use_cache=False)
        logits = getattr(output, "logits", None)
        return _array(output.last_hidden_state[0] if logits is None else logits[0])

    def _check(self, tokens: Tokens) -> None:
        vocabulary = self.model.get_input_embeddings().num_embeddings
        if not len(tokens):
            raise CaptureError("no token: give at least one")
        if tokens.min() < 0 or tokens.max() >= vocabulary:
            raise CaptureError(f"a token is outside the vocabulary, 0 to {vocabulary - 1}")


@contextmanager
def _opened(model: HuggingFaceModel, hook: Hook | None) -> Iterator[None]:
    """Listen at every FFN while the block runs; without a hook, at none."""
    handles: list[Any] = []
    try:
        for number, ffn in enumerate(model.ffns if hook is not None else ()):
            assert hook is not None, "the loop runs with a hook only"
            handles += _listen(number, ffn, hook)
        yield
    finally:
        for handle in handles:
            handle.remove()


def _listen(number: int, ffn: Ffn, hook: Hook) -> list[Any]:
    """Hook one FFN: its projections' outputs are kept until the down projection is reached."""
    seen: dict[str, Any] = {}

    def before_up(_module: Any, arguments: tuple[Any, ...]) -> None:
        seen["x"] = arguments[0]

    def after(name: str) -> Callable[[Any, Any, Any], None]:
        def keep(_module: Any, _arguments: Any, output: Any) -> None:
            seen[name] = output

        return keep

    def before_down(_module: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if ffn.fused:
            seen["gate"], seen["up"] = seen["up"].chunk(2, dim=-1)
        gate = _rows(seen["gate"]) if "gate" in seen else None
        a = arguments[0]
        given = hook(number, _rows(seen["x"]), gate, _rows(seen["up"]), _rows(a))
        seen.clear()
        return None if given is None else (_like(given, a), *arguments[1:])

    handles = [
        ffn.up.register_forward_pre_hook(before_up),
        ffn.up.register_forward_hook(after("up")),
        ffn.down.register_forward_pre_hook(before_down),
    ]
    if ffn.gate is not None:
        handles.append(ffn.gate.register_forward_hook(after("gate")))
    return handles


def _rows(tensor: Any) -> Matrix:
    """[tokens, width] of a tensor of any shape that ends in width."""
    return _array(tensor.reshape(-1, tensor.shape[-1]))


def _like(given: Matrix, tensor: Any) -> Any:
    if given.shape != (tensor.numel() // tensor.shape[-1], tensor.shape[-1]):
        raise CaptureError(
            f"the hook gave {list(given.shape)} instead of {list(tensor.shape)}: return as many "
            "activations as came"
        )
    array = np.ascontiguousarray(given, np.float32)
    return _torch().from_numpy(array).to(tensor).reshape(tensor.shape)


def _array(tensor: Any) -> Matrix:
    return np.asarray(tensor.detach().float().cpu().numpy(), np.float32)


def _bias(module: Any) -> Matrix | None:
    bias = getattr(module, "bias", None)
    return None if bias is None else _array(bias)


def record_batches(
    model: HuggingFaceModel,
    batches: Iterable[Mapping[str, Any]],
    recorder: Recorder,
    layers: Collection[int] | None = None,
) -> None:
    """Record batches of padded texts, without their padding.

    Args:
        model: what to run.
        batches: as a tokenizer gives them: `input_ids` [texts, tokens] and, if there is padding,
            `attention_mask`, 1 where a token is one.
        recorder: where they go, text after text.
        layers: which; default: all.

    Raises:
        CaptureError: no such layer, or what `Recorder.add` refuses.
    """
    torch = _torch()
    wanted = check_layers(model.layers, layers)
    for batch in batches:
        numbers = torch.as_tensor(batch["input_ids"]).to(model.model.device)
        mask = torch.ones_like(numbers)
        if batch.get("attention_mask") is not None:
            mask = torch.as_tensor(batch["attention_mask"]).to(numbers)
        if mask.shape != numbers.shape or numbers.ndim != 2:
            raise CaptureError(
                f"a batch has input_ids {list(numbers.shape)} and attention_mask "
                f"{list(mask.shape)}: give both as [texts, tokens]"
            )
        real = mask.reshape(-1).bool().cpu().numpy()
        with _heard(model, wanted, lambda layer, a, real=real: recorder.add(layer, a[real])):
            model.model(input_ids=numbers, attention_mask=mask, use_cache=False)


@contextmanager
def _heard(
    model: HuggingFaceModel, wanted: Collection[int], hear: Callable[[int, Matrix], None]
) -> Iterator[None]:
    """Hear the down projections' inputs, [texts x tokens, k], while the block runs."""

    def listener(number: int) -> Callable[[Any, tuple[Any, ...]], None]:
        return lambda _module, arguments: hear(number, _rows(arguments[0]))

    handles = [
        ffn.down.register_forward_pre_hook(listener(number))
        for number, ffn in enumerate(model.ffns)
        if number in wanted
    ]
    try:
        with _torch().no_grad():
            yield
    finally:
        for handle in handles:
            handle.remove()


def load(name: str | PathLike[str]) -> HuggingFaceModel:
    """Open a folder that `save_pretrained` wrote, or a model by its name on the hub.

    Code that comes with a model is never run.

    Raises:
        PackageError: torch or transformers is missing, they cannot open it, or it lacks weights.
        CaptureError: of a family whose FFNs are not known.
    """
    transformers = _imported("transformers")
    where = str(name)
    # Without a word on foreign code, transformers asks whoever sits at the terminal.
    try:
        model, loading = transformers.AutoModelForCausalLM.from_pretrained(
            where, trust_remote_code=False, output_loading_info=True
        )
    except Exception as error:  # transformers, torch and safetensors have no common family
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PackageError(f"transformers cannot open {where}: {first}") from error
    missing = sorted(loading["missing_keys"])
    if missing:
        raise PackageError(f"{where} lacks {missing[0]}, which transformers then draws at random")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, trust_remote_code=False)
    except Exception:
        tokenizer = None
    # Where there is none, transformers may make an empty one; `encode` says so when it is asked.
    has_words = tokenizer is not None and tokenizer.vocab_size > 0
    return HuggingFaceModel(model, tokenizer if has_words else None, Path(where).name)


def _torch() -> Any:
    return _imported("torch")


def _imported(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise PackageError(MISSING) from error

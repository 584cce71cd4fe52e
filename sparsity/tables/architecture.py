# SPDX-License-Identifier: Apache-2.0
"""Parameters of whole models: what `sparsity.shapes` has of the FFN, and the rest around it.

Each model's rest is from its published configuration. Counts are exact; the parameters that a
token uses are those of the dense model less what a skipped neuron's rows hold.
"""

from dataclasses import dataclass

from sparsity.errors import ShapeError
from sparsity.shapes import ModelShape, shape


@dataclass(frozen=True, slots=True)
class Architecture:
    """What a model has around its FFN's matrices."""

    model: str
    """Its name in `sparsity.shapes`."""
    kv: int
    """Outputs of the key projection, and of the value projection."""
    vocabulary: int
    tied: bool = False
    """Whether the head is the embedding."""
    norms: int = 2
    """In a layer; one more stands before the head."""
    norm_bias: bool = False
    biases: bool = False
    """Whether all linear layers but a tied head have one."""
    positions: int = 0
    """Rows of a learned position embedding."""

    @property
    def shape(self) -> ModelShape:
        """The FFN."""
        return shape(self.model)

    @property
    def query_key_value(self) -> int:
        """Weights of the three input projections of a layer's attention."""
        return self.shape.d * (self.shape.d + 2 * self.kv)

    @property
    def attention(self) -> int:
        """Weights of a layer's attention, the output projection included."""
        return self.query_key_value + self.shape.d**2

    @property
    def matrix(self) -> int:
        """Weights of one FFN matrix."""
        return self.shape.d * self.shape.k

    @property
    def ffn(self) -> int:
        """Weights of a layer's FFN."""
        return self.shape.matrices * self.matrix

    @property
    def head(self) -> int:
        """Weights of the head, whether or not they are the embedding's."""
        return self.vocabulary * self.shape.d

    @property
    def parameters(self) -> int:
        """All parameters of the model."""
        s = self.shape
        norms = (self.norms * s.layers + 1) * s.d * (2 if self.norm_bias else 1)
        biases = 0
        if self.biases:
            layer = (s.d + 2 * self.kv) + s.d + s.k * (s.matrices - 1) + s.d
            biases = layer * s.layers + (0 if self.tied else self.vocabulary)
        embeddings = self.head * (1 if self.tied else 2) + self.positions * s.d
        return (self.attention + self.ffn) * s.layers + norms + biases + embeddings

    def active(self, sparsity: float, matrices: int = 1) -> float:
        """Return the parameters that a token uses when a share of the neurons is skipped.

        Args:
            sparsity: share of neurons.
            matrices: of how many of the FFN's matrices their rows are skipped; 1 is the down
                projection alone.

        Raises:
            ShapeError: a share that is none, or more matrices than the FFN has.
        """
        if not 0 <= sparsity <= 1 or not 1 <= matrices <= self.shape.matrices:
            raise ShapeError(
                f"sparsity {sparsity} of {matrices} matrices: give 0 to 1, and 1 to "
                f"{self.shape.matrices} matrices"
            )
        return self.parameters - sparsity * matrices * self.matrix * self.shape.layers

    def implied_sparsity(self, active: float, matrices: int = 1) -> float:
        """Return the sparsity at which `active` parameters are used: the inverse of `active`."""
        return (self.parameters - active) / (matrices * self.matrix * self.shape.layers)

    @property
    def ffn_share(self) -> float:
        """Share of the parameters that the FFNs hold."""
        return self.ffn * self.shape.layers / self.parameters


ARCHITECTURES: tuple[Architecture, ...] = (
    Architecture("ReluLLaMA-7B", kv=4096, vocabulary=32000),
    Architecture("ReluLLaMA-13B", kv=5120, vocabulary=32000),
    Architecture("ProSparse-7B", kv=4096, vocabulary=32000),
    Architecture("ProSparse-13B", kv=5120, vocabulary=32000),
    Architecture("Llama-3-8B", kv=1024, vocabulary=128256),
    Architecture("Mistral-7B", kv=1024, vocabulary=32000),
    Architecture("Phi-2", kv=2560, vocabulary=51200, norms=1, norm_bias=True, biases=True),
    Architecture("Phi-3-mini", kv=3072, vocabulary=32064),
    Architecture(
        "OPT-6.7B", kv=4096, vocabulary=50272, tied=True, norm_bias=True, biases=True,
        positions=2050,
    ),
    Architecture("Falcon-7B", kv=64, vocabulary=65024, tied=True, norms=1, norm_bias=True),
    Architecture("SmolLM2-135M", kv=192, vocabulary=49152, tied=True),
)  # fmt: skip
"""Models whose parameters are counted here."""

_BY_NAME = {each.model: each for each in ARCHITECTURES}


def architecture(model: str) -> Architecture:
    """Return what a model of `sparsity.shapes` has around its FFN.

    Raises:
        ShapeError: no such model, or one whose parameters are not counted here.
    """
    name = shape(model).name
    if name not in _BY_NAME:
        raise ShapeError(f"no parameters of {name} here: choose from {', '.join(_BY_NAME)}")
    return _BY_NAME[name]

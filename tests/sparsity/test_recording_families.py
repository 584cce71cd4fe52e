# SPDX-License-Identifier: Apache-2.0
"""Configurations of transformers models, read without transformers."""

from types import SimpleNamespace

import pytest

from sparsity.recording.families import activation_of


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"activation_function": "relu"}, "relu"),
        ({"hidden_act": "silu"}, "silu"),
        ({"hidden_act": "swish"}, "silu"),
        ({"activation": "gelu"}, "gelu"),
        ({"hidden_act": "gelu_new"}, "gelu"),
        ({"hidden_act": "gelu", "hidden_activation": "gelu_pytorch_tanh"}, "gelu"),
        ({"hidden_act": "quick_gelu"}, "quick_gelu"),  # another function
        ({"hidden_act": "gelu_10"}, "gelu_10"),
        ({"hidden_act": None, "activation": "relu2"}, "relu2"),
        ({}, "unknown"),
    ],
)
def test_the_activation_function_is_named_as_here(config, name):
    assert activation_of(SimpleNamespace(**config)) == name

# SPDX-License-Identifier: Apache-2.0
"""Random small designs through the simulator and through a model that moves one word at a time."""

from hypothesis import given, settings
from hypothesis import strategies as st
from random_designs import TROUBLES, designs
from random_lanes import CIRCUIT_LANES
from random_packets import PACKET_LANES
from side_by_side import assert_same

LANES = (*CIRCUIT_LANES, *PACKET_LANES)
EXAMPLES = 3 * settings().max_examples
"""More with a profile of more examples: pytest --hypothesis-profile."""
ORDERS = st.none() | st.integers(0, 1 << 16)
"""How the model lets its channels take turns: none of them may matter."""


@settings(max_examples=EXAMPLES)
@given(designs(LANES), ORDERS)
def test_designs_move_the_same_words(made, order):
    design, buffers = made
    assert_same(design, buffers, order)


@settings(max_examples=EXAMPLES)
@given(designs(LANES, TROUBLES), ORDERS)
def test_broken_designs_fail_in_the_same_way(made, order):
    design, buffers = made
    assert_same(design, buffers, order)

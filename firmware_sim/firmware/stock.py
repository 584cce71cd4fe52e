# SPDX-License-Identifier: Apache-2.0
"""The firmware that every Ryzen AI machine has: it executes the stream op by op.

`Native` executes the same stream at the costs of an image that enqueues by itself, which is how
the seed's authors ran their experiments; nobody has published those costs.
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_sim.calibration import Costs
from firmware_sim.firmware.script import Context, OpCosts, Script, priced


def stock_costs(costs: Costs) -> OpCosts:
    """Costs per op of the stock image."""
    return OpCosts(
        write=costs.write,
        block_write=costs.write,
        block_write_word=costs.block_write_word,
        mask_write=costs.mask_write,
        patch=costs.patch,
        push_busy=costs.push_busy,
        push_idle=costs.push_idle,
        wait_first=costs.wait_first,
        wait_each=costs.wait_each,
        poll=costs.poll,
        other=costs.other_op,
    )


def native_costs(costs: Costs) -> OpCosts:
    """Costs per op of an image that enqueues by itself; BDs are copied from the stream as ever."""
    return stock_costs(costs)._replace(
        mask_write=costs.native_mask_write,
        patch=costs.native_patch,
        push_busy=costs.native_push,
        push_idle=costs.native_push,
        wait_first=0.0,
        wait_each=costs.native_wait,
        poll=costs.native_poll,
    )


def making_costs(costs: Costs) -> OpCosts:
    """Costs per op of an image that also makes the BDs, addresses included."""
    return native_costs(costs)._replace(block_write=costs.native_bd, block_write_word=0.0)


@dataclass(frozen=True)
class Stock:
    """Every op, at the measured costs."""

    name: str = "stock"

    def script(self, context: Context) -> Script:
        """The stream as it is."""
        return priced(context.words, stock_costs(context.costs))


@dataclass(frozen=True)
class Native:
    """Every op, at the assumed costs of native enqueueing."""

    name: str = "native"

    def script(self, context: Context) -> Script:
        """The stream as it is."""
        return priced(context.words, native_costs(context.costs))

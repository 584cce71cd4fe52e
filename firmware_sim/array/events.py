# SPDX-License-Identifier: Apache-2.0
"""What happens in a run, event by event, when a trace was asked for.

The compiled engine appends; `firmware_sim.trace` makes tracks of it. `actor` is an endpoint, a tile
or `state.NONE` for the controller.
"""

from __future__ import annotations

from firmware_sim.array.pointers import event_log
from firmware_sim.array.state import State
from firmware_sim.compiled import compiled

(
    PUSHED,  # actor channel; a BD, b tasks then in the queue (the running one not counted)
    DROPPED,  # actor channel; a BD: the push found the queue full
    TASK_STARTED,  # actor channel; a first BD, b op that pushed it
    TASK_ENDED,  # actor channel; a 1: with token
    BD_LOADED,  # actor channel; a BD, b stream words
    BD_ENDED,  # actor channel; a BD
    LOCK_AWAITED,  # actor channel or core; a lock (tile * LOCK_SLOTS + index), b value asked for
    LOCK_TAKEN,  # actor channel or core; a lock
    LOCK_CHANGED,  # actor tile; a index, b value
    MOVE_STARTED,  # actor endpoint; a words
    MOVE_ENDED,  # actor endpoint; a words
    PACKET_OPENED,  # actor source; a header word
    PACKET_BLOCKED,  # actor source; a arbiter (tile * ARBITERS + number)
    PACKET_CLOSED,  # actor source
    TOKEN_ARRIVED,  # actor channel; a tokens now waiting
    TOKEN_LOST,  # actor channel; a packet id
    TOKEN_TAKEN,  # actor channel; a tokens left
    OP_STARTED,  # actor NONE; a op, b opcode
    OP_ENDED,  # actor NONE; a op, b opcode
    REGISTER_WRITTEN,  # actor tile; a address: by a control packet
) = range(20)


@compiled
def happened(m: State, kind: int, actor: int, a: int, b: int, now: float) -> None:
    """Append an event if a trace was asked for; the loop makes room before it runs out."""
    if m.events_used < m.events_size:
        row = event_log(m)[m.events_used]
        row.at = now
        row.kind = kind
        row.actor = actor
        row.a = a
        row.b = b
        m.events_used += 1

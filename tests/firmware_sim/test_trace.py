# SPDX-License-Identifier: Apache-2.0
"""Traces: valid for Perfetto, spans that nest, and times that add up to what was moved."""

import json
from collections import defaultdict
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
from streams import (
    GOLDEN,
    MM2S,
    S2MM,
    bd,
    copy,
    golden,
    golden_buffers,
    passthrough,
    push,
    stream,
    token_id,
)
from streams import buffers as small_buffers

from aie2.txn_rare_ops import LoadPdi
from firmware_sim import Stalled, simulate
from firmware_sim.array import events as e
from firmware_sim.array.state import EVENT, channel_id, channel_name
from firmware_sim.trace import trace_json
from firmware_sim.trace.activity import in_order, timeline
from firmware_sim.trace.spans import (
    BD,
    CONTROLLER,
    LATENCY,
    LOCK,
    MOVING,
    STATE,
    STREAM,
    TASK,
    TOKENS,
    Span,
    bandwidth,
    spread,
)

PASSTHROUGH = "passthrough_c1_ch1_o1k_npu1"
CASES = (
    PASSTHROUGH,
    "gather_chain_c4_npu1",
    "gather_rows_c1_o4k_npu1",  # drops pushes and hangs
    "gather_repeat_c1_npu2",
    "iron_gather_c1_npu1",
)
SHIM_SEND, SHIM_RECEIVE = channel_id(0, 0, MM2S, 0), channel_id(0, 0, S2MM, 0)

every_case = pytest.mark.parametrize("name", CASES)


@lru_cache
def traced(name):
    """A golden case's result; a stall's too."""
    folder = GOLDEN / name
    try:
        return simulate(
            folder / "aie.xclbin",
            folder / "insts.bin",
            golden_buffers(golden(name)),
            trace=True,
        )
    except Stalled as stall:
        return stall.result


@lru_cache
def spans_of(name):
    return timeline(traced(name))


def tracks(found, *levels):
    """Spans by track, of some levels."""
    by_track = defaultdict(list)
    for span in found.spans:
        if span.level in levels:
            by_track[span.track].append(span)
    return by_track


def inside(child, parents):
    return any(each.start <= child.start and child.end <= each.end for each in parents)


NUMBER = (int, float)
KEYS = {
    "X": {"name": str, "cat": str, "ts": NUMBER, "dur": NUMBER, "pid": int, "tid": int},
    "M": {"name": str, "pid": int, "tid": int},
    "i": {"name": str, "s": str, "ts": NUMBER, "pid": int, "tid": int},
    "C": {"name": str, "ts": NUMBER, "pid": int},
    "s": {"name": str, "cat": str, "id": int, "ts": NUMBER, "pid": int, "tid": int},
    "f": {"name": str, "cat": str, "id": int, "ts": NUMBER, "pid": int, "tid": int, "bp": str},
}
METADATA = {"process_name", "process_sort_index", "thread_name", "thread_sort_index"}


def check_trace(data):
    """The trace event format, as far as we use it; returns the events."""

    def never(constant):
        raise AssertionError(f"{constant} in JSON")

    assert data.isascii()
    trace = json.loads(data, parse_constant=never)
    assert list(trace) == ["traceEvents", "otherData"]
    for event in trace["traceEvents"]:
        keys = KEYS[event["ph"]]
        for key, kind in keys.items():
            assert isinstance(event[key], kind), (key, event)
        extra = set(event) - set(keys) - {"ph", "args", "ts"}
        assert not extra, (extra, event)
        assert event.get("ts", 0) >= 0
        assert event.get("dur", 0) >= 0
        args = event.get("args", {})
        assert all(isinstance(each, (int, float, str)) for each in args.values())
        if event["ph"] == "M":
            assert event["name"] in METADATA
        if event["ph"] == "C":
            assert len(args) == 1
            assert all(isinstance(each, NUMBER) for each in args.values())
    return trace["traceEvents"]


@every_case
def test_a_trace_is_valid_and_everything_in_it_has_a_name(name):
    events = check_trace(trace_json(traced(name)))
    processes = {event["pid"] for event in events if event["name"] == "process_name"}
    threads = [(event["pid"], event["tid"]) for event in events if event["name"] == "thread_name"]
    assert len(set(threads)) == len(threads)
    assert len({tid for _, tid in threads}) == len(threads)
    for event in events:
        assert event["pid"] in processes
        if event["ph"] in "Xisf":
            assert (event["pid"], event["tid"]) in threads


@every_case
def test_slices_of_a_thread_nest_to_the_nanosecond_whether_a_reader_rounds_or_cuts_off(name):
    events = [event for event in check_trace(trace_json(traced(name))) if event["ph"] == "X"]
    for read in (round, int):
        open_until = defaultdict(list)
        for event in sorted(events, key=lambda event: event["ts"]):
            start, length = read(event["ts"] * 1000), read(event["dur"] * 1000)
            stack = open_until[event["tid"]]
            while stack and stack[-1] <= start:
                stack.pop()
            assert not stack or start + length <= stack[-1], event
            stack.append(start + length)


def test_processes_are_tiles_and_threads_channels():
    events = check_trace(trace_json(traced(PASSTHROUGH)))
    names = defaultdict(set)
    process = {
        event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"
    }
    for event in events:
        if event["name"] == "thread_name":
            names[process[event["pid"]]].add(event["args"]["name"])
    assert names == {
        "controller": {"ops"},
        "shim(0,0)": {"S2MM 0", "MM2S 0"},
        "memtile(0,1)": {"S2MM 0", "MM2S 0"},
    }
    assert "DDR" in process.values()


def test_counters_are_locks_queues_tokens_and_bandwidth():
    events = check_trace(trace_json(traced("gather_rows_c1_o4k_npu1")))
    names = {event["name"] for event in events if event["ph"] == "C"}
    assert names == {
        "lock 0",
        "lock 1",
        "MM2S 0 queue",
        "DDR reads (GB/s)",
        "DDR writes (GB/s)",
    }
    depths = [event["args"]["value"] for event in events if event["name"] == "MM2S 0 queue"]
    assert max(depths) == 4
    assert depths[-1] == 0


@every_case
def test_spans_of_a_level_never_overlap(name):
    found = spans_of(name)
    for level in (TASK, BD, STATE):
        for spans in tracks(found, level).values():
            for one, two in pairwise(spans):
                assert one.start <= one.end <= two.start, (one, two)


@every_case
def test_every_span_lies_in_one_of_the_level_before(name):
    found = spans_of(name)
    outer, middle, inner = (tracks(found, level) for level in (TASK, BD, STATE))
    for track, spans in middle.items():
        assert all(inside(span, outer[track]) for span in spans)
    for track, spans in inner.items():
        assert all(inside(span, middle[track]) for span in spans)


@every_case
def test_what_a_bd_did_leaves_no_time_unexplained(name):
    found = spans_of(name)
    states = tracks(found, STATE)
    for track, bds in tracks(found, BD).items():
        if track == CONTROLLER:
            continue
        for span in bds:
            if span.name.startswith("BD"):
                within = [each for each in states[track] if inside(each, [span])]
                spent = sum(each.end - each.start for each in within)
                assert spent == pytest.approx(span.end - span.start)


@every_case
def test_words_moved_in_a_bd_are_its_length_and_no_word_is_faster_than_a_cycle(name):
    found = spans_of(name)
    moves = [span for span in found.spans if span.state == MOVING]
    assert moves
    for span in moves:
        assert span.end - span.start >= span.args["words"] - 1e-6
    for span in found.spans:
        if span.level == BD and "words" in span.args and "unfinished" not in span.args:
            assert span.args["moved"] == span.args["words"]


def test_time_of_moving_is_the_words_at_one_per_cycle_where_ddr_is_not_the_limit():
    found = spans_of(PASSTHROUGH)
    moves = tracks(found, STATE)[SHIM_RECEIVE]
    moving = sum(span.end - span.start for span in moves if span.state == MOVING)
    assert moving == pytest.approx(traced(PASSTHROUGH).counts.bytes_written // 4)


@every_case
def test_bandwidth_adds_up_to_the_bytes_moved(name):
    result, found = traced(name), spans_of(name)
    edges = np.linspace(0, found.end, 77)
    seconds = np.diff(edges) / (result.clock_mhz * 1e6)
    reads, writes = bandwidth(found, result.clock_mhz, edges)
    assert (reads * 1e9 * seconds).sum() == pytest.approx(result.counts.bytes_read)
    assert (writes * 1e9 * seconds).sum() == pytest.approx(result.counts.bytes_written)


@every_case
def test_a_token_wait_ends_when_its_token_is_taken(name):
    result, found = traced(name), spans_of(name)
    log = result.events
    taken = set(log["at"][log["kind"] == e.TOKEN_TAKEN])
    waits = [span for span in found.spans if span.state == TOKENS]
    assert waits
    for span in waits:
        if "unfinished" in span.args:
            assert span.end == found.end
        else:
            assert span.end in taken


@every_case
def test_there_is_a_task_for_every_task_and_an_op_for_every_op(name):
    result, found = traced(name), spans_of(name)
    shim = [
        span
        for track, spans in tracks(found, TASK).items()
        if track in (SHIM_SEND, SHIM_RECEIVE)
        for span in spans
    ]
    of_column = [task for task in result.tasks if task["column"] == 0]
    assert len(shim) == len(of_column)
    ops = tracks(found, TASK)[CONTROLLER]
    assert [span.args["op"] for span in ops] == list(range(len(ops)))
    assert len([span for span in ops if "unfinished" not in span.args]) == result.counts.ops


def test_an_arrow_leads_from_each_push_to_its_task():
    result, found = traced("gather_chain_c4_npu1"), spans_of("gather_chain_c4_npu1")
    assert len(found.arrows) == result.counts.pushes
    ops = {span.start: span for span in tracks(found, TASK)[CONTROLLER]}
    for arrow in found.arrows:
        assert "push" in ops[arrow.op_at].args
        assert arrow.op_at <= arrow.at
        assert arrow.at in [span.start for span in tracks(found, TASK)[arrow.track]]


def test_a_dropped_push_and_a_hang_are_marked_where_they_happened():
    result, found = traced("gather_rows_c1_o4k_npu1"), spans_of("gather_rows_c1_o4k_npu1")
    dropped = [mark for mark in found.marks if mark.name == "push dropped"]
    assert len(dropped) == result.counts.dropped_pushes == 6
    assert {mark.track for mark in dropped} == {SHIM_SEND}
    assert [mark.args["BD"] for mark in dropped] == [7, 9, 10, 12, 14, 15]
    kinds = [mark.name for mark in found.marks if mark.track == CONTROLLER]
    assert kinds == ["queue-overflow"] * 6 + ["hang"]


def test_what_a_stalled_channel_waits_for_is_the_reason_of_the_wait_for_graph():
    result, found = traced("gather_rows_c1_o4k_npu1"), spans_of("gather_rows_c1_o4k_npu1")
    last = {span.track: span for span in found.spans if span.level == STATE}
    reasons = {wait.waiter: wait.reason for wait in result.waits}
    assert last[SHIM_RECEIVE].args["reason"] == reasons["shim(0,0) S2MM 0"]
    assert last[SHIM_RECEIVE].state == STREAM
    memtile_send = channel_id(0, 1, MM2S, 0)
    assert last[memtile_send].name == "waiting for lock 1 of memtile(0,1)"
    assert last[memtile_send].state == LOCK
    assert last[memtile_send].end == found.end


def test_a_lost_token_is_marked():
    ops = copy(256)[:-1]
    ops[4] = token_id(controller=14)
    result = simulate(passthrough(), stream(ops), small_buffers(256), trace=True)
    assert "token-unrouted" in result.met
    marks = [mark for mark in timeline(result).marks if mark.name == "token lost"]
    assert [mark.track for mark in marks] == [SHIM_RECEIVE]


def test_states_of_a_copy_are_the_ones_of_the_timing_model():
    result = simulate(passthrough(), stream(copy(1024)), small_buffers(1024), trace=True)
    found = timeline(result)
    sent = [(span.name, span.state) for span in tracks(found, STATE)[SHIM_SEND]]
    assert sent[0] == ("latency", LATENCY)
    assert sent[1] == ("moving", MOVING)
    received = [span.name for span in tracks(found, STATE)[SHIM_RECEIVE]]
    assert received[:2] == ["latency", "waiting for data"]
    memtile = [span.name for span in tracks(found, STATE)[channel_id(0, 1, MM2S, 0)]]
    assert memtile[0] == "waiting for lock 1 of memtile(0,1)"
    task = tracks(found, TASK)[SHIM_RECEIVE][0]
    assert task.args | {"token": True, "op": 5, "BD": 0} == task.args


def test_a_task_of_the_configuration_begins_with_the_trace():
    tasks = tracks(spans_of(PASSTHROUGH), TASK)[channel_id(0, 1, S2MM, 0)]
    assert [(span.start, span.args["unfinished"]) for span in tasks] == [(0.0, True)]


def test_a_queued_task_starts_when_the_one_before_has_ended():
    ops = [*copy(1024)[:5], push(S2MM, 0, token=True), push(MM2S, 1), push(MM2S, 1)]
    ops += [bd(2, 1024), push(S2MM, 0)]
    result = simulate(passthrough(), stream(ops), small_buffers(1024), trace=True)
    found = timeline(result)
    first, second = tracks(found, TASK)[SHIM_SEND]
    assert second.start >= first.end
    queue = [(s.at, s.value) for s in found.samples if s.name == "MM2S 0 queue"]
    assert [value for _, value in queue] == [1, 0]
    assert queue[1][0] == second.start


def test_a_loaded_pdi_ends_the_tasks_that_ran_and_starts_its_own():
    first = passthrough()
    both = replace(first, others={**first.others, 2: first.others[0]})
    ops = [*copy(256), LoadPdi(2, 0, 0), *copy(256)]
    found = timeline(simulate(both, stream(ops), small_buffers(256), trace=True))
    before, after = tracks(found, TASK)[channel_id(0, 1, S2MM, 0)]
    assert before.args["reset"]
    assert (before.start, before.end, after.end) == (0.0, after.start, found.end)
    load = next(span for span in tracks(found, TASK)[CONTROLLER] if span.name == "LOADPDI")
    assert load.end == after.start


def test_core_models_have_a_track():
    def core(tile):
        yield tile.wait(100)
        yield tile.acquire(3)

    try:
        result = simulate(
            passthrough(),
            stream(copy(256)),
            small_buffers(256),
            trace=True,
            core_models={(0, 2): core},
        )
    except Stalled as stall:
        result = stall.result
    spans = [span for span in timeline(result).spans if "core" in channel_name(max(span.track, 0))]
    assert [span.name for span in spans] == ["running", "waiting for lock 3 of core(0,2)"]
    assert spans[0].end - spans[0].start == 100
    check_trace(trace_json(result))


def test_a_run_without_a_trace_has_an_empty_one():
    result = simulate(passthrough(), stream(copy(256)), small_buffers(256))
    found = timeline(result)
    assert found.spans == []
    assert found.end == result.cycles
    check_trace(trace_json(result, found))


def test_events_logged_early_come_in_order_and_those_of_a_loaded_pdi_stay_in_place():
    log = np.zeros(5, EVENT)
    log["at"] = [10, 30, 20, 0, 40]
    log["a"] = range(5)
    ordered = in_order(log)
    assert ordered["at"].tolist() == [10, 20, 30, 30, 40]
    assert ordered["a"].tolist() == [0, 2, 1, 3, 4]
    assert in_order(log[:0]).size == 0


def test_spread_divides_what_lies_on_an_edge_and_leaves_out_what_took_no_time():
    def span(start, end):
        return Span(0, STATE, "", MOVING, start, end, {})

    edges = np.array([0.0, 10.0, 20.0])
    spans = [span(0.0, 10.0), span(5.0, 15.0), span(7.0, 7.0)]
    assert spread(spans, [8, 10, 99], edges).tolist() == pytest.approx([13.0, 5.0])
    assert spread([], [], edges).tolist() == [0.0, 0.0]

# SPDX-License-Identifier: Apache-2.0
"""Scan against a slow reference that decodes every element to float64, and what it refuses."""

import math
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdgen.errors import PlanError
from bdgen.scan import ELEMENTS, magnitude_limit, scan

compiles = settings(deadline=None)  # the first call may compile for a second
NAMES = list(ELEMENTS)
FLOATS = ["bf16", "fp16", "fp32"]
WORDS = {"bf16": "u2", "fp16": "u2", "fp32": "u4", "int8": "i1", "int4": "u1"}


def decode(words, name):
    """Every element as float64, which holds each of the five types exactly."""
    if name in FLOATS:
        bits = words.astype(np.uint32) << 16 if name == "bf16" else words
        with np.errstate(invalid="ignore"):  # signalling NaN
            return bits.view(np.float16 if name == "fp16" else np.float32).astype(np.float64)
    if name == "int8":
        return words.astype(np.float64)
    nibbles = np.stack([words & 15, words >> 4], axis=1).reshape(-1).astype(np.int8)
    return np.where(nibbles < 8, nibbles, nibbles - 16).astype(np.float64)


def marks(values, threshold):
    """The rule as it is written down, one element after another."""
    return [
        math.isnan(x) or (abs(x) >= threshold if threshold > 0 else x != 0) for x in values.tolist()
    ]


def reference(words, name, threshold=0.0, count=None):
    values = decode(words, name)[:count]
    packed = bytearray((len(values) + 7) // 8)
    for i, active in enumerate(marks(values, threshold)):
        packed[i // 8] |= active << i % 8
    return np.frombuffer(bytes(packed), np.uint8)


@st.composite
def vectors(draw):
    """Element type and random words, two in five of them zeros, signed zeros, NaN, infinities..."""
    name = draw(st.sampled_from(NAMES))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, 300))
    words = rng.integers(0, 256, count * np.dtype(WORDS[name]).itemsize, np.uint8)
    words = words.view(WORDS[name])
    special = [0, 1, np.iinfo(words.dtype).max, np.iinfo(words.dtype).min]
    if name in FLOATS:
        sign = 1 << ELEMENTS[name].bits - 1
        infinity = magnitude_limit(name, math.inf)
        special = [0, sign, 1, sign + 1, infinity, sign + infinity, infinity + 1, sign - 1]
    at = rng.random(len(words)) < 0.4
    words[at] = rng.choice(np.array(special, dtype=words.dtype), at.sum())
    return name, words


@st.composite
def vectors_and_thresholds(draw):
    """A threshold that is often the magnitude of an element, or its neighbour in float64."""
    name, words = draw(vectors())
    magnitudes = np.abs(decode(words, name))
    magnitudes = magnitudes[~np.isnan(magnitudes)].tolist()
    anything = st.floats(0, allow_nan=False)
    if not magnitudes:
        return name, words, draw(anything)
    value = draw(st.sampled_from(magnitudes))
    beside = [value, max(0.0, math.nextafter(value, 0)), math.nextafter(value, math.inf)]
    return name, words, draw(st.sampled_from(beside) | anything)


@compiles
@given(vectors_and_thresholds())
def test_marks_what_the_slow_reference_marks(case):
    name, words, threshold = case
    got = scan(words, dtype=name, threshold=threshold)
    np.testing.assert_array_equal(got, reference(words, name, threshold))


@compiles
@given(vectors())
def test_bits_past_the_last_element_are_zero_in_a_dirty_out(case):
    name, words = case
    count = len(words) * ELEMENTS[name].per_word
    out = np.full((count + 7) // 8, 0xFF, np.uint8)
    assert scan(words, dtype=name, out=out) is out
    np.testing.assert_array_equal(out, reference(words, name))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200])
def test_no_length_loses_its_tail(name, length):
    words = np.zeros(length, WORDS[name])
    words[-1:] = 1
    np.testing.assert_array_equal(scan(words, dtype=name), reference(words, name))


@pytest.mark.parametrize("name", FLOATS)
def test_special_values(name):
    bits = ELEMENTS[name].bits
    sign, infinity = 1 << bits - 1, magnitude_limit(name, math.inf)
    words = np.array(
        [0, sign, 1, sign + 1, infinity, sign + infinity, infinity + 1, 2 * sign - 1], WORDS[name]
    )
    zero, denormal, inf, nan = (slice(at, at + 2) for at in (0, 2, 4, 6))
    for threshold in (0.0, -0.0):
        marked = np.unpackbits(scan(words, dtype=name, threshold=threshold), bitorder="little")
        assert not marked[zero].any()
        assert marked[denormal].all() and marked[inf].all() and marked[nan].all()
    marked = np.unpackbits(scan(words, dtype=name, threshold=math.inf), bitorder="little")
    assert marked.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_every_pattern_at_every_kind_of_threshold(name):
    words = np.arange(1 << 16, dtype=np.uint16)
    values = decode(words, name)
    thresholds = [0, 5e-324, 1e-40, 6e-8, 6.1e-5, 0.1, 1, 1.0001, 65504, 65519.99, 65520, 1e300]
    for threshold in [*thresholds, math.inf]:
        active = np.isnan(values) | ((values != 0) & (np.abs(values) >= threshold))
        np.testing.assert_array_equal(
            scan(words, dtype=name, threshold=threshold), np.packbits(active, bitorder="little")
        )


@compiles
@given(st.sampled_from(FLOATS), st.floats(0, allow_nan=False, exclude_min=True))
def test_limit_is_the_least_pattern_not_below_the_threshold(name, threshold):
    limit = magnitude_limit(name, threshold)
    below, at = decode(np.array([limit - 1, limit], WORDS[name]), name)
    assert below < threshold <= at


@pytest.mark.parametrize(("name", "least"), [("int8", -128), ("int4", -8)])
def test_integers_at_every_threshold_with_the_least_one_handled(name, least):
    words = np.arange(256).astype(WORDS[name])
    for half in range(-4 * least):
        np.testing.assert_array_equal(
            scan(words, dtype=name, threshold=half / 2), reference(words, name, half / 2)
        )
    for threshold, nothing in ((-least, False), (-least + 0.5, True), (math.inf, True)):
        assert scan(words, dtype=name, threshold=threshold).any() != nothing


def test_int4_takes_the_low_nibble_first():
    assert scan(np.array([0x0F, 0x10], np.uint8), dtype="int4").tolist() == [0b1001]


@pytest.mark.parametrize("length", [1, 4, 5, 32, 33, 100])
def test_int4_count_drops_the_unused_nibble(length):
    words = np.full(length, 0x11, np.uint8)
    got = scan(words, dtype="int4", count=2 * length - 1)
    np.testing.assert_array_equal(got, reference(words, "int4", count=2 * length - 1))


@pytest.mark.parametrize(
    ("array", "name"), [(np.float16, "fp16"), (np.float32, "fp32"), (np.int8, "int8")]
)
def test_arrays_that_say_their_type_need_no_dtype(array, name):
    values = np.array([0, 1, 0, -2, 0, 0, 0, 0, 3], array)
    assert scan(values).tolist() == [0b1010, 1]
    assert scan(values, dtype=name).tolist() == [0b1010, 1]


@pytest.mark.parametrize("name", NAMES)
def test_strided_read_only_and_unaligned_vectors(name):
    words = np.random.default_rng(1).integers(0, 3, 500).astype(WORDS[name])
    np.testing.assert_array_equal(scan(words[::-3], dtype=name), reference(words[::-3], name))
    unaligned = np.frombuffer(b"\0" + words.tobytes(), words.dtype, offset=1)
    assert not unaligned.flags.writeable
    np.testing.assert_array_equal(scan(unaligned, dtype=name), reference(words, name))


@pytest.mark.parametrize("name", NAMES)
def test_a_call_with_out_allocates_no_array(name):
    words = np.ones(1 << 16, WORDS[name])
    out = scan(words, dtype=name)
    tracemalloc.start()
    try:
        scan(words, dtype=name, out=out)
        assert tracemalloc.get_traced_memory()[1] < len(out) / 2
    finally:
        tracemalloc.stop()


def test_unaligned_out():
    words = np.random.default_rng(2).integers(0, 3, 640).astype(np.int8)
    out = np.zeros(81, np.uint8)[1:]
    np.testing.assert_array_equal(scan(words, out=out), reference(words, "int8"))


NO_TYPE = (
    "does not say what elements it holds; give a float16, float32 or int8 array, or bits with a "
    'dtype: uint16 with "bf16" or "fp16", uint8 with "int4"'
)


@pytest.mark.parametrize(
    ("values", "options", "sentence"),
    [
        ([1.0], {}, f"a list {NO_TYPE}"),
        (np.zeros(3), {}, f"a 1-D float64 array {NO_TYPE}"),
        (np.zeros(3, ">f2"), {}, f"a 1-D >f2 array {NO_TYPE}"),
        (np.zeros(3, np.uint16), {}, f"a 1-D uint16 array {NO_TYPE}"),
        (
            np.zeros(3, np.float16),
            {"dtype": "bf16"},
            "a 1-D float16 array does not hold bf16 elements; give uint16",
        ),
        (
            np.zeros(3, np.uint8),
            {"dtype": "fp32"},
            "a 1-D uint8 array does not hold fp32 elements; give float32 or uint32",
        ),
        (
            np.zeros(3, np.uint8),
            {"dtype": "fp8"},
            "element type 'fp8' is unknown; give one of bf16, fp16, fp32, int8, int4",
        ),
        (
            np.zeros((2, 3), np.int8),
            {},
            "an activation vector has 1 dimension, not 2; scan one token at a time",
        ),
        (
            np.zeros((), np.int8),
            {},
            "an activation vector has 1 dimension, not 0; scan one token at a time",
        ),
    ],
)
def test_other_vectors_are_refused(values, options, sentence):
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        scan(values, **options)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("threshold", "what"),
    [
        (-1e-300, "-1e-300 is not a magnitude"),
        (math.nan, "nan is not a magnitude"),
        (-math.inf, "-inf is not a magnitude"),
        (None, "None is not a number"),
        ([1.0], r"\[1.0\] is not a number"),
        ("half", "'half' is not a number"),
    ],
)
def test_bad_thresholds_are_refused(name, threshold, what):
    with pytest.raises(PlanError, match=f"^threshold {what}; give 0 or more$"):
        scan(np.zeros(4, WORDS[name]), dtype=name, threshold=threshold)


@pytest.mark.parametrize(
    ("name", "count", "held"), [("int8", 3, 4), ("int4", 6, 8), ("int4", 9, 8), ("int4", -1, 0)]
)
def test_a_count_that_is_not_the_vectors_is_refused(name, count, held):
    words = np.zeros(held // ELEMENTS[name].per_word, WORDS[name])
    sentence = f"count is {count}, but the vector holds {held} {name} elements; slice it"
    with pytest.raises(PlanError, match=f"^{sentence}$"):
        scan(words, dtype=name, count=count)


def read_only(size):
    array = np.zeros(size, np.uint8)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("out", "what"),
    [
        (np.zeros(1, np.uint8), "a 1-D uint8 array"),
        (np.zeros(3, np.uint8), "a 1-D uint8 array"),
        (np.zeros(2, np.int8), "a 1-D int8 array"),
        (np.zeros((2, 1), np.uint8), "a 2-D uint8 array"),
        (np.zeros(4, np.uint8)[::2], "a 1-D uint8 array"),
        (read_only(2), "a 1-D uint8 array"),
        (bytearray(2), "a bytearray"),
    ],
)
def test_an_out_that_does_not_fit_is_refused(out, what):
    sentence = (
        f"out is {what} that cannot take the bitmap of 12 elements; give a writable, contiguous "
        "uint8 array of 2 bytes"
    )
    with pytest.raises(PlanError, match=f"^{sentence}$"):
        scan(np.ones(12, np.int8), out=out)


@pytest.mark.parametrize("name", NAMES)
def test_an_out_inside_the_vector_is_refused_before_it_is_written(name):
    words = np.ones(64, WORDS[name])
    size = 64 * ELEMENTS[name].per_word // 8
    with pytest.raises(PlanError, match=r"^out shares memory with the activation vector; give"):
        scan(words, dtype=name, out=words.view(np.uint8)[-size:])
    assert (words == 1).all()

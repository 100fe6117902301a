"""Plain data survive the trip; anything malformed is an EvidenceError and nothing else."""

from __future__ import annotations

import contextlib
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit.checks.codec import pack, unpack
from coursekit.checks.compare import same
from coursekit.errors import EvidenceError

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8).filter(lambda k: k[:1] != "$"), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=60)
@given(PLAIN)
def test_plain_data_come_back_equal(value):
    back = unpack(pack(value))
    assert same(value, back) or value == back


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_tensors_come_back_to_the_bit(dtype):
    tensor = torch.arange(24).reshape(2, 3, 4).transpose(0, 2).to(dtype)
    back = unpack(pack({"a": [tensor, {"b": tensor[0]}]}))
    assert torch.equal(back["a"][0], tensor)
    assert back["a"][0].dtype == dtype
    assert torch.equal(back["a"][1]["b"], tensor[0])


def test_numbers_that_json_has_no_word_for():
    back = unpack(pack([math.inf, -math.inf, math.nan]))
    assert back[:2] == [math.inf, -math.inf]
    assert math.isnan(back[2])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0",
        b"\xff\xff\xff\xff{}",
        b"\0\0\0\x02{}" + b"garbage",
        b"\0\0\0\x03NaN" + pack(None)[8:],
        b"\0\0\0\x02\xff\xfe" + pack(None)[8:],
        pack({"a": torch.ones(3)})[:-4],
        pack(None).replace(b"null", b"nul}"),
    ],
)
def test_malformed_frames_are_refused(data):
    with pytest.raises(EvidenceError):
        unpack(data)


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_that(data):
    with contextlib.suppress(EvidenceError):
        unpack(data)


def test_a_tensor_that_is_not_there_a_deep_nest_and_a_large_frame_are_refused():
    named = b'{"$tensor":"t9"}'
    with pytest.raises(EvidenceError, match="t9"):
        unpack(len(named).to_bytes(4, "big") + named + pack(None)[8:])
    deep = b"[" * 40 + b"]" * 40
    with pytest.raises(EvidenceError, match="deeper"):
        unpack(len(deep).to_bytes(4, "big") + deep + pack(None)[8:])
    with pytest.raises(EvidenceError, match="at most"):
        unpack(pack("x" * 1000), max_bytes=100)


def test_what_is_not_plain_cannot_be_packed():
    with pytest.raises(EvidenceError, match="plain"):
        pack({"a": object()})

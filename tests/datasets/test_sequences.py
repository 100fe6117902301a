"""Each task keeps the law that its docstring states."""

from __future__ import annotations

import itertools
import re

import pytest
import torch

from coursekit.datasets import sequences
from coursekit.errors import InputError
from coursekit.runtime import generator

TASKS = {
    "parity": lambda g: sequences.parity(6, 9, generator=g),
    "first_symbol": lambda g: sequences.first_symbol(6, 9, 4, generator=g),
    "future_token": lambda g: sequences.future_token(6, 9, 4, generator=g),
    "reversal": lambda g: sequences.reversal(6, 9, 4, generator=g),
    "adding": lambda g: sequences.adding(6, 9, generator=g),
    "counting": lambda g: sequences.counting(6, 20, generator=g),
    "resets": lambda g: sequences.resets(6, 9, generator=g),
    "chords": lambda g: sequences.chords(6, 9, generator=g),
    "formants": lambda g: sequences.formants(6, 9, generator=g),
    "strokes": lambda g: sequences.strokes(6, generator=g),
}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_seed_fixes_the_data_and_torchs_own_generator_is_left_alone(task) -> None:
    before = torch.get_rng_state()
    first, again, other = task(generator(3)), task(generator(3)), task(generator(4))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert torch.equal(before, torch.get_rng_state())


def test_parity_of_the_two_strings_from_the_deck() -> None:
    assert sequences.parity_label("1000010101") is True
    assert sequences.parity_label("100011") is False
    assert sequences.parity_label("") is True


def test_parity_is_that_of_every_prefix() -> None:
    x, y = sequences.parity(20, 15, generator=generator(0))
    assert x.shape == (20, 15, 1) and x.dtype == torch.float32 and y.dtype == torch.int64
    for bits, labels in zip(x.squeeze(-1).long().tolist(), y.tolist(), strict=True):
        for t, label in enumerate(labels):
            assert bool(label) == sequences.parity_label("".join(map(str, bits[: t + 1])))


def test_first_symbol_is_the_first_and_says_nothing_about_the_others() -> None:
    x, y = sequences.first_symbol(4000, 6, 5, generator=generator(0))
    assert torch.equal(x[:, 0].argmax(-1), y)
    assert torch.equal(x.sum(-1), torch.ones(4000, 6))
    agree = (x.argmax(-1)[:, 1:] == y.unsqueeze(1)).float().mean(0)
    assert (agree - 1 / 5).abs().max() < 0.04  # six standard deviations of a share of 4,000


def test_future_token_is_one_step_ahead_and_the_last_is_its_own() -> None:
    x, y = sequences.future_token(7, 9, 4, generator=generator(0))
    ids = x.argmax(-1)
    assert torch.equal(y[:, :-1], ids[:, 1:])
    assert torch.equal(y[:, -1], ids[:, -1])


def test_reversal_is_the_source_read_backwards() -> None:
    source, target = sequences.reversal(5, 8, 10, generator=generator(0))
    assert source.dtype == target.dtype == torch.int64
    assert [row[::-1] for row in source.tolist()] == target.tolist()
    assert source.min() >= 0 and source.max() <= 9


@pytest.mark.parametrize("length", [2, 7, 50])
def test_adding_sums_the_value_marked_in_each_half(length: int) -> None:
    x, y = sequences.adding(2000, length, generator=generator(0))
    values, markers = x.unbind(-1)
    half = length // 2
    assert (markers[:, :half].sum(1) == 1).all() and (markers[:, half:].sum(1) == 1).all()
    torch.testing.assert_close(y, values[markers == 1].view(-1, 2).sum(1))
    assert abs(float((y - 1).square().mean()) - 1 / 6) < 0.03


def test_counting_fires_one_period_after_each_spike() -> None:
    x, y = sequences.counting(200, 40, period=6, generator=generator(0))
    x = x.squeeze(-1).long()
    assert torch.equal(y[:, 6:], x[:, :-6]) and y[:, :6].sum() == 0
    assert (y.sum(1) >= 1).all()
    for row in x.tolist():
        spikes = [t for t, value in enumerate(row) if value]
        assert all(later - earlier > 6 for earlier, later in itertools.pairwise(spikes))


def test_resets_sum_what_came_since_the_last_marker() -> None:
    x, y = sequences.resets(20, 60, rate=0.2, generator=generator(0))
    assert (x[:, 0, 1] == 1).all()
    for stream, sums in zip(x.tolist(), y.tolist(), strict=True):
        total = 0.0
        for (value, marker), expected in zip(stream, sums, strict=True):
            total = value if marker else total + value
            assert total == pytest.approx(expected, abs=1e-5)


def test_the_value_of_the_expression_from_the_deck() -> None:
    assert sequences.arithmetic_value("3e36d9-h1h39f94eeh43keg3c") == 3369 - 13994433 == -13991064


def test_arithmetic_strews_letters_into_two_numbers() -> None:
    expressions = sequences.arithmetic(200, 4, 7, generator=generator(0))
    signs = set()
    for text, clean, value in expressions:
        assert len(re.findall("[a-z]", text)) == 7 and text[0].isdigit()
        assert re.sub("[a-z]", "", text) == clean
        a, sign, b = re.fullmatch(r"(\d{1,4})([+-])(\d{1,4})", clean).groups()
        assert str(int(a)) == a and str(int(b)) == b  # no leading zeros
        assert value == (int(a) + int(b) if sign == "+" else int(a) - int(b))
        signs.add(sign)
    assert signs == {"+", "-"}
    assert {len(clean.split(sign)[0]) for _, clean, _ in expressions for sign in "+-" if sign in clean} == {
        1,
        2,
        3,
        4,
    }
    assert expressions == sequences.arithmetic(200, 4, 7, generator=generator(0))


@pytest.mark.parametrize("text", ["", "12", "1+2+3", "-3+4", "1*2", "A1+2", None])
def test_arithmetic_value_refuses_what_is_not_an_expression(text) -> None:
    with pytest.raises(InputError, match="expected number"):
        sequences.arithmetic_value(text)


def test_xml_closes_tags_last_in_first_out_and_not_too_deep() -> None:
    texts = sequences.xml(300, 3, generator=generator(0))
    deepest = 0
    for text in texts:
        assert sequences.is_well_formed(text)
        depth = 0
        for closing in re.findall(r"<(/?)", text):
            depth += -1 if closing else 1
            deepest = max(deepest, depth)
    assert deepest == 3
    assert texts == sequences.xml(300, 3, generator=generator(0)) != sequences.xml(300, 3, generator=generator(1))


@pytest.mark.parametrize(
    "text",
    ["", "<a>", "</a>", "<a><b></a></b>", "<a></b>", "<a>x</a>", "x<a></a>", "<a></a>x", "<a></a></a>"],
)
def test_malformed_xml_is_seen(text: str) -> None:
    assert not sequences.is_well_formed(text)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda g: sequences.parity(0, 5, generator=g), "n"),
        (lambda g: sequences.parity(5, 2.0, generator=g), "length"),
        (lambda g: sequences.parity(True, 5, generator=g), "n"),
        (lambda g: sequences.parity(2, 5, generator=7), "generator"),
        (lambda g: sequences.first_symbol(2, 5, 0, generator=g), "symbols"),
        (lambda g: sequences.adding(2, 1, generator=g), "length"),
        (lambda g: sequences.counting(2, 5, period=5, generator=g), "length"),
        (lambda g: sequences.resets(2, 5, rate=1.5, generator=g), "rate"),
        (lambda g: sequences.arithmetic(2, 0, 3, generator=g), "digits"),
        (lambda g: sequences.arithmetic(2, 3, -1, generator=g), "distractors"),
        (lambda g: sequences.xml(2, 0, generator=g), "depth"),
        (lambda g: sequences.chords(2, 0, generator=g), "length"),
        (lambda g: sequences.formants(0, 5, generator=g), "n"),
        (lambda g: sequences.strokes(0, generator=g), "n"),
        (lambda g: sequences.parity_label("10a"), "bits"),
    ],
)
def test_a_bad_argument_is_named_with_what_to_do(call, name: str) -> None:
    with pytest.raises(InputError, match=rf"`{name}`: got .*, expected .*\. Pass .*\.$"):
        call(generator(0))

"""The data of unit 01 as worlds: answers are checked against the rule, read independently from the sample."""

from __future__ import annotations

import pytest
import torch

from coursekit.datasets import reviews, sequences, translation, worlds
from coursekit.datasets.world import Sample
from coursekit.runtime import generator


def draw(name: str, n: int = 60) -> Sample:
    return worlds.world(name).draw(n, generator=generator(0))


def test_parity_and_recall_and_reversal_follow_their_rules() -> None:
    sample = draw("parity")
    for bits, even in zip(sample.x[..., 0].int().tolist(), sample.y.tolist(), strict=True):
        assert [sequences.parity_label("".join(map(str, bits[: t + 1]))) for t in range(len(bits))] == [
            bool(e) for e in even
        ]
    sample = draw("recall")
    assert torch.equal(sample.x[:, 0].argmax(1), sample.labels[:, 0])
    sample = draw("reversal")
    assert sample.x.tolist() == [row[::-1] for row in sample.y.tolist()]


def test_adding_and_counting_and_arithmetic_follow_their_rules() -> None:
    sample = draw("adding")
    assert torch.allclose((sample.x[..., 0] * sample.x[..., 1]).sum(1), sample.y)
    sample = draw("counting")
    assert torch.equal(sample.x[:, :-5, 0].long(), sample.y[:, 5:]) and not sample.y[:, :5].any()
    sample = draw("arithmetic")
    assert [sequences.arithmetic_value(text) for text in sample.x] == sample.y.tolist()


def test_texts_follow_their_rules() -> None:
    assert all(sequences.is_well_formed(text) for text in draw("xml").x)
    known = set(translation.all_pairs())
    sample = draw("translation")
    assert all(translation.Translation(*pair) in known for pair in zip(sample.x, sample.y, strict=True))
    sample = draw("reviews")
    for text, label in zip(sample.x, sample.labels[:, 0].tolist(), strict=True):
        last = text.split(" the ")[-1].split()
        assert ((last[-1] in reviews.GOOD) != ("not" in last)) == bool(label), text


def test_frames_come_with_the_frame_or_the_class_that_belongs_to_them() -> None:
    sample = draw("chords")
    assert torch.equal(sample.x[:, 1:], sample.y[:, :-1])
    assert draw("formants").y.shape == (60, 20) and draw("formants").y.max() == 9
    assert draw("strokes").x.shape[1:] == (24, 3)


@pytest.mark.parametrize("name", ["parity", "adding", "chords", "formants", "strokes", "recall"])
def test_a_world_draws_what_its_function_draws(name: str) -> None:
    calls = {
        "parity": lambda g: sequences.parity(8, 20, generator=g),
        "adding": lambda g: sequences.adding(8, 20, generator=g),
        "chords": lambda g: sequences.chords(8, 20, generator=g),
        "formants": lambda g: sequences.formants(8, 20, generator=g),
        "strokes": lambda g: sequences.strokes(8, generator=g),
        "recall": lambda g: sequences.first_symbol(8, 20, 8, generator=g),
    }
    assert torch.equal(draw(name, 8).x, calls[name](generator(0)).x)

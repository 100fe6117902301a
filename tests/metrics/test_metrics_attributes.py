"""Accuracies, entropy and modes, by hand and against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from coursekit import metrics
from coursekit.datasets import birds
from coursekit.errors import InputError
from coursekit.runtime import generator

NAMES = {"colour": ("red", "green", "blue"), "size": ("small", "large")}
READ = torch.tensor([[0, 0], [1, 1], [2, 0], [0, 1]])


def words(text: str) -> dict[str, str]:
    """A parser of its own, so that nothing here depends on a world's."""
    return {name: word for name, values in NAMES.items() for word in text.split() if word in values}


def test_attribute_accuracy_by_hand() -> None:
    asked = torch.tensor([[0, 1], [1, 1], [2, 1], [1, 1]])
    assert metrics.attribute_accuracy(READ, asked).tolist() == [0.75, 0.5]
    assert metrics.attribute_accuracy(READ, READ).tolist() == [1, 1]


def test_caption_accuracy_by_hand() -> None:
    """Told: red (true), large and green (true, true), small and red (true, false), nothing. 4 of 5 facts, 2 of 3 captions."""
    captions = ["a red thing", "large and green", "small, red : it is small red", "it is pretty"]
    got = metrics.caption_accuracy([c.replace(",", "") for c in captions], READ, NAMES, words)
    assert got.facts == pytest.approx(4 / 5) and got.captions == pytest.approx(2 / 3)


def test_captions_of_birds_are_true_of_their_own_birds() -> None:
    """And of others only by chance: a fact about a colour holds in 1 of 9 birds, one about a side in 1 of 2.

    Each of the seven is told as often, but "red with white" or "completely" change that a little; expected about
    (4/9 + 3/2) / 7 = 0.278. Over 20 seeds at 400 birds: facts 0.278 +- 0.011, captions 0.024 +- 0.007.
    """
    draw = generator(0)
    flock = birds.sample(400, generator=draw)
    captions = birds.caption(flock, generator=draw)
    own = metrics.caption_accuracy(captions, flock.stack(), birds.NAMES, birds.parse)
    assert own == (1, 1)
    other = metrics.caption_accuracy(captions, birds.sample(400, generator=draw).stack(), birds.NAMES, birds.parse)
    assert other.facts == pytest.approx(0.278, abs=0.05) and other.captions < 0.06


def test_entropy_of_known_shares() -> None:
    """Colour 2, 1, 1 of 4: 1.5 bits. Size 2, 2: 1 bit. One value only: 0."""
    got = metrics.attribute_entropy(READ, (3, 2))
    assert (got / math.log(2)).tolist() == pytest.approx([1.5, 1])
    assert metrics.attribute_entropy(READ[:1], (3, 2)).tolist() == [0, 0]


def test_entropy_is_too_low_as_miller_says() -> None:
    """Uniform over K = 9, N = 200: ln 9 - 8 / 400. Mean over 200 draws; its standard error is 0.001."""
    draws = [
        metrics.attribute_entropy(torch.randint(9, (200, 1), generator=generator(s)), (9,)).item() for s in range(200)
    ]
    assert sum(draws) / 200 == pytest.approx(math.log(9) - 8 / 400, abs=0.005)


RING = torch.stack([torch.tensor([math.cos(a), math.sin(a)]) for a in torch.arange(8) * math.pi / 4])


def test_true_samples_of_a_ring_cover_it_and_0_989_are_good() -> None:
    """In two dimensions |x - m| / sigma exceeds 3 with probability exp(-9/2). At N = 20,000 one deviation is 0.0007."""
    draw = generator(1)
    which = torch.randint(8, (20_000,), generator=draw)
    x = RING[which] + 0.02 * torch.randn(20_000, 2, generator=draw)
    got = metrics.mode_coverage(x, RING, 0.02)
    assert got.covered == 8 and got.quality == pytest.approx(1 - math.exp(-4.5), abs=0.004)
    assert got.counts.sum() == round(got.quality * 20_000)
    assert (got.counts <= torch.bincount(which)).all()


def test_collapse_and_noise_are_told_apart() -> None:
    one = metrics.mode_coverage(RING[:1].expand(100, 2), RING, 0.02)
    assert (one.covered, one.quality) == (1, 1)
    noise = metrics.mode_coverage(torch.rand(20_000, 2, generator=generator(2)) * 4 - 2, RING, 0.02)
    assert noise.covered == 8 and noise.quality < 0.01  # 8 pi 0.06^2 / 16 = 0.0057
    # Just within and just outside of 3 sigma; halfway between two modes; not a number.
    x = torch.tensor([[1.0599, 0.0], [1.0601, 0.0], [0.854, 0.354], [math.nan, 0.0]])
    got = metrics.mode_coverage(x, RING, 0.02)
    assert (got.covered, got.quality, got.counts.tolist()) == (1, 0.25, [1, 0, 0, 0, 0, 0, 0, 0])


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(InputError, match="two tensors"):
        metrics.attribute_accuracy(READ, READ[:2])
    with pytest.raises(InputError, match="N captions"):
        metrics.caption_accuracy(["red"], READ, NAMES, words)
    with pytest.raises(InputError, match="tell a fact"):
        metrics.caption_accuracy(["nothing"], READ[:1], NAMES, words)
    with pytest.raises(InputError, match="read"):
        metrics.attribute_entropy(READ, (3,))
    with pytest.raises(InputError, match="sigma"):
        metrics.mode_coverage(RING, RING, 0)

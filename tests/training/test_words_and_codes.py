"""The matching loss against cross entropy, which pairs fit, and two loops that learn something."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from coursekit.datasets import birds
from coursekit.errors import InputError
from coursekit.models.vq import CodePrior, VQAutoencoder
from coursekit.models.word_attention import WordMatcher
from coursekit.runtime import generator, seeded
from coursekit.training.vq import copy_loss, prior_loss, train_autoencoder, train_prior
from coursekit.training.word_attention import fitting, matching_loss, train_matcher


def test_the_matching_loss_is_cross_entropy_both_ways() -> None:
    scores, own = torch.randn(5, 5, generator=generator(0)).double(), torch.arange(5)
    expected = F.cross_entropy(4.0 * scores, own) + F.cross_entropy(4.0 * scores.T, own)
    assert torch.allclose(matching_loss(scores, gamma3=4.0), expected)
    assert math.isclose(float(matching_loss(torch.zeros(5, 5))), 2 * math.log(5), rel_tol=1e-6)
    with pytest.raises(InputError):
        matching_loss(scores[:4])


def test_pairs_that_also_fit_are_left_out() -> None:
    scores = torch.randn(4, 4, generator=generator(1)).double().requires_grad_()
    also = torch.eye(4, dtype=torch.bool)
    also[0, 2] = True
    loss = matching_loss(scores, also)
    (slope,) = torch.autograd.grad(loss, scores)
    assert slope[0, 2] == 0 and (slope.diagonal() < 0).all() and (slope[~also] > 0).all()
    row = 10 * scores.detach()[0, [0, 1, 3]]
    rest = matching_loss(scores.detach())
    column = 10 * scores.detach()[[1, 2, 3], 2]
    full_row, full_column = 10 * scores.detach()[0], 10 * scores.detach()[:, 2]
    less = (full_row.logsumexp(0) - row.logsumexp(0) + full_column.logsumexp(0) - column.logsumexp(0)) / 4
    assert torch.allclose(loss, rest - less)


def test_a_caption_fits_every_picture_that_has_its_facts() -> None:
    flock = birds.sample(60, generator=generator(2))
    texts = birds.caption(flock, generator=generator(3))
    told = [birds.parse(text) for text in texts]
    found = fitting(told, flock.stack(), birds.NAMES)
    slow = [[all(bird[k] == v for k, v in fact.items()) for bird in flock.names()] for fact in told]
    assert found.tolist() == slow and found.diagonal().all() and 60 < found.sum() < 1000


def test_words_learn_to_find_their_picture() -> None:
    """Red birds and blue birds: after 25 steps the matcher tells them (loss below 0.001 over six seeds; 2.2 to 10.9 at first)."""
    x = torch.full((2, 3, 32, 32), -1.0)
    x[0, 0], x[1, 2] = 1.0, 1.0
    with seeded(4):
        net = WordMatcher(["a", "red", "blue"], features=8, width=4)
    records = list(train_matcher(net, lambda k: (x, ["a red", "a blue"], torch.eye(2).bool()), steps=25, lr=1e-2))
    assert records[-1].loss < 0.1 < 1 < records[0].loss and not net.training


def test_copies_and_signs_get_better() -> None:
    x = birds.render(birds.sample(32, generator=generator(5)), generator=generator(6))
    with seeded(6):
        net = VQAutoencoder(k=16, features=4, width=6)
    before = [r.loss for r in train_autoencoder(net, lambda k: x, steps=25, lr=5e-3)]
    assert before[-1] < 0.8 * before[0] and not net.training
    perceived = copy_loss(net, x, perceive=lambda some: some.flatten(2).mT, weight=1.0)
    copy, found = net(x)
    cosine = F.cosine_similarity(copy.flatten(2), x.flatten(2), dim=1).mean()
    assert torch.allclose(perceived, (copy - x).abs().mean() + 0.1 * found.commitment + 1 - cosine, atol=1e-6)
    codes, texts = net.codes(x).flatten(1), ["a bird"] * 32
    with seeded(7):
        prior = CodePrior(["a", "bird"], k=16, features=12, layers=1, heads=2, longest=4)
    with torch.no_grad():
        first = float(prior_loss(prior, codes, texts))
    list(train_prior(prior, lambda k: (codes, texts), steps=20, lr=1e-2))
    with torch.no_grad():
        assert float(prior_loss(prior, codes, texts)) < math.log(16) < first + 0.5

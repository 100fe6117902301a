"""The codebook against plain distances, its gradient, its life and death; the prior's causality and its sampling."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from coursekit.errors import InputError
from coursekit.models.vq import Codebook, CodePrior, VQAutoencoder, load_autoencoder, perplexity, straight_through
from coursekit.runtime import generator, seeded


def features(n: int = 2, d: int = 3) -> torch.Tensor:
    return torch.randn(n, d, 4, 5, generator=generator(0))


def book(**options: object) -> Codebook:
    with seeded(1):
        return Codebook(7, 3, **options)  # type: ignore[arg-type]


def test_each_feature_becomes_the_nearest_code() -> None:
    net, z = book().eval(), features()
    found = net(z)
    far = torch.cdist(z.movedim(1, 3).flatten(0, 2), net.vectors)
    assert torch.equal(found.codes.flatten(), far.argmin(1))
    assert torch.equal(found.z, net.vectors[found.codes].movedim(3, 1))
    assert torch.allclose(found.commitment, far.min(1).values.square().mean() / 3)


def test_the_gradient_passes_straight_through() -> None:
    z, arriving = features().requires_grad_(), torch.randn(2, 3, 4, 5, generator=generator(2))
    (slope,) = torch.autograd.grad((book().eval()(z).z * arriving).sum(), z)
    assert torch.equal(slope, arriving)
    rounded, chosen = (torch.randn(4, generator=generator(k)).requires_grad_() for k in (3, 4))
    out = straight_through(rounded, chosen)
    out.square().sum().backward()
    assert torch.equal(out, chosen) and torch.equal(rounded.grad, 2 * chosen.detach()) and chosen.grad is None  # type: ignore[arg-type]


def test_commitment_pulls_features_and_not_the_book() -> None:
    net, z = book().eval(), features().requires_grad_()
    found = net(z)
    found.commitment.backward()
    assert torch.allclose(z.grad, 2 * (z.detach() - found.z.detach()) / z.numel())  # type: ignore[arg-type]
    assert not list(net.parameters())


def test_the_book_follows_the_mean_of_what_chose_it() -> None:
    net, z = book(decay=0.0, restart=False), features()
    with seeded(5):
        net(z)  # begins at features, then moves: with decay 0 right to the means
    start = torch.randn(7, 3, generator=generator(6))
    net.vectors.copy_(start)
    net(z)
    rows = z.movedim(1, 3).flatten(0, 2)
    near = torch.cdist(rows, start).argmin(1)
    for k in range(7):
        if (near == k).any():
            assert torch.allclose(net.vectors[k], rows[near == k].mean(0), atol=1e-6)
        else:
            assert torch.equal(net.vectors[k], start[k])


@pytest.mark.parametrize("restart", [False, True])
def test_a_dead_code_is_restarted_only_where_asked(restart: bool) -> None:
    net, z = book(decay=0.5, restart=restart), features()
    with seeded(7):
        net(z)
        net.vectors[3], net.sums[3] = 100.0, 100.0 * net.counts[3]
        for _ in range(12):
            net(z)
    rows = z.movedim(1, 3).flatten(0, 2)
    assert bool((net.vectors[3].abs() < rows.abs().max()).all()) is restart


def test_evaluation_leaves_the_book_alone() -> None:
    net = VQAutoencoder(k=5, features=3, width=4).eval()
    before = net.book.vectors.clone()
    x = torch.rand(2, 3, 32, 32, generator=generator(8)) * 2 - 1
    copy, found = net(x)
    assert torch.equal(net.book.vectors, before) and torch.equal(net.codes(x), found.codes)
    assert torch.allclose(net.paint(found.codes), copy.clamp(-1, 1), atol=1e-6)
    assert torch.equal(net.paint(found.codes.flatten(1)), net.paint(found.codes))
    with pytest.raises(InputError):
        net(torch.zeros(1, 3, 16, 16))


def test_perplexity_counts_codes_in_use() -> None:
    assert math.isclose(perplexity(torch.arange(8).repeat(5), 20), 8.0)
    assert math.isclose(perplexity(torch.zeros(9, dtype=torch.int64), 20), 1.0)
    p = torch.tensor([0.5, 0.25, 0.25])
    assert math.isclose(perplexity(torch.tensor([0, 0, 1, 2]), 3), float((-(p * p.log()).sum()).exp()), rel_tol=1e-6)


def prior() -> CodePrior:
    with seeded(9):
        return CodePrior(["a", "red", "bird"], k=11, features=12, layers=2, heads=3, longest=6).eval()


TEXTS = ["a red bird a", "bird"]


def test_a_prediction_sees_the_words_and_the_signs_before_it() -> None:
    net = prior()
    ids, _, mask = net.vocabulary.batch(TEXTS)
    codes = torch.randint(11, (2, 64), generator=generator(10))
    logits = net(ids, mask, codes)
    later = codes.clone()
    later[:, 30] = (later[:, 30] + 1) % 11
    moved = (net(ids, mask, later) - logits).abs().amax((0, 2)) > 1e-6
    assert logits.shape == (2, 64, 11) and not moved[:31].any() and moved[31:].all()
    padding = torch.where(mask, ids, 5)
    assert torch.allclose(net(padding, mask, codes), logits), "padding is read"
    alone = net(ids[1:, :1], mask[1:, :1], codes[1:])
    assert torch.allclose(alone, logits[1:], atol=1e-5), "what a text's neighbours are matters"
    told = ids.clone()
    told[0, 1] = 6
    assert ((net(told, mask, codes) - logits).abs().amax((1, 2)) > 1e-4).tolist() == [True, False]


def test_writing_step_by_step_is_the_same_model() -> None:
    """Without lot the next sign is the likeliest of a pass over the whole: so kept keys and values change nothing."""
    net = prior()
    written = net.write(TEXTS, temperature=0, generator=generator(11))
    ids, _, mask = net.vocabulary.batch(TEXTS)
    with torch.no_grad():
        assert torch.equal(net(ids, mask, written).argmax(2), written)
    assert torch.equal(net.write(TEXTS, top=1, generator=generator(12)), written)


def test_samples_follow_temperature_and_the_likeliest_signs() -> None:
    net, many = prior(), ["a red bird"] * 4000
    ids, _, mask = net.vocabulary.batch(many[:1])
    with torch.no_grad():
        first = net(ids, mask, torch.zeros(1, 1, dtype=torch.int64))[0, 0]
    net.to_logits.weight.data *= 3  # sharper, so that temperatures differ
    with torch.no_grad():
        first = net(ids, mask, torch.zeros(1, 1, dtype=torch.int64))[0, 0]
    for temperature, top in ((1.0, None), (0.5, None), (2.0, 3)):
        drawn = _first_signs(net, many, temperature, top)
        kept = first.topk(top or 11).indices
        expected = torch.zeros(11)
        expected[kept] = (first[kept] / temperature).softmax(0)
        shares = torch.bincount(drawn, minlength=11) / len(many)
        # Five standard deviations of a share of 4,000 draws; a seed is fixed besides.
        assert ((shares - expected).abs() <= 5 * (expected * (1 - expected) / len(many)).sqrt() + 1e-9).all()


def _first_signs(net: CodePrior, texts: list[str], temperature: float, top: int | None) -> torch.Tensor:
    import coursekit.models.vq as module

    whole, module.GRID = module.GRID, 1
    try:
        return net.write(texts, temperature=temperature, top=top, generator=generator(13))[:, 0]
    finally:
        module.GRID = whole


def test_what_cannot_be_written_is_refused() -> None:
    net = prior()
    for options in ({"temperature": -1.0}, {"top": 0}):
        with pytest.raises(InputError):
            net.write(["a"], generator=generator(0), **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="words"):
        net.write(["a " * 7], generator=generator(0))


def test_the_shipped_autoencoder_copies_birds() -> None:
    from coursekit.datasets.worlds import world

    net, x = load_autoencoder(), world("birds").draw(100, generator=generator(20)).x
    assert isinstance(x, torch.Tensor)
    copies = net.paint(net.codes(x))
    # 22.8 dB on 2,000 birds (the manifest); 22.57 to 22.88 for 100 birds over ten seeds.
    assert 10 * math.log10(4 / float(F.mse_loss(copies, x))) > 22

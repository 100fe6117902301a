"""Words and regions against plain loops and torch's own; a generator that looks at words."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from coursekit.errors import InputError
from coursekit.models.word_attention import (
    LONGEST,
    RegionEncoder,
    SentenceDiscriminator,
    WordContext,
    WordEncoder,
    WordGenerator,
    WordMatcher,
    load_matcher,
    region_contexts,
    relevance,
    told,
    untold,
)
from coursekit.runtime import generator, seeded

LENGTHS = torch.tensor([4, 2, 3])
MASK = torch.arange(4) < LENGTHS[:, None]


def words_and_regions() -> tuple[Tensor, Tensor]:
    own = generator(0)
    return torch.randn(3, 4, 5, generator=own).double(), torch.randn(2, 6, 5, generator=own).double()


def test_contexts_and_relevance_are_the_papers_sums() -> None:
    words, regions = words_and_regions()
    looks = region_contexts(words, regions, MASK, gamma1=3.0)
    found = relevance(words, looks.contexts, MASK, gamma2=2.0)
    for n in range(3):
        for m in range(2):
            t = int(LENGTHS[n])
            s = words[n, :t] @ regions[m].T
            terms = []
            for i in range(t):
                bar = [float(s[i, j].exp() / sum(s[k, j].exp() for k in range(t))) for j in range(6)]
                weight = torch.tensor([math.exp(3.0 * b) for b in bar]).double()
                weight /= weight.sum()
                assert torch.allclose(looks.weights[n, m, i], weight)
                context = weight @ regions[m]
                terms.append(math.exp(2.0 * float(F.cosine_similarity(context, words[n, i], dim=0))))
            assert math.isclose(float(found[n, m]), math.log(sum(terms)) / 2.0, rel_tol=1e-6)


def test_padding_takes_no_part() -> None:
    words, regions = words_and_regions()
    other = torch.where(MASK[..., None], words, 50.0)
    for some in (words, other):
        looks = region_contexts(some, regions, MASK)
        assert torch.allclose(looks.weights.sum(3), torch.ones(3, 2, 4).double())
    one, two = (relevance(w, region_contexts(w, regions, MASK).contexts, MASK) for w in (words, other))
    assert torch.allclose(one, two)
    alone = relevance(words[1:2, :2], region_contexts(words[1:2, :2], regions, MASK[1:2, :2]).contexts, MASK[1:2, :2])
    assert torch.allclose(one[1:2], alone)


def test_a_word_reads_both_ways_and_not_beyond_the_end() -> None:
    with seeded(0):
        net = WordEncoder(9, features=6).eval()
    ids = torch.tensor([[4, 5, 6, 0], [4, 5, 6, 7]])
    short = net(ids, torch.tensor([3, 4]))
    padded = net(torch.tensor([[4, 5, 6, 8]]), torch.tensor([3]))
    assert torch.allclose(short.parts[0, :3], padded.parts[0, :3], atol=1e-6)
    assert torch.allclose(short.whole[0], padded.whole[0], atol=1e-6)
    assert short.parts[0, 3].abs().sum() == 0
    assert (short.parts[0, 0] != short.parts[1, 0]).any(), "the first word does not know of the last"
    with pytest.raises(InputError):
        WordEncoder(9, features=5)


def test_regions_are_in_reading_order_and_see_their_surroundings() -> None:
    with seeded(0):
        net = RegionEncoder(features=7, width=4).eval()
    x = torch.zeros(1, 3, 32, 32)
    x.requires_grad_()
    parts, whole = net(x)
    assert parts.shape == (1, 64, 7) and whole.shape == (1, 7)
    (slope,) = torch.autograd.grad(parts[0, 8 * 3 + 5].sum(), x)
    rows, columns = slope[0].abs().sum(0).nonzero().unbind(1)
    assert (rows.min(), rows.max()) == (4 * 3 - 7, 4 * 3 + 10) and columns.min() == 4 * 5 - 7
    with pytest.raises(InputError):
        net(torch.zeros(1, 3, 64, 64))


def test_the_generators_context_is_a_softmax_over_words() -> None:
    with seeded(0):
        net = WordContext(6, 5).double()
    h, words = torch.randn(3, 6, 4, 2, generator=generator(1)).double(), words_and_regions()[0]
    beta = net.weights(h, words, MASK)
    assert torch.allclose(beta.sum(1), torch.ones(3, 4, 2).double()) and not beta[1, 2:].any()
    expected = torch.einsum("nthw,ntc->nchw", beta, net.carry(words))
    assert torch.allclose(net(h, words, MASK), expected)
    place = net.carry(words)[2, :3] @ h[2, :, 3, 1]
    assert torch.allclose(beta[2, :3, 3, 1], place.softmax(0))


def test_told_is_taken_apart_again() -> None:
    with seeded(0):
        net = WordMatcher(["a", "red", "bird"], features=6, width=4).eval()
    texts = ["a bird", "a red bird a red bird"]
    t = told(net, texts).detach()
    (words, whole), batch = net.read(texts)
    sentence, again, mask = untold(t, 6)
    assert t.shape == (2, 6 + LONGEST * 7)
    assert torch.allclose(sentence, whole / whole.norm(dim=1, keepdim=True))
    assert torch.equal(again[:, :6], words) and torch.equal(mask[:, :6], batch.mask) and not mask[:, 6:].any()
    with pytest.raises(InputError, match="words"):
        told(net, ["bird " * (LONGEST + 1)])
    assert net.look(texts, torch.zeros(2, 3, 32, 32)).shape == (2, 6, 8, 8)


def test_only_the_attending_generator_reads_words() -> None:
    with seeded(0):
        reader = WordMatcher(["a", "red", "bird"], features=6, width=4).eval()
        nets = {
            attend: WordGenerator(attend=attend, text=6, latent=4, width=4, fine=4, code=4).eval() for attend in (0, 1)
        }
        D = SentenceDiscriminator(text=6, width=4, fine=4).eval()
    t, z = told(reader, ["a red bird"]).detach(), torch.randn(1, 4, generator=generator(2))
    other = t.clone()
    other[:, 6:12] += 1.0  # the first word
    for attend, net in nets.items():
        assert net(z, t).shape == (1, 3, 32, 32)
        assert torch.equal(net(z, t), net(z, other)) is not bool(attend)
    assert torch.equal(D(net(z, t), t), D(net(z, t), other))
    assert torch.allclose(nets[1].look(z, t).sum(1), torch.ones(1, 16, 16))
    with pytest.raises(InputError):
        nets[0].look(z, t)


def test_the_shipped_matcher_loads() -> None:
    net = load_matcher(1)
    assert not net.training and "wings" in net.vocabulary

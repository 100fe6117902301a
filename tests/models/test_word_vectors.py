"""Skip-gram with negative sampling: pairs, the loss, what the vectors know; networks that make tags."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from coursekit.errors import InputError
from coursekit.models.word_vectors import (
    TagCritic,
    TagGenerator,
    Vocabulary,
    WordVectors,
    negative_sampling_loss,
    pairs,
    skip_gram,
    tokens,
)
from coursekit.runtime import generator, seeded

TEXTS = ["A red bird, a RED wing!", "a blue bird", "a red bird"]


def test_words_and_their_counts() -> None:
    assert tokens("Two birds' wings, 3 px") == ["two", "birds", "wings", "px"]
    words = Vocabulary.of(TEXTS, least=2)
    assert words.words == ("a", "bird", "red") and words.counts == (4, 3, 3)
    assert words.ids(["red", "a"]).tolist() == [2, 0]
    with pytest.raises(InputError, match="green"):
        words.ids(["green"])
    with pytest.raises(InputError, match="texts"):
        Vocabulary.of(TEXTS, least=9)


def test_pairs_stay_within_a_text_and_near_words_come_more_often() -> None:
    words = Vocabulary.of(["a b c d e f"], least=1)
    ids = {word: k for k, word in enumerate(words.words)}
    found = Counter()
    for seed in range(300):
        rows = pairs(["a b c", "d e f"], words, window=2, generator=generator(seed)).tolist()
        assert all((ids["a"] <= i <= ids["c"]) == (ids["a"] <= j <= ids["c"]) and i != j for i, j in rows)
        found.update(map(tuple, rows))
    assert found[ids["a"], ids["b"]] == 300  # one step away: always
    # Two steps away: only where the window that was drawn is 2. Six standard deviations of 300 coins.
    assert found[ids["a"], ids["c"]] == pytest.approx(150, abs=6 * math.sqrt(75))


def test_the_loss_is_minus_the_log_likelihood_of_coins() -> None:
    own = generator(1)
    v, u, wrong = (torch.randn(*shape, generator=own, dtype=torch.float64) for shape in ((4, 3), (4, 3), (4, 5, 3)))
    by_hand = 0.0
    for i in range(4):
        by_hand -= math.log(1 / (1 + math.exp(-float(v[i] @ u[i]))))
        by_hand -= sum(math.log(1 / (1 + math.exp(float(v[i] @ w)))) for w in wrong[i])
    assert negative_sampling_loss(v, u, wrong).item() == pytest.approx(by_hand / 4, rel=1e-12)


def test_nearest_and_analogy_on_vectors_made_by_hand() -> None:
    words = Vocabulary(("king", "queen", "man", "woman", "bread", "witch"), (6, 5, 4, 3, 2, 1))
    table = torch.tensor([[1.0, 1, 0], [1, -1, 0], [0.2, 1, 0.1], [0.2, -1, 0.1], [0, 0, 9.0], [-0.9, -1, 0]])
    vectors = WordVectors(words, table)
    assert vectors.analogy("man", "king", "woman") == "queen"
    assert vectors.nearest("king", 1)[0][0] == "man"
    word, cosine = vectors.nearest(torch.tensor([0.0, 0, 2]), 1)[0]
    assert word == "bread" and cosine == pytest.approx(1)
    assert "man" not in dict(vectors.nearest("king", 3, without=("man",)))


def test_words_that_fill_the_same_gap_come_near_each_other() -> None:
    own = generator(0)
    colours, sizes = ("red", "blue", "green"), ("small", "large", "tiny")
    picks = torch.randint(3, (1500, 2), generator=own).tolist()
    texts = [f"{colours[c]} wings" if k % 2 else f"{sizes[s]} bird" for k, (c, s) in enumerate(picks)]
    words = Vocabulary.of(texts)
    vectors = skip_gram(pairs(texts, words, window=2, generator=own), words, width=4, epochs=60, batch=256, seed=0)
    for group in (colours, sizes):
        for word in group:
            assert {other for other, _ in vectors.nearest(word, 2)} == set(group) - {word}
    again = skip_gram(
        pairs(texts, words, window=2, generator=generator(5)), words, width=4, epochs=1, batch=256, seed=0
    )
    assert torch.equal(again.table, skip_gram(
        pairs(texts, words, window=2, generator=generator(5)), words, width=4, epochs=1, batch=256, seed=0
    ).table)  # fmt: skip


def test_tags_have_length_one_and_the_critic_is_linear_in_the_features() -> None:
    with seeded(0):
        G, D = TagGenerator(latent=3, features=5, width=4, hidden=8), TagCritic(features=5, width=4, hidden=8)
    z, features = torch.randn(6, 3, generator=generator(1)), torch.randn(6, 5, generator=generator(2))
    tags = G(z, features)
    torch.testing.assert_close(tags.norm(dim=1), torch.ones(6))
    assert D(tags, features).shape == (6,)
    middle = D(tags, features / 2)
    torch.testing.assert_close(middle, (D(tags, features) + D(tags, torch.zeros(6, 5))) / 2)

"""The references of section 2 against torch's losses and distributions, exact information, and an assignment solver."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.exercises.u06_conditional_gan.known import s2_classes as known
from coursekit.runtime import generator


def drawn(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("losses", [known.ACGAN_LOSSES.reference, known.acgan_losses])
def test_acgan_is_four_cross_entropies(losses) -> None:
    real, fake = drawn(5, seed=1, scale=2), drawn(3, seed=2, scale=2)
    classes, made = drawn(5, 4, seed=3), drawn(3, 4, seed=4)
    y, told = torch.tensor([3, 0, 1, 2, 0]), torch.tensor([1, 3, 3])
    d_loss, g_loss = losses(real, fake, classes, made, y, told)
    bce = F.binary_cross_entropy
    source = bce(real.sigmoid(), torch.ones_like(real)), bce(fake.sigmoid(), torch.zeros_like(fake))
    named = [-torch.distributions.Categorical(logits=a).log_prob(b).mean() for a, b in ((classes, y), (made, told))]
    torch.testing.assert_close(d_loss, source[0] + source[1] + named[0] + named[1])
    torch.testing.assert_close(g_loss, named[1] - source[1])


@pytest.mark.parametrize("losses", [known.ACGAN_LOSSES.reference, known.acgan_losses])
def test_both_players_want_the_class_and_disagree_about_the_source(losses) -> None:
    fake, made = drawn(3, seed=2).requires_grad_(), drawn(3, 4, seed=4).requires_grad_()
    told = torch.tensor([1, 3, 3])
    pair = losses(drawn(5, seed=1), fake, drawn(5, 4, seed=3), made, torch.tensor([3, 0, 1, 2, 0]), told)
    of_d, of_g = (torch.autograd.grad(loss, [fake, made], retain_graph=True) for loss in pair)
    torch.testing.assert_close(of_d[1], of_g[1])
    torch.testing.assert_close(of_d[0], -of_g[0])
    assert bool((of_g[1][torch.arange(3), told] < 0).all()) and bool((of_g[0] < 0).all())


@pytest.mark.parametrize("bound", [known.INFO_BOUND.reference, known.info_bound])
def test_bound_is_torchs_log_probabilities_and_entropies(bound) -> None:
    logits, mean, logvar, c = drawn(6, 3, seed=1), drawn(6, 2, seed=2), drawn(6, 2, seed=3), drawn(6, 2, seed=4)
    k = torch.tensor([0, 2, 2, 1, 0, 1])
    D = torch.distributions
    log_q = D.Categorical(logits=logits).log_prob(k) + D.Normal(mean, (0.5 * logvar).exp()).log_prob(c).sum(1)
    entropy = D.Categorical(probs=torch.ones(3)).entropy() + 2 * D.Uniform(-1.0, 1.0).entropy()
    torch.testing.assert_close(bound(logits, k, mean, logvar, c), log_q.mean() + entropy.double())


@pytest.mark.parametrize("bound", [known.INFO_BOUND.reference, known.info_bound])
def test_bound_is_the_information_where_q_is_the_posterior(bound) -> None:
    """A channel from 3 categories to 4 pictures: at Q = p(k | x) the bound is I(k; x), at any other Q it is less."""
    channel = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.2, 0.6, 0.1, 0.1], [0.1, 0.1, 0.4, 0.4]], dtype=torch.float64)
    joint = channel / 3
    information = float((joint * (joint / (joint.sum(0) / 3)).log()).sum())
    posterior = (joint / joint.sum(0)).T
    # 30 pictures that have exactly the joint frequencies.
    k, x = torch.nonzero((joint * 30).round().long() >= 1).T
    times = (joint * 30).round().long()[k, x]
    k, x = k.repeat_interleave(times), x.repeat_interleave(times)
    none = torch.zeros(30, 0, dtype=torch.float64)
    assert len(k) == 30
    assert float(bound(posterior.log()[x], k, none, none, none)) == pytest.approx(information)
    for seed in range(5):
        other = posterior.log() + drawn(4, 3, seed=seed)
        assert float(bound(other[x], k, none, none, none)) < information
    assert 0 < information < math.log(3)


@pytest.mark.parametrize("scores", [known.PROJECTION_SCORES.reference, known.projection_scores])
def test_projection_is_an_embedding_and_a_linear_layer(scores) -> None:
    maps, table = drawn(4, 3, 2, 3, seed=1), nn.Embedding(5, 3, dtype=torch.float64)
    head = nn.Linear(3, 1, dtype=torch.float64)
    y = torch.tensor([3, 0, 3, 1])
    phi = F.adaptive_avg_pool2d(F.relu(maps), 1).flatten(1) * 6
    expected = head(phi)[:, 0] + F.cosine_similarity(phi, table(y)) * phi.norm(dim=1) * table(y).norm(dim=1)
    found = scores(maps, F.one_hot(y, 5).double(), table.weight, head.weight[0], head.bias)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("scores", [known.PROJECTION_SCORES.reference, known.projection_scores])
def test_an_uncertain_label_has_the_mean_score(scores) -> None:
    maps, table, head, bias = drawn(2, 3, 2, 3, seed=1), drawn(5, 3, seed=2), drawn(3, seed=3), drawn(1, seed=4)
    p = drawn(2, 5, seed=5).softmax(1)
    every = torch.stack(
        [scores(maps, F.one_hot(torch.full((2,), k), 5).double(), table, head, bias) for k in range(5)], 1
    )
    torch.testing.assert_close(scores(maps, p, table, head, bias), (p * every).sum(1))


@pytest.mark.parametrize("read", [known.READ_GRID.reference, known.read_grid])
@pytest.mark.parametrize("seed", range(4))
def test_naming_is_the_optimal_assignment(read, seed: int) -> None:
    from scipy.optimize import linear_sum_assignment

    seen = torch.randint(0, 5, (5, 7), generator=generator(seed))
    table = torch.stack([torch.bincount(row, minlength=5) for row in seen]).numpy()
    rows, columns = linear_sum_assignment(table, maximize=True)
    told, pure, matched = read(seen)
    assert matched == pytest.approx(table[rows, columns].sum() / 35)
    assert told == pytest.approx(float((seen == torch.arange(5)[:, None]).float().mean()))
    assert told <= matched <= pure
    assert isinstance(told, float) and isinstance(pure, float) and isinstance(matched, float)

"""The references of section 1 against finite differences, closed forms and each other."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.exercises.u02_input_optimization.known import s1_inputs as known
from coursekit.runtime import generator

SEEDS = range(3)
N, C, H, W, K = 3, 2, 4, 5, 4


class Curved(nn.Module):
    """A network of the tests' own: logits (N, K) from two matrices with a sine between them, in float64."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        rng = generator(seed)
        self.first = nn.Parameter(torch.randn(6, C * H * W, generator=rng, dtype=torch.float64) / 4)
        self.second = nn.Parameter(torch.randn(K, 6, generator=rng, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x.flatten(1) @ self.first.T) @ self.second.T


def linear(seed: int) -> tuple[nn.Module, Tensor]:
    """A linear network and its matrix (K, C H W)."""
    weights = torch.randn(K, C * H * W, generator=generator(seed), dtype=torch.float64)
    head = nn.Linear(C * H * W, K, bias=False, dtype=torch.float64)
    head.weight.data.copy_(weights)
    return nn.Sequential(nn.Flatten(), head), weights


def images(seed: int, count: int = N) -> tuple[Tensor, Tensor]:
    rng = generator(seed + 100)
    x = 2 * torch.rand(count, C, H, W, generator=rng, dtype=torch.float64) - 1
    return x, torch.randint(0, K, (count,), generator=rng)


def by_differences(score, x: Tensor, step: float = 1e-5) -> Tensor:
    """Central differences of a score of one image (1, C, H, W)."""
    slopes = []
    for k in range(x.numel()):
        nudge = torch.zeros(x.numel(), dtype=x.dtype)
        nudge[k] = step
        up, down = score(x + nudge.reshape(x.shape)), score(x - nudge.reshape(x.shape))
        slopes.append((up - down) / (2 * step))
    return torch.tensor(slopes, dtype=x.dtype).reshape(x.shape)


@pytest.mark.parametrize("seed", SEEDS)
def test_input_gradient_is_the_slope_of_the_loss(seed: int) -> None:
    net, (x, y) = Curved(seed), images(seed)
    gradient = known.INPUT_GRADIENT.reference(net, x, y)
    for n in range(N):
        expected = by_differences(lambda z, n=n: F.cross_entropy(net(z), y[n : n + 1]).item(), x[n : n + 1])
        torch.testing.assert_close(gradient[n : n + 1], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("seed", SEEDS)
def test_input_gradient_of_a_linear_network_is_weights_times_errors(seed: int) -> None:
    (net, weights), (x, y) = linear(seed), images(seed)
    errors = (x.flatten(1) @ weights.T).softmax(1) - F.one_hot(y, K)
    torch.testing.assert_close(known.INPUT_GRADIENT.reference(net, x, y).flatten(1), errors @ weights)


def test_references_leave_network_and_image_alone() -> None:
    net, (x, y) = Curved(0), images(0)
    net.first.grad, net.second.requires_grad = torch.ones_like(net.first), False
    results = [
        known.INPUT_GRADIENT.reference(net, x, y),
        *known.TARGETED_ATTACK.reference(net, x, y, 2, 0.1),
        known.LOG_ODDS_GRADIENT.reference(net, x, y),
        known.FOOLING_IMAGE.reference(net, x[0], x[1], 1, 0.1, 0.9999, 3)[0],
    ]
    assert (net.first.grad == 1).all()
    assert net.second.grad is None
    assert [p.requires_grad for p in net.parameters()] == [True, False]
    assert net.training
    assert not any(t.requires_grad for t in (x, *results))
    assert torch.equal(x, images(0)[0])


@pytest.mark.parametrize("seed", SEEDS)
def test_targeted_attack_is_projected_descent_by_torchs_optimiser(seed: int) -> None:
    net, (x, target) = Curved(seed), images(seed)
    image, p = known.TARGETED_ATTACK.reference(net, x, target, 5, 0.4)
    z = nn.Parameter(x.clone())
    optimizer = torch.optim.SGD([z], lr=0.4)
    for _ in range(5):
        optimizer.zero_grad()
        F.cross_entropy(net(z), target, reduction="sum").backward()
        optimizer.step()
        z.data.clamp_(-1, 1)
    torch.testing.assert_close(image, z.detach())
    torch.testing.assert_close(p, torch.distributions.Categorical(logits=net(image)).log_prob(target).exp().detach())
    assert (p > net(x).softmax(1)[torch.arange(N), target]).all(), "the target gains"
    least = net(x).argmin(1)
    image, p = known.TARGETED_ATTACK.reference(net, x, least, 1, 1e-3)
    torch.testing.assert_close(p, net(image).softmax(1).amin(1).detach())


@pytest.mark.parametrize("seed", SEEDS)
def test_log_odds_gradient_is_the_slope_of_the_log_odds(seed: int) -> None:
    net, (x, target) = Curved(seed), images(seed)
    gradient = known.LOG_ODDS_GRADIENT.reference(net, x, target)
    for n in range(N):

        def odds(z: Tensor, n: int = n) -> float:
            return torch.logit(net(z).softmax(1)[0, target[n]]).item()

        torch.testing.assert_close(gradient[n : n + 1], by_differences(odds, x[n : n + 1]), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("gap", [-1000.0, 60.0])
def test_log_odds_of_a_linear_network_far_from_the_middle(gap: float) -> None:
    """Closed form: w_t minus the mean of the others' weights by their shares; the gap cancels."""
    (net, weights), (x, _) = linear(0), images(0, 1)
    target = torch.tensor([2])

    def leaning(z: Tensor) -> Tensor:
        return net(z) + gap * F.one_hot(target, K)

    rest = [0, 1, 3]
    shares = (weights[rest] @ x.flatten()).softmax(0)
    expected = weights[2] - shares @ weights[rest]
    torch.testing.assert_close(known.LOG_ODDS_GRADIENT.reference(leaning, x, target).flatten(), expected)


def test_the_slides_identities_between_the_three_gradients() -> None:
    """grad p = p (1 - p) grad o and grad log p = (1 - p) grad o, as the task says."""
    net, (x, target) = Curved(4), images(4)
    odds = known.LOG_ODDS_GRADIENT.reference(net, x, target)
    z = x.clone().requires_grad_()
    p = net(z).softmax(1)[torch.arange(N), target]
    of_p, of_log = (torch.autograd.grad(s.sum(), z, retain_graph=True)[0] for s in (p, p.log()))
    p = p.detach()[:, None, None, None]
    torch.testing.assert_close(of_p, p * (1 - p) * odds)
    torch.testing.assert_close(of_log, (1 - p) * odds)


@pytest.mark.parametrize("seed", SEEDS)
def test_fooling_a_two_class_linear_network_takes_as_many_steps_as_the_distance_says(seed: int) -> None:
    """The log-odds are linear, so each step of length r adds r times the length of the weights' difference."""
    weights = torch.randn(2, C * H * W, generator=generator(seed), dtype=torch.float64)
    mean, noise = images(seed, 2)[0]

    def net(z: Tensor) -> Tensor:
        return z.flatten(1) @ weights.T

    slope = weights[1] - weights[0]
    start, needed = float(slope @ (mean + noise).flatten()), math.log(0.9999 / 0.0001)
    expected = max(0, math.ceil((needed - start) / (0.05 * float(slope.norm()))))
    image, taken = known.FOOLING_IMAGE.reference(net, mean, noise, 1, 0.05, 0.9999, 1000)
    assert taken == expected
    straight = mean + noise + expected * 0.05 * (slope / slope.norm()).reshape(mean.shape)
    torch.testing.assert_close(image, straight)
    assert net(image[None]).softmax(1)[0, 1] >= 0.9999
    assert known.FOOLING_IMAGE.reference(net, mean, noise, 1, 0.05, 0.9999, 2)[1] == min(2, expected)

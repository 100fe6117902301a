"""The references of section 5, first half, against cdist, torch's optimisers and second derivatives by finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from coursekit.checks.draws import Rng
from coursekit.exercises.u04_gan.known import s5_critics as known
from coursekit.exercises.u04_gan.nets_b import (
    ImageCritic,
    PointCritic,
    PointGenerator,
    draw_critic,
    draw_generator,
)
from coursekit.runtime import generator, seeded

minibatch = known.MINIBATCH_FEATURES.reference


def test_minibatch_features_are_torchs_distances() -> None:
    rng = generator(0)
    h, T = (torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((6, 3), (3, 2, 4)))
    out = minibatch(h, T)
    torch.testing.assert_close(out[:, :3], h)
    for b in range(2):
        m = h @ T[:, b]
        expected = torch.exp(-torch.cdist(m, m, p=1)).fill_diagonal_(0).sum(1)
        torch.testing.assert_close(out[:, 3 + b], expected)


def test_minibatch_features_follow_a_permutation_and_know_a_collapse() -> None:
    rng = generator(1)
    h, T = (torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((5, 3), (3, 2, 4)))
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(minibatch(h[order], T), minibatch(h, T)[order])
    torch.testing.assert_close(minibatch(h[:1].expand(5, 3), T)[:, 3:], torch.full((5, 2), 4.0, dtype=torch.float64))
    assert torch.autograd.gradcheck(known.minibatch_features, (h.requires_grad_(), T.requires_grad_()))


def test_critic_step_is_that_of_torchs_optimiser_and_within_the_bounds() -> None:
    rng = Rng(4, "critic", torch.float64)
    weights, of_g = draw_critic(rng), draw_generator(rng)
    x, z = rng.normal(7, 2), rng.normal(4, 3)
    ours, theirs, G = PointCritic(weights), PointCritic(weights), PointGenerator(of_g)
    returned = known.CLIPPED_CRITIC_STEP.reference(ours, G, torch.optim.RMSprop(ours.parameters(), lr=0.01), x, z, 0.3)
    optimizer = torch.optim.RMSprop(theirs.parameters(), lr=0.01, maximize=True)
    W = theirs(x).mean() - theirs(G(z).detach()).mean()
    W.backward()
    optimizer.step()
    for p, q in zip(ours.parameters(), theirs.parameters()):
        torch.testing.assert_close(p.detach(), q.detach().clamp(-0.3, 0.3))
    assert returned == pytest.approx(W.item())
    assert all(p.grad is None for p in G.parameters())


def test_critic_estimates_the_distance_of_two_points() -> None:
    """On a line, with one weight clipped to [-1, 1], the best critic is the identity: W is the distance of the means."""
    with seeded(0):
        line = nn.Sequential(nn.Linear(1, 1, bias=False, dtype=torch.float64), nn.Flatten(0))
    shift = nn.Identity()
    x, z = torch.tensor([[2.0], [3.0]], dtype=torch.float64), torch.tensor([[0.5]], dtype=torch.float64)
    optimizer = torch.optim.SGD(line.parameters(), lr=0.5)
    for _ in range(5):
        W = known.CLIPPED_CRITIC_STEP.reference(line, shift, optimizer, x, z, 1.0)
    assert pytest.approx(2.0) == W


def test_penalty_of_a_linear_critic_is_that_of_its_length() -> None:
    """Wherever one looks, the slope of w x is w."""
    w = torch.randn(24, generator=generator(2), dtype=torch.float64)
    x, fake = torch.randn(2, 3, 2, 3, 4, generator=generator(3), dtype=torch.float64)
    eps = torch.rand(3, generator=generator(4), dtype=torch.float64)
    for length in (0.5, 3.0):
        weight = (w / w.norm() * length).requires_grad_()
        value = known.ONE_SIDED_PENALTY.reference(lambda x: x.flatten(1) @ weight, x, fake, eps)
        assert value.item() == pytest.approx(max(0.0, length - 1) ** 2)
        (grad,) = torch.autograd.grad(value, weight)
        torch.testing.assert_close(grad, 2 * max(0.0, length - 1) * weight.detach() / length)


@pytest.mark.parametrize("answer", [known.ONE_SIDED_PENALTY.reference, known.one_sided_penalty])
def test_penalty_and_its_gradient_by_finite_differences(answer) -> None:
    inputs = known.ONE_SIDED_PENALTY.question.inputs(6, torch.float64)[0]
    h = 1e-5

    def by_differences(weights: torch.Tensor) -> float:
        critic, total = ImageCritic(weights), 0.0
        for n, eps in enumerate(inputs["eps"]):
            point = (eps * inputs["x"][n] + (1 - eps) * inputs["fake"][n]).flatten()
            shifted = point + h * torch.cat([torch.eye(24), -torch.eye(24)]).double()
            scores = critic(shifted.reshape(-1, 2, 3, 4)).detach()
            slope = (scores[:24] - scores[24:]) / (2 * h)
            total += max(0.0, float(slope.norm()) - 1) ** 2 / len(inputs["eps"])
        return total

    critic = ImageCritic(inputs["critic"])
    value = answer(critic, inputs["x"], inputs["fake"], inputs["eps"])
    assert value.item() == pytest.approx(by_differences(inputs["critic"]), rel=1e-6)
    value.backward()
    gradient = torch.cat([p.grad.flatten() for p in critic.parameters()])
    for place in (0, 50, 121, 127):
        nudge = torch.zeros_like(inputs["critic"])
        nudge[place] = 1e-4
        numeric = (by_differences(inputs["critic"] + nudge) - by_differences(inputs["critic"] - nudge)) / 2e-4
        assert gradient[place].item() == pytest.approx(numeric, rel=1e-3, abs=1e-6)


def test_some_examples_of_the_draws_are_steep_and_some_are_not() -> None:
    for seed in range(20):
        for inputs in known.ONE_SIDED_PENALTY.question.inputs(seed):
            critic = ImageCritic(inputs["critic"])
            slopes = []
            for n in range(5):
                P = known.ONE_SIDED_PENALTY.reference(critic, *(inputs[k][n : n + 1] for k in ("x", "fake", "eps")))
                slopes.append(P.item() > 0.01)
            assert 0 < sum(slopes) < 5

"""From a picture to its code: a generator that learns to be told, encoders, and codes by descent."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coursekit.errors import InputError
from coursekit.models import dcgan
from coursekit.models.inference import (
    Encoder,
    PairCritic,
    PointEncoder,
    TunedCritic,
    TunedGenerator,
    find_code,
    load_age_encoder,
    load_ages,
    load_recogniser,
)
from coursekit.runtime import generator, seeded

Y = torch.eye(2)[[0, 1, 1, 0, 1]]


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=generator(seed))


def plain() -> dcgan.Generator:
    with seeded(3):
        net = dcgan.Generator(latent=6, width=4, size=16, fine=3)
    net(noise(20, 6))  # running statistics that are not those of the start
    with torch.no_grad():
        for k, layer in enumerate(m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)):
            layer.weight.copy_(1 + noise(len(layer.weight), seed=k) / 2)
            layer.bias.copy_(noise(len(layer.bias), seed=k + 9))
    return net


@pytest.mark.parametrize("told", [1, 2, 3])
def test_a_tuned_generator_begins_as_the_one_it_was_made_from(told: int) -> None:
    net, z = plain(), noise(5, 6)
    expected = {mode: net.train(mode)(z).detach() for mode in (False, True)}
    tuned = TunedGenerator(plain(), conditions=2, told=told)
    for mode in (False, True):
        torch.testing.assert_close(tuned.train(mode)(z, Y), expected[mode])


def test_only_the_told_blocks_depend_on_the_condition() -> None:
    tuned = TunedGenerator(plain(), conditions=2, told=2).eval()
    with torch.no_grad():
        for block in tuned.told:
            block.norm.bias.weight[:, 1] += 1  # type: ignore[union-attr, operator]
    z = noise(5, 6)
    young, old, between = (tuned(z, y.expand(5, 2)) for y in (*torch.eye(2), torch.tensor([0.5, 0.5])))
    assert (young - old).abs().mean() > 0.05
    assert (between - young).abs().mean() < (old - young).abs().mean()
    assert len(tuned.plain) == 1  # of three at 16 pixels
    with pytest.raises(InputError, match="told"):
        TunedGenerator(plain(), conditions=2, told=5)


def test_the_critic_adds_a_projection_of_the_condition() -> None:
    with seeded(1):
        D = TunedCritic(conditions=2, width=4, size=16, fine=3).eval()
    x = noise(5, 3, 16, 16).tanh()
    h = D.net.features(x)[-1].sum((2, 3))
    difference = D(x, torch.eye(2)[[1] * 5]) - D(x, torch.eye(2)[[0] * 5])
    torch.testing.assert_close(difference, h @ (D.embed.weight[:, 1] - D.embed.weight[:, 0]))


def test_shapes_of_encoders_and_critics() -> None:
    with seeded(1):
        E = Encoder(latent=7, conditions=3, channels=1, widths=(4, 4), size=16)
        point, pair = PointEncoder(latent=3, width=8), PairCritic(latent=3, width=8)
    z, logits = E(noise(5, 1, 16, 16))
    assert z.shape == (5, 7) and logits.shape == (5, 3)
    assert pair(noise(5, 2), point(noise(5, 2))).shape == (5,)
    with pytest.raises(InputError, match="size"):
        Encoder(latent=7, conditions=3, widths=(4, 4), size=32)


def linear(seed: int = 0) -> tuple[Tensor, Tensor]:
    """A generator x = A z + B y of which the best code is known."""
    return noise(9, 4, seed=seed), noise(9, 2, seed=seed + 1)


def test_a_code_by_descent_solves_least_squares() -> None:
    A, B = linear()
    x, start = noise(5, 9, seed=5), torch.zeros(5, 4)
    found = find_code(lambda z, y: z @ A.T + y @ B.T, lambda v: v, x, [Y], start, steps=400, lr=0.2)
    best = torch.linalg.lstsq(A, (x - Y @ B.T).T).solution.T
    torch.testing.assert_close(found, best, atol=1e-3, rtol=1e-3)
    assert bool((start == 0).all()) and not found.requires_grad


def test_a_prior_is_ridge_regression_and_two_conditions_are_one_stacked_problem() -> None:
    A, B = linear()
    x, other = noise(5, 9, seed=5), Y.roll(1, 1)
    found = find_code(
        lambda z, y: z @ A.T + y @ B.T, lambda v: v, x, [Y, other], torch.zeros(5, 4), steps=400, lr=0.2, prior=0.5
    )
    wanted = (x - Y @ B.T) + (x - other @ B.T)
    best = torch.linalg.solve(2 * A.T @ A + 0.5 * torch.eye(4), (wanted @ A).T).T
    torch.testing.assert_close(found, best, atol=1e-3, rtol=1e-3)


def test_the_best_code_met_is_kept_for_each_picture() -> None:
    # The first picture's start is perfect: a rate far too high must not lose it.
    A, _ = linear()
    start = noise(2, 4, seed=3)
    x = torch.cat([start[:1] @ A.T, noise(1, 9, seed=8)])
    found = find_code(lambda z, y: z @ A.T, lambda v: v, x, [Y[:2]], start, steps=5, lr=50.0)
    assert torch.equal(found[0], start[0])


def test_shipped_networks_fit_together() -> None:
    G, E, recognise = load_ages(), load_age_encoder(), load_recogniser()
    z = noise(40, G.latent)
    y = torch.eye(2)[torch.arange(40) % 2]
    x = G(z, y)
    assert x.shape == (40, 3, 32, 32) and x.abs().max() <= 1
    guess, logits = E(x)
    assert (logits.argmax(1) == y.argmax(1)).float().mean() > 0.9
    assert (guess - z).square().mean() < 0.95
    assert recognise(x).square().mean().item() == pytest.approx(1, abs=0.5)
    assert [part.shape[1] for part in recognise.logits(x)] == [3, 2, 2, 4, 3, 3, 2, 4]
    assert not any(p.requires_grad for net in (G, E, recognise) for p in net.parameters())

"""Networks that are told what to draw: where the condition enters, what it moves, and what each kind of D makes of it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from coursekit.errors import InputError
from coursekit.models.conditional import (
    AuxiliaryDiscriminator,
    ConditionalDiscriminator,
    ConditionalGenerator,
    Reading,
)
from coursekit.runtime import generator, seeded

K = 4
Y = F.one_hot(torch.tensor([0, 2, 1, 3, 2]), K).float()


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=generator(seed))


def discriminator(how: str, **options: int) -> ConditionalDiscriminator:
    with seeded(2):
        return ConditionalDiscriminator(condition=K, how=how, width=4, **options).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [16, 28, 32])
def test_pictures_have_the_size_asked_for_and_follow_noise_and_condition(size: int) -> None:
    with seeded(0):
        G = ConditionalGenerator(latent=6, condition=K, channels=3, width=4, size=size).eval()
    z, c = noise(5, 6).requires_grad_(), Y.clone().requires_grad_()
    x = G(z, c)
    assert x.shape == (5, 3, size, size) and x.abs().max() <= 1
    x.square().sum().backward()
    assert (z.grad.abs().sum(0) > 0).all() and (c.grad.abs().sum(0) > 0).all()
    with pytest.raises(InputError, match="size"):
        ConditionalGenerator(latent=6, condition=K, size=27)


def test_to_the_first_layer_a_label_is_a_choice_of_bias() -> None:
    with seeded(0):
        G = ConditionalGenerator(latent=6, condition=K, width=4, gain=3.0)
    entering: list[Tensor] = []
    hook = G.blocks.register_forward_hook(lambda _, given, __: entering.append(given[0].flatten(1)))
    z = noise(5, 6)
    G(z, Y)
    hook.remove()
    weight = G.first.weight
    torch.testing.assert_close(entering[0], z @ weight[:, :6].T + 3 * weight[:, 6:].T[Y.argmax(1)])


def test_a_discriminator_that_ignores_the_condition_gives_every_class_the_same_score() -> None:
    x = noise(5, 1, 28, 28)
    others = Y.roll(1, 1)
    assert torch.equal(discriminator("ignore")(x, Y), discriminator("ignore")(x, others))
    for how in ("concatenate", "project"):
        assert not torch.allclose(discriminator(how)(x, Y), discriminator(how)(x, others))
    with pytest.raises(InputError, match="how"):
        discriminator("guess")


def test_a_projection_is_linear_in_the_condition_with_the_features_as_slope() -> None:
    D, x = discriminator("project"), noise(5, 1, 28, 28)
    c = Y.clone().requires_grad_()
    (slope,) = torch.autograd.grad(D(x, c).sum(), c)
    torch.testing.assert_close(slope, D.body(x) @ D.of_condition.weight)
    torch.testing.assert_close(D(x, torch.zeros_like(Y)), D.plain(D.body(x)).squeeze(1))
    half = D(x, 0.5 * Y + 0.5 * Y.roll(1, 1))
    torch.testing.assert_close(half, (D(x, Y) + D(x, Y.roll(1, 1))) / 2)


def test_concatenated_labels_are_constant_maps_beside_the_picture() -> None:
    D, x = discriminator("concatenate"), noise(5, 1, 28, 28)
    maps = Y[:, :, None, None] * torch.ones(1, 1, 28, 28)
    torch.testing.assert_close(D(x, Y), D.plain(D.body(torch.cat([x, maps], 1))).squeeze(1))


def test_log_likelihoods_are_those_of_torchs_distributions() -> None:
    logits, mean, logvar = noise(5, K), noise(5, 2, seed=2), noise(5, 2, seed=3)
    codes = noise(5, 2, seed=4)
    got = Reading(F.log_softmax(logits, 1), mean, logvar).log_likelihood(torch.cat([Y, codes], 1))
    category = torch.distributions.Categorical(logits=logits).log_prob(Y.argmax(1))
    density = torch.distributions.Normal(mean, (logvar / 2).exp()).log_prob(codes).sum(1)
    torch.testing.assert_close(got, torch.stack([category, density], 1))


def test_the_auxiliary_score_knows_nothing_of_the_condition_and_the_second_head_does() -> None:
    with seeded(2):
        D = AuxiliaryDiscriminator(categories=K, continuous=1, width=4).eval()
    x, codes = noise(5, 1, 28, 28), noise(5, 1, seed=3)
    here, there = D(x, torch.cat([Y, codes], 1)), D(x, torch.cat([Y.roll(1, 1), codes + 1], 1))
    assert here.shape == (5, 3) and torch.equal(here[:, 0], there[:, 0])
    assert not torch.allclose(here[:, 1], there[:, 1]) and not torch.allclose(here[:, 2], there[:, 2])
    read = D.read(x)
    torch.testing.assert_close(read.log_p.exp().sum(1), torch.ones(5))
    assert read.mean.shape == read.logvar.shape == (5, 1) and (read.logvar >= -3).all()
    with seeded(2):
        labels_only = AuxiliaryDiscriminator(categories=K, width=4).eval()
    assert torch.equal(labels_only(x, Y)[:, 2], torch.zeros(5))


@pytest.mark.parametrize("how", ["concatenate", "project"])
def test_every_weight_learns_and_those_of_the_body_keep_a_singular_value_of_1(how: str) -> None:
    D = discriminator(how).train()
    x = noise(5, 1, 28, 28)
    D(x, Y).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in D.parameters())
    for _ in range(40):  # the power iteration needs some calls in training mode
        D(x, Y)
    largest = torch.linalg.matrix_norm(D.body.layers[0].weight.flatten(1), 2).item()
    assert math.isclose(largest, 1, abs_tol=0.03)

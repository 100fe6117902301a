"""Training encoders, and a generator that learns to be told."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit.errors import TrainingError
from coursekit.losses import HINGE
from coursekit.models.dcgan import Generator
from coursekit.models.inference import Encoder, PairCritic, PointEncoder, TunedCritic, TunedGenerator
from coursekit.models.points import PointGenerator
from coursekit.runtime import generator, seeded
from coursekit.training.gan import Gan, GanConfig
from coursekit.training.inference import train_conditions, train_inverse, train_pairs


def test_a_bigan_of_a_stretched_gaussian_finds_the_codes_again() -> None:
    own = generator(0)
    stretch = torch.tensor([0.8, 0.4])
    with seeded(0):
        G, E, D = PointGenerator(width=24, depth=1), PointEncoder(width=24, depth=1), PairCritic(width=32, depth=2)
    z = torch.randn(500, 2, generator=generator(9))
    before = (E(G(z)) - z).norm(dim=1).mean()
    records = list(
        train_pairs(G, E, D, lambda k: stretch * torch.randn(128, 2, generator=own), steps=500, latent=2, lr=2e-3)
    )
    assert [r.step for r in records] == list(range(500))
    assert (E(G(z)) - z).norm(dim=1).mean() < 0.5 * before  # 0.11 to 0.17 of it over five seeds


def test_a_loss_that_is_not_finite_is_refused_before_weights_move() -> None:
    with seeded(0):
        G, E, D = PointGenerator(width=4), PointEncoder(width=4), PairCritic(width=4)
    before = [p.clone() for p in D.parameters()]
    with pytest.raises(TrainingError, match="discriminator"):
        next(train_pairs(G, E, D, lambda k: torch.full((4, 2), torch.nan), steps=2, latent=2))
    assert all(torch.equal(a, b) for a, b in zip(before, D.parameters()))


def test_an_encoder_inverts_a_linear_generator() -> None:
    own = generator(1)
    basis = torch.randn(2 + 3, 16 * 16, generator=own) / 3

    def G(z: Tensor, y: Tensor) -> Tensor:
        return (torch.cat([z, 2 * y], 1) @ basis).view(-1, 1, 16, 16)

    with seeded(0):
        E = Encoder(latent=2, conditions=3, channels=1, widths=(8, 8), size=16)
    records = list(train_inverse(E, G, steps=150, batch=32, lr=5e-3))
    assert not E.training
    z = torch.randn(60, 2, generator=own)
    y = F.one_hot(torch.arange(60) % 3, 3).float()
    found, logits = E(G(z, y))
    assert (found - z).square().mean() < 0.3 and (logits.argmax(1) == y.argmax(1)).float().mean() > 0.9
    assert records[-1].code < records[0].code and records[-1].condition < records[0].condition


class Constant(nn.Module):
    """Scores that do not depend on anything, with a weight to train."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.weight.expand(len(x))


def tuned() -> TunedGenerator:
    with seeded(0):
        net = TunedGenerator(Generator(latent=4, width=4, size=16, fine=3), conditions=2)
    with torch.no_grad():
        for block in net.told:
            block.norm.bias.weight[:, 1] += 1  # type: ignore[union-attr, operator]
    return net


def batches(k: int) -> tuple[Tensor, Tensor]:
    return torch.zeros(8, 3, 16, 16), torch.eye(2)[torch.arange(8) % 2]


def test_the_term_for_identity_brings_the_conditions_together() -> None:
    # The critic has no opinion: only that term is left.
    gan = Gan(tuned(), Constant(), GanConfig(steps=25, latent=4, lr_g=2e-2), game=HINGE)
    changes = [r.change for r in train_conditions(gan, batches, look=lambda x: x.flatten(1), keep=10.0)]
    assert changes[-1] < changes[0] / 4


def test_the_generator_waits_and_the_critic_does_not() -> None:
    G = tuned()
    with seeded(1):
        D = TunedCritic(conditions=2, width=4, size=16, fine=3)
    gan = Gan(G, D, GanConfig(steps=5, latent=4), game=HINGE)
    before = [[p.clone() for p in net.parameters()] for net in (G, D)]
    run = train_conditions(gan, batches, look=lambda x: x.flatten(1), keep=1.0, wait=3)
    for _ in range(3):
        next(run)
    assert all(torch.equal(a, b) for a, b in zip(before[0], G.parameters()))
    assert not all(torch.equal(a, b) for a, b in zip(before[1], D.parameters()))
    list(run)
    assert gan.step == 5 and not all(torch.equal(a, b) for a, b in zip(before[0], G.parameters()))

"""Training encoders: against a critic of pairs, or on what a finished generator makes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit import runtime
from coursekit.models.inference import Encoder
from coursekit.training.gan import Gan, frozen
from coursekit.training.run import descend_once


@dataclass(frozen=True)
class PairRecord:
    """One step of D and one of G and E, on its batch."""

    step: int
    d_loss: float
    loss: float
    """Of G and E."""


def train_pairs(
    G: nn.Module,
    E: nn.Module,
    D: nn.Module,
    batches: Callable[[int], Tensor],
    *,
    steps: int,
    latent: int,
    lr: float = 2e-3,
    gamma: float = 1.0,
    average: float = 0.98,
    seed: int = 0,
) -> Iterator[PairRecord]:
    """BiGAN: D tells (x, E(x)) from (G(z), z); G and E try to be confused (Donahue et al. 2017).

    `batches(k)` is x (N, ...); z (N, latent) is N(0, I). G and E take the non-saturating form: each wants its pairs
    taken for the other's. `gamma`: an R1 penalty on D's slope at real pairs. At the end G and E hold the exponential
    averages of their weights, of decay `average`. Yields a record after each step; raises TrainingError at the first
    loss or gradient that is not finite.
    """
    both = nn.ModuleList([G, E])
    kept = copy.deepcopy(both).requires_grad_(False)
    down = torch.optim.Adam(D.parameters(), lr=lr, betas=(0.0, 0.99), fused=True)
    up = torch.optim.Adam(both.parameters(), lr=lr, betas=(0.0, 0.99), fused=True)
    noise = runtime.generator(seed)
    for step in range(steps):
        for adam in (down, up):
            for group in adam.param_groups:
                group["lr"] = lr * min(1.0, 2 * (1 - step / steps) + 0.05)
        x = batches(step)
        z = torch.randn(len(x), latent, generator=noise)
        with torch.no_grad():
            code, fake = E(x), G(z)
        real_x, real_z = x.clone().requires_grad_(), code.requires_grad_()
        on_real, on_fake = D(real_x, real_z), D(fake, z)
        slopes = torch.autograd.grad(on_real.sum(), [real_x, real_z], create_graph=True)
        penalty = sum(slope.square().sum() for slope in slopes) / len(x)
        d_loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean() + gamma / 2 * penalty
        descend_once(d_loss, down, label=f"step {step}, the discriminator")
        with frozen(D):
            loss = F.softplus(D(x, E(x))).mean() + F.softplus(-D(G(z), z)).mean()
            descend_once(loss, up, label=f"step {step}, generator and encoder")
        with torch.no_grad():
            decay = min(average, (step + 1) / (step + 10))
            for old, new in zip(kept.parameters(), both.parameters()):
                old.lerp_(new, 1 - decay)
        yield PairRecord(step, d_loss.item(), loss.item())
    both.load_state_dict(kept.state_dict())


@dataclass(frozen=True)
class AgeRecord:
    """One step of D and one of G, on its batch."""

    step: int
    d_loss: float
    g_loss: float
    """Without the term for identity."""
    change: float
    """Mean squared difference of the features of the two pictures of one z."""


def train_conditions(
    gan: Gan,
    batches: Callable[[int], tuple[Tensor, Tensor]],
    *,
    look: Callable[[Tensor], Tensor],
    keep: float,
    wait: int = 0,
) -> Iterator[AgeRecord]:
    """Move `gan`, a pair of conditional networks, on to `config.steps` steps; yield a record after each.

    `batches(k)` is x (N, ...) and one-hot conditions y (N, K), N even. G's N fakes are N / 2 codes, each under two
    conditions, and `keep` times the mean squared difference of their features under `look` is added to G's loss
    (after Wang et al. 2018, who compare a photograph with its aged version): of all generators that fool D, one for
    which z means the same under every condition. G waits for `wait` steps: a trained one should not meet an untrained
    critic.
    """
    game = gan.game
    while gan.step < gan.config.steps:
        step = gan.step
        gan.anneal()
        with gan.turn():
            x, y = gan.real(batches(step))
            half = len(x) // 2
            z = gan.latent(half).repeat(2, 1)
            told = torch.cat([y[:half], y[:half].roll(1, 1)])  # each code under its condition and under the next one
            with torch.set_grad_enabled(step >= wait):
                fake = gan.G(z, told)
            d_loss = game.d(gan.D(x, y), gan.D(fake.detach(), told))
            descend_once(d_loss, gan.d_optimizer, label=f"step {step}, the discriminator", backward=gan.fabric.backward)
            with frozen(gan.D):
                g_loss = game.g(gan.D(fake, told))
            seen = look(fake.float())
            change = (seen[:half] - seen[half:]).square().mean()
            if step >= wait:
                total = g_loss + keep * change
                descend_once(total, gan.g_optimizer, label=f"step {step}, the generator", backward=gan.fabric.backward)
                gan.follow()
        yield AgeRecord(step, d_loss.item(), g_loss.item(), change.item())


@dataclass(frozen=True)
class InverseRecord:
    """One step of an encoder, on its batch."""

    step: int
    code: float
    """Mean squared error of an entry of the code; that of guessing 0 is 1."""
    condition: float
    """Cross-entropy of the condition in nats."""


def train_inverse(
    E: Encoder,
    G: Callable[[Tensor, Tensor], Tensor],
    *,
    steps: int,
    batch: int = 64,
    lr: float = 2e-3,
    seed: int = 0,
) -> Iterator[InverseRecord]:
    """E learns what a finished G was given, from pairs (G(z, y), (z, y)) without end (Perarnau et al. 2016, section 3.1).

    `G(z, y)` takes codes (N, Z), N(0, I), and one-hot conditions (N, K), all equally likely. The sum of the squared
    error of z and the cross-entropy of y, Adam, its rate falling to 0 on half a cosine. Yields a record after each
    step.
    """
    own = runtime.generator(seed)
    adam = torch.optim.Adam(E.parameters(), lr=lr, betas=(0.9, 0.99), fused=True)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(adam, max(1, steps))
    E.train()
    for step in range(steps):
        z = torch.randn(batch, E.latent, generator=own)
        y = torch.randint(E.conditions, (batch,), generator=own)
        with torch.no_grad():
            x = G(z, F.one_hot(y, E.conditions).float())
        found, logits = E(x)
        code, condition = F.mse_loss(found, z), F.cross_entropy(logits, y)
        descend_once(code + condition, adam, label=f"step {step}")
        falling.step()
        yield InverseRecord(step, code.item(), condition.item())
    E.eval()

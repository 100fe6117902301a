"""Conditional GANs in the one adversarial loop: the batch brings a condition, and sometimes the game is another.

::

    x, labels = renders_with(world("digits"), 8000, seed=0, slant="upright")
    with seeded(0):
        G, D = ConditionalGenerator(latent=32, condition=10), ConditionalDiscriminator(condition=10, how="project")
    gan = conditional(G, D, steps=500, seed=0)
    for record in train_gan(gan, shuffled(x, F.one_hot(labels[:, 0], 10).float(), batch=BATCH, seed=0)):
        ...

AC-GAN and InfoGAN share a game: D gives a score and log likelihoods of the condition. Where the condition of real pictures is
known, D learns from these, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from coursekit import losses, runtime
from coursekit.datasets.world import PictureWorld
from coursekit.models.conditional import AuxiliaryDiscriminator, ConditionalDiscriminator, ConditionalGenerator
from coursekit.training.classify import shuffled
from coursekit.training.gan import Gan, GanConfig

BATCH = 32
RECIPE: dict[str, Any] = {
    "lr_d": 4e-3,
    "lr_g": 3e-3,
    "betas": (0.0, 0.99),
    "decay_from": 0.5,
    "ema": 0.99,
    "channels_last": True,
    "fresh_noise": False,
}
"""The kit's DCGAN recipe with ten times its rates: 500 steps are few, and spectral norm bears it."""


def renders_with(
    world: PictureWorld, n: int, *, seed: int, size: int | None = None, **fixed: str | tuple[str, ...]
) -> tuple[Tensor, Tensor]:
    """n pictures and labels (n, A) of a world, some of whose attributes have the named value, or one of those named."""
    own = runtime.generator(seed)
    labels = world.sample(n, generator=own)
    for name, value in fixed.items():
        ids = torch.tensor([world.names[name].index(v) for v in ((value,) if isinstance(value, str) else value)])
        picked = ids if len(ids) == 1 else ids[torch.randint(len(ids), (n,), generator=own)]
        labels[:, list(world.names).index(name)] = picked
    return world.render(labels, generator=own, size=size), labels


def conditional(
    G: ConditionalGenerator,
    D: ConditionalDiscriminator | AuxiliaryDiscriminator,
    *,
    steps: int,
    seed: int,
    game: losses.Game = losses.HINGE,
    measure_every: int = 0,
) -> Gan:
    """A run of `RECIPE` on the CPU before its first step, in bfloat16 where the processor has it."""
    config = GanConfig(steps=steps, latent=G.latent, seed=seed, measure_every=measure_every, **RECIPE)
    fabric = runtime.fabric(on="cpu", precision=runtime.precision("cpu"))
    return Gan(G, D, config, game=game, fabric=fabric)


@dataclass(frozen=True)
class _AuxiliaryGame(losses.Game):
    base: losses.Game = losses.HINGE

    def opinion(self, score: Tensor) -> Tensor:
        return self.base.opinion(score[:, 0])


def auxiliary_game(
    *, on_real: bool, weight: float = 1.0, continuous: float = 0.1, base: losses.Game = losses.HINGE
) -> losses.Game:
    """The game of an `AuxiliaryDiscriminator`, whose columns are a score s and two log likelihoods of the condition.

    With l = weight l_category + continuous l_codes, D descends base.d(s) - E l(fake) - E l(real), and G base.g(s) - E l(fake):
    both raise l. on_real=True: AC-GAN (Odena et al. 2017, equations 2 and 3: D maximises L_S + L_C, G maximises L_C - L_S).
    on_real=False: no condition of real pictures is known, and their term goes. That is InfoGAN (Chen et al. 2016, equation 6),
    where E l(fake) + H(c) is a lower bound on the mutual information I(c; G(z, c)) (equation 5).
    """

    def likelihood(columns: Tensor) -> Tensor:
        return weight * columns[:, 1].mean() + continuous * columns[:, 2].mean()

    def auxiliary_d(real: Tensor, fake: Tensor) -> Tensor:
        loss = base.d(real[:, 0], fake[:, 0]) - likelihood(fake)
        return loss - likelihood(real) if on_real else loss

    def auxiliary_g(fake: Tensor) -> Tensor:
        return base.g(fake[:, 0]) - likelihood(fake)

    return _AuxiliaryGame(auxiliary_d, auxiliary_g, base.logits, base)


def draw_codes(n: int, *, categories: int, continuous: int, generator: torch.Generator) -> Tensor:
    """(n, K + U): a one-hot category, each as likely, and U codes uniform in [-1, 1] (Chen et al. 2016, section 7.1)."""
    category = torch.randint(categories, (n,), generator=generator)
    rest = 2 * torch.rand(n, continuous, generator=generator) - 1
    return torch.cat([F.one_hot(category, categories).float(), rest], 1)


def coded(
    x: Tensor, *, categories: int, continuous: int, batch: int, seed: int
) -> Callable[[int], tuple[Tensor, Tensor]]:
    """k -> the k-th batch of pictures x, each epoch in a new order, with fresh codes that have nothing to do with them."""
    batches = shuffled(x, batch=batch, seed=seed)

    def with_codes(k: int) -> tuple[Tensor, Tensor]:
        own = runtime.generator(((seed + 1) * 1_000_003 + k) % 2**63)
        return batches(k)[0], draw_codes(batch, categories=categories, continuous=continuous, generator=own)

    return with_codes


def shape_of(x: Tensor) -> dict[str, Tensor]:
    """What can be measured on digits (N, 1, H, W) without asking anyone, each (N,): moments of the ink.

    `ink`, its sum; `place` across and `height` of its middle, in [-1, 1]; `width` and `tall`, standard deviations across
    and up; `slant`, the slope dx / dy of the regression of across on up.
    """
    ink = (x[:, 0] + 1) / 2
    weight = ink / ink.sum((1, 2), keepdim=True).clamp(min=1e-6)
    axis = torch.linspace(-1, 1, x.shape[-1])
    across, up = weight.sum(1), weight.sum(2).flip(1)  # marginals, (N, W) and (N, H)
    place, height = across @ axis, up @ axis
    var_across, var_up = across @ axis.square() - place.square(), up @ axis.square() - height.square()
    both = torch.einsum("nhw,h,w->n", weight, -axis, axis) - place * height
    return {
        "ink": ink.sum((1, 2)),
        "place": place,
        "height": height,
        "width": var_across.clamp(min=0).sqrt(),
        "tall": var_up.clamp(min=0).sqrt(),
        "slant": both / var_up.clamp(min=1e-6),
    }

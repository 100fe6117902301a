"""Two recipes for one architecture: the DCGAN of the PyTorch examples, and the kit's.

    gan = start(KIT, world("birds"), steps=2000, seed=0)
    for record in train_gan(gan, renders(world("birds"), size=32, batch=KIT.batch, seed=0)):
        ...

What the second one changes (benchmarks/dcgan.py measures both at equal computing time): narrower networks with a layer at full
size, and smaller batches, so more steps; hinge loss with spectral norm instead of batch norm in D; Adam with beta_1 = 0 and a
higher rate that falls in the second half; an average of G's weights; bfloat16 and channels-last memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from coursekit import losses, runtime
from coursekit.datasets.world import PictureWorld
from coursekit.models.dcgan import Discriminator, Generator, Norm, init_dcgan
from coursekit.training.classify import shuffled
from coursekit.training.gan import Gan, GanConfig


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything but the data, the number of steps and the seed."""

    latent: int
    g_width: int
    d_width: int
    fine: int = 0
    """Maps at full size, of both networks."""
    norm: Norm
    """Of the discriminator."""
    game: losses.Game
    lr: float
    betas: tuple[float, float]
    batch: int
    init: bool
    """Whether weights begin as N(0, 0.02) (Radford et al., section 4) instead of as torch draws them."""
    decay_from: float = 1.0
    ema: float = 0.0
    fresh_noise: bool = False
    channels_last: bool = False
    fast: bool = False
    """bfloat16 arithmetic where the device multiplies it in hardware."""


STOCK = Recipe(
    latent=100, g_width=64, d_width=64, norm="batch", game=losses.NON_SATURATING, lr=2e-4, betas=(0.5, 0.999), batch=64, init=True
)  # fmt: skip
"""pytorch/examples/dcgan, with one doubling fewer for 32 px; Radford et al. (2016), section 4, but for their batch of 128."""

KIT = Recipe(
    latent=64, g_width=32, d_width=32, fine=24, norm="spectral", game=losses.HINGE, lr=4e-4, betas=(0.0, 0.99), batch=32,
    init=False, decay_from=0.5, ema=0.998, channels_last=True, fast=True,
)  # fmt: skip


def start(recipe: Recipe, *, channels: int, size: int, steps: int, seed: int, on: str | None = None) -> Gan:
    """A run of `recipe` before its first step."""
    with runtime.seeded(seed):
        G = Generator(latent=recipe.latent, channels=channels, width=recipe.g_width, size=size, fine=recipe.fine)
        D = Discriminator(channels=channels, width=recipe.d_width, size=size, norm=recipe.norm, fine=recipe.fine)
    if recipe.init:
        init_dcgan(G, seed=seed), init_dcgan(D, seed=seed + 1)
    config = GanConfig(
        steps=steps, latent=recipe.latent, lr_d=recipe.lr, lr_g=recipe.lr, betas=recipe.betas, decay_from=recipe.decay_from,
        fresh_noise=recipe.fresh_noise, ema=recipe.ema, channels_last=recipe.channels_last, seed=seed,
    )  # fmt: skip
    fabric = runtime.fabric(on=on, precision=runtime.precision(on) if recipe.fast else "32-true")
    return Gan(G, D, config, game=recipe.game, fabric=fabric)


def renders(world: PictureWorld, *, size: int, batch: int, seed: int, among: int = 40_000) -> Callable[[int], Tensor]:
    """k -> the k-th batch (N, C, size, size) of `among` renders, in a new order each epoch. Making them takes seconds."""
    own = runtime.generator(1_000_003 + seed)
    pictures = world.render(world.sample(among, generator=own), generator=own, size=size)
    batches = shuffled(pictures, batch=batch, seed=seed)
    return lambda k: batches(k)[0]

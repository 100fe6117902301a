"""Pictures from words: the matching-aware loop.

::

    lesson = Lesson.of(encoder, renders=20_000, size=32, seed=0)      # training.captioned
    gan = start(Recipe(), size=32, steps=2000, seed=0)
    for record in train_text_gan(gan, lesson.batches(32, seed=0)):
        ...
    pictures = gan.sample(8, encoder.embed(["a small red bird"] * 8))

Shapes: pictures x (N, 3, H, W), codes of true captions t and of false ones w, both (N, D), noise z (N, Z).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from coursekit import losses, runtime
from coursekit.models.text_to_image import Reading, TextDiscriminator, TextGenerator
from coursekit.training import penalties
from coursekit.training.gan import Gan, GanConfig, GanRecord, Turn, frozen
from coursekit.training.run import descend_once


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything but the data, the number of steps and the seed."""

    latent: int = 64
    text: int = 128
    g_width: int = 32
    d_width: int = 32
    fine: int = 24
    norms: bool = True
    """Conditional batch norm in G; else the sentence enters the first layer alone."""
    reading: Reading = "projection"
    spectral: bool = True
    twins: bool = False
    """D compares two pictures of each sentence: more variety, at a price (lecture 8.2, section 6)."""
    matching: bool = True
    """D also learns that a render with a false caption is not to be accepted."""
    r1: float = 0.0
    """gamma of the gradient penalty at renders (Mescheder et al. 2018): D stays flat around them, and fewer styles are lost."""
    interpolated: float = 0.0
    """Weight of G's score on means of two captions (GAN-INT, Reed et al. 2016b, equation 5)."""
    lr: float = 4e-4
    betas: tuple[float, float] = (0.0, 0.99)
    ema: float = 0.998
    decay_from: float = 0.5
    batch: int = 32
    fast: bool = True

    def generator(self, size: int) -> dict[str, int | bool]:
        """What `TextGenerator` is built from."""
        return {
            "text": self.text, "latent": self.latent, "width": self.g_width, "fine": self.fine, "size": size, "norms": self.norms
        }  # fmt: skip

    def without(self, part: str) -> Recipe:
        """This recipe without one of its ingredients: a row of the ablation table."""
        return replace(self, **_WITHOUT[part])


_WITHOUT: dict[str, dict[str, object]] = {
    "matching-aware term": {"matching": False},
    "projection": {"reading": "joined"},
    "conditional batch norm": {"norms": False},
    "spectral norm": {"spectral": False},
    "averaged weights": {"ema": 0.0},
    "gradient penalty": {"r1": 0.0},
}
INGREDIENTS = tuple(_WITHOUT)


RECIPE_32 = Recipe(d_width=24, fine=16, lr=9e-4, r1=1.0)
"""That of a student: four minutes of one core at 32 px."""
RECIPE_64 = Recipe(fine=16, lr=9e-4, r1=1.0)
"""That of the shipped generator at 64 px."""


def start(recipe: Recipe, *, size: int, steps: int, seed: int, on: str | None = None) -> Gan:
    """A run of `recipe` before its first step."""
    with runtime.seeded(seed):
        G = TextGenerator(
            text=recipe.text,
            latent=recipe.latent,
            width=recipe.g_width,
            fine=recipe.fine,
            size=size,
            norms=recipe.norms,
        )
        D = TextDiscriminator(
            text=recipe.text, width=recipe.d_width, fine=recipe.fine, size=size, reading=recipe.reading,
            spectral=recipe.spectral, twins=recipe.twins,
        )  # fmt: skip
    config = GanConfig(
        steps=steps, latent=recipe.latent, lr_d=recipe.lr, lr_g=recipe.lr, betas=recipe.betas, ema=recipe.ema,
        decay_from=recipe.decay_from, fresh_noise=False, channels_last=True, seed=seed,
    )  # fmt: skip
    fabric = runtime.fabric(on=on, precision=runtime.precision(on) if recipe.fast else "32-true")
    return Gan(G, D, config, game=losses.HINGE, fabric=fabric)


def matching_hinge(right: Tensor, wrong: Tensor, fake: Tensor) -> Tensor:
    """Scores (N,) of render and true caption, render and false caption, fake and its caption -> what D descends.

    E max(0, 1 - right) + (E max(0, 1 + wrong) + E max(0, 1 + fake)) / 2: the weights of Reed et al. (2016b), algorithm 1, line 9,
    with hinges in the place of their logarithms.
    """
    false = F.relu(1 + wrong.float()).mean() + F.relu(1 + fake.float()).mean()
    return F.relu(1 - right.float()).mean() + false / 2


def train_text_gan(
    gan: Gan,
    batches: Callable[[int], Sequence[Tensor]],
    *,
    matching: bool = True,
    interpolated: float = 0.0,
    r1: float = 0.0,
    measure: Callable[[Gan], float] | None = None,
) -> Iterator[GanRecord]:
    """Move `gan` on to `config.steps` steps; yield a record after each. One update of D and one of G, on the same fakes.

    `batches(k)` is x, t, w. `matching=False` leaves w out: D then learns about captions from fakes alone. `interpolated`: weight
    of G's loss on means of two captions, for which there is no render (Reed et al. 2016b, equation 5). `r1`: gamma of the
    gradient penalty at renders, in every eighth step, eight times as strong (lazily: Karras et al. 2020, appendix B).
    Raises TrainingError at the first loss or gradient that is not finite.
    """
    began = time.monotonic()
    while gan.step < (config := gan.config).steps:
        step = gan.step
        gan.anneal()
        with gan.turn():
            x, t, w = gan.real(batches(step))
            n, z = len(x), gan.latent(len(x))
            fake = gan.G(z, t)
            if r1 and step % LAZY == 0:
                _flatten(gan, x, t, LAZY * r1, label=f"step {step}, the penalty")
            d = _teach(gan, x, fake.detach(), t, w if matching else None, label=f"step {step}, the discriminator")
            with frozen(gan.D):
                on_fake = gan.D(fake, t)
                loss = gan.game.g(on_fake)
                if interpolated:
                    between = (t + t.roll(1, 0)) / 2
                    loss = loss + interpolated * gan.game.g(gan.D(gan.G(gan.latent(n), between), between))
                g_norm = descend_once(
                    loss, gan.g_optimizer, label=f"step {step}, the generator", backward=gan.fabric.backward
                )
            gan.follow()
        due = gan.step == config.steps or (config.measure_every and gan.step % config.measure_every == 0)
        yield GanRecord(
            step,
            *gan.mean([d.loss, loss, d.real, d.fake, d.grad_norm, g_norm]),
            measure=float(measure(gan)) if measure and due else None,
            seconds=time.monotonic() - began,
        )


LAZY = 8
"""Steps between two gradient penalties. One takes as long as nearly two steps of both players (32 px, one core)."""


def _flatten(gan: Gan, x: Tensor, t: Tensor, gamma: float, *, label: str) -> None:
    """A step of D down gamma / 2 E |grad D(x, t)|^2, in float32: a gradient of a gradient has little left in bfloat16."""
    x = x.contiguous(memory_format=torch.channels_last) if gan.config.channels_last else x
    loss = penalties.r1(gamma)(gan.discriminator, x, x, t)
    descend_once(loss, gan.d_optimizer, label=label, backward=gan.fabric.backward)


def _teach(gan: Gan, x: Tensor, fake: Tensor, t: Tensor, w: Tensor | None, *, label: str) -> Turn:
    """D's update. Renders and fakes go through D by themselves: no norm of D mixes them."""
    if w is None:
        on_real, on_fake = gan.D(x, t), gan.D(fake, t)
        loss = gan.game.d(on_real, on_fake)
    else:
        on_real, on_wrong = gan.D(x, torch.cat([t, w])).chunk(2)
        on_fake = gan.D(fake, t)
        loss = matching_hinge(on_real, on_wrong, on_fake)
    norm = descend_once(loss, gan.d_optimizer, label=label, backward=gan.fabric.backward)
    return Turn(loss.detach(), norm, on_real.detach().float().mean(), on_fake.detach().float().mean())

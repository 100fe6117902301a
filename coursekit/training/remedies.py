"""What mends a GAN that misses modes: every remedy as one recipe, to be run on a world of points.

    attempt = Attempt("wgan-gp", world("ring"), seed=0)
    for record in attempt.train():
        ...                                         # a GanRecord, as of any run
    print(attempt.judge())                          # Modes(covered=8, quality=..., counts=...)

A recipe is compared with `tuned`: the same networks, steps and batch, with one remedy more. `plain` is deliberately weak.
`benchmarks/modes.py` prints the table over all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from coursekit import losses
from coursekit.datasets.toy2d import PointWorld
from coursekit.errors import InputError
from coursekit.losses import Game
from coursekit.metrics.modes import Modes, mode_coverage
from coursekit.models.points import PointAutoencoder, PointCritic, PointGenerator
from coursekit.runtime import fabric, generator, seeded
from coursekit.training.gan import Batch, Gan, GanConfig, GanRecord, Penalty, train_gan
from coursekit.training.penalties import class_loss, clip, r1, two_sided

JUDGED = 2500
"""Samples by which a run is judged, as in Srivastava et al. (2017)."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to train on points. The defaults are those of `tuned`."""

    says: str
    """What is different, in a few words."""
    source: str
    game: Game = losses.NON_SATURATING
    penalty: Penalty | None = None
    clip: float = 0.0
    """c of weight clipping; 0 clips nothing."""
    balance: float = 0.0
    """gamma of BEGAN, whose k_t then follows each step by BALANCE_RATE; replaces `game`."""
    autoencoder: bool = False
    """D is a `PointAutoencoder`; else a `PointCritic`."""
    labels: bool = False
    """D has K + 1 classes and sees the labels of real data."""
    statistic: bool = False
    spectral: bool = False
    slope: float = 1.0
    batch_norm: bool = False
    mixed: bool = False
    """Real and fake data in one batch for D."""
    noise: float = 0.0
    """Standard deviation of instance noise at the first step; it falls to 0 half way."""
    scale: float = 1.0
    """Data are multiplied by it for training, fakes divided by it before they are judged."""
    steps: int = 2000
    batch: int = 128
    latent: int = 2
    width: int = 64
    lr_d: float = 2e-3
    lr_g: float = 2e-3
    betas: tuple[float, float] = (0.0, 0.9)
    ema: float = 0.995
    anneal: bool = True
    """Both learning rates fall along a line, to a twentieth."""


BALANCE_RATE = 0.01
"""lambda of BEGAN. The paper has 0.001 for hundreds of thousands of steps; a run here has a few thousand."""

TUNED = Recipe(
    says="non-saturating loss, Adam (0, 0.9), rates that fall to 0, averaged weights", source="Goodfellow et al. 2014"
)

REMEDIES: Mapping[str, Recipe] = {
    "plain": Recipe(
        says="minimax loss, small networks, G faster than D, last weights", source="Goodfellow et al. 2014",
        game=losses.MINIMAX, betas=(0.5, 0.9), lr_d=5e-4, width=32, ema=0.0, anneal=False,
    ),
    "tuned": TUNED,
    "minibatch": replace(TUNED, says="D also sees the mean distance in the batch", source="Salimans et al. 2016", statistic=True),
    "labels": replace(
        TUNED, says="D tells K classes and fake", source="Salimans et al. 2016", game=losses.CLASSES, labels=True,
        penalty=class_loss(),
    ),
    "wgan": replace(
        TUNED, says="Wasserstein critic, weights clipped to 0.1", source="Arjovsky et al. 2017", game=losses.WASSERSTEIN,
        clip=0.1, lr_d=4e-3, lr_g=5e-4,
    ),
    "wgan-gp": replace(
        TUNED, says="Wasserstein critic, gradient penalty", source="Gulrajani et al. 2017", game=losses.WASSERSTEIN,
        penalty=two_sided(0.1), lr_d=4e-3, lr_g=5e-4,
    ),
    "r1": replace(TUNED, says="flat D where the data are", source="Mescheder et al. 2018", penalty=r1(0.002)),
    "lsgan": replace(TUNED, says="least squares", source="Mao et al. 2017", game=losses.LEAST_SQUARES),
    "hinge": replace(TUNED, says="hinge loss", source="Lim & Ye 2017", game=losses.HINGE),
    "spectral": replace(
        TUNED, says="hinge loss, spectral norm, slope at most 20", source="Miyato et al. 2018", game=losses.HINGE, spectral=True,
        slope=20.0,
    ),
    "began": replace(
        TUNED, says="D an autoencoder, in balance", source="Berthelot et al. 2017", autoencoder=True, balance=0.5,
        betas=(0.5, 0.999), lr_d=1e-3, lr_g=5e-4,
    ),
    "ebgan": replace(
        TUNED, says="D an autoencoder, with a margin", source="Zhao et al. 2017", autoencoder=True,
        game=losses.energy_game(0.3), betas=(0.5, 0.999), lr_d=1e-3, lr_g=5e-4,
    ),
    "smoothing": replace(TUNED, says="label of real data 0.9", source="Salimans et al. 2016", game=losses.smoothed_game(0.9)),
    "noise": replace(TUNED, says="noise of 0.2 on D's input, falling to 0", source="Arjovsky & Bottou 2017", noise=0.2),
    "unscaled": replace(TUNED, says="data ten times as large", source="ganhacks 1", scale=10.0),
    "separate": replace(TUNED, says="batch norm in D, real and fake apart", source="ganhacks 4", batch_norm=True),
    "mixed": replace(TUNED, says="batch norm in D, real and fake mixed", source="ganhacks 4", batch_norm=True, mixed=True),
}  # fmt: skip
"""Name -> recipe. `BEST` names the one that a student should try first."""
BEST = "r1"


class Balance:
    """k_t of BEGAN: how much of D's effort goes into spoiling fakes. It starts at 0."""

    def __init__(self, gamma: float, rate: float = BALANCE_RATE) -> None:
        self.gamma, self.rate, self.k = gamma, rate, 0.0

    def __call__(self) -> float:
        return self.k

    def follow(self, record: GanRecord) -> None:
        """After a step: D's energy of real data and G's of its fakes move k."""
        self.k = losses.next_balance(self.k, record.d_real, record.g_loss, gamma=self.gamma, rate=self.rate)


class Attempt:
    """A recipe on a world with a seed: the run, and what stands around its loop."""

    def __init__(self, name: str | Recipe, world: PointWorld, *, seed: int, steps: int | None = None) -> None:
        """`steps` overrides the recipe's. Raises InputError for an unknown name. Trains on the CPU: the networks are small."""
        self.recipe, self.world = find(name), world
        what, seed_of_data = self.recipe, (seed + 1) * 1_000_003
        self.balance = Balance(what.balance) if what.balance else None
        G, D = networks(what, world.pieces, seed=seed)
        config = GanConfig(
            steps=what.steps if steps is None else steps, latent=what.latent, lr_d=what.lr_d, lr_g=what.lr_g,
            betas=what.betas, ema=what.ema, decay_from=0.0 if what.anneal else 1.0, mixed=what.mixed, seed=seed,
        )  # fmt: skip
        game = what.game if self.balance is None else losses.balanced_game(self.balance)
        self.gan = Gan(G, D, config, game=game, fabric=fabric(on="cpu"))

        def batches(k: int) -> Batch:
            drawn = world.draw(what.batch, generator=generator(seed_of_data + k))
            x = drawn.x * what.scale
            return [x, drawn.labels] if what.labels and drawn.labels is not None else x

        self.batches = batches

    def train(self) -> Iterator[GanRecord]:
        """Move the run on to its end; yield `train_gan`'s record after each step."""
        project = clip(self.recipe.clip) if self.recipe.clip else None
        for record in train_gan(self.gan, self.batches, penalty=self.recipe.penalty, project=project):
            self.follow(record)
            yield record

    def follow(self, record: GanRecord) -> None:
        """What changes from step to step: noise, balance."""
        what, gan = self.recipe, self.gan
        if what.noise:
            gan.discriminator.noise.std = what.noise * max(0.0, 1 - 2 * gan.step / gan.config.steps)
        if self.balance is not None:
            self.balance.follow(record)

    def sample(self, n: int = JUDGED, *, seed: int = 0) -> Tensor:
        """n fakes (n, 2) in the world's own units."""
        return self.gan.sample(n, seed=seed) / self.recipe.scale

    def judge(self) -> Modes:
        """Modes covered and quality, by `JUDGED` fakes from noise that no step has seen."""
        return mode_coverage(self.sample(seed=10_000 + self.gan.seed), self.world.modes(), self.world.spread)

    @torch.no_grad()
    def opinion(self, x: Tensor) -> Tensor:
        """What D says of points (N, 2) in the world's units: P(real), a critic's score, or an energy, (N,)."""
        D = self.gan.discriminator
        D.eval()
        try:
            return self.gan.game.opinion(D(x * self.recipe.scale))
        finally:
            D.train()


def find(name: str | Recipe) -> Recipe:
    """The recipe of that name; a recipe is returned as it is. Raises InputError, with all names, for an unknown one."""
    if isinstance(name, Recipe):
        return name
    if name not in REMEDIES:
        raise InputError.of("a remedy", got=name, expected=f"one of {', '.join(REMEDIES)}", do="Check the spelling.")
    return REMEDIES[name]


def networks(what: Recipe, classes: int, *, seed: int) -> tuple[nn.Module, nn.Module]:
    """G and D of a recipe, freshly drawn; `classes` is the world's number of modes."""
    with seeded(seed):
        G = PointGenerator(latent=what.latent, width=what.width)
        if what.autoencoder:
            return G, PointAutoencoder(width=what.width)
        return G, PointCritic(
            width=what.width, classes=classes if what.labels else 0, statistic=what.statistic, spectral=what.spectral,
            slope=what.slope, batch_norm=what.batch_norm, noise=what.noise,
        )  # fmt: skip

"""The adversarial loop: two short updates, taken in turns.

::

    gan = Gan(G, D, GanConfig(steps=2000, latent=64))
    for record in train_gan(gan, batches):
        ...                                        # look at it, draw it, keep it: observers stand outside
    pictures = gan.sample(64)

`G` maps noise (N, Z), and conditions if there are any, to data (N, ...); `D` maps data, and the same conditions, to scores.
After Goodfellow et al. (2014), algorithm 1.
"""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from coursekit import runtime
from coursekit.errors import InputError
from coursekit.losses import NON_SATURATING, Game
from coursekit.training.run import Parts, Run, descend_once

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Batch = Tensor | Sequence[Tensor]
"""Data x (N, ...), or x and its conditions, each with N rows."""
Penalty = Callable[..., Tensor]
"""(D, real, fake, *conditions) -> a scalar that is added to D's loss."""
Projection = Callable[[nn.Module], None]
"""Moves the weights of D, in place, back to where they are allowed to be."""


@dataclass(frozen=True, kw_only=True)
class GanConfig:
    """Everything about a run that is a plain value."""

    steps: int
    """Updates of the generator."""
    latent: int
    """Z, the width of the noise."""
    lr_d: float = 2e-4
    lr_g: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's; (0.5, 0.999) after Radford et al. (2016), section 4."""
    decay_from: float = 1.0
    """Share of the steps after which both rates fall on a straight line, to a twentieth at the last step; 1 keeps them."""
    d_steps: int = 1
    """Updates of the discriminator before each of the generator (k in Goodfellow et al., algorithm 1)."""
    fresh_noise: bool = True
    """Whether G's step draws noise of its own (Goodfellow et al., algorithm 1). False saves a pass through G: the fakes of
    D's last update serve both players, as in the PyTorch example."""
    ema: float = 0.0
    """Decay of an exponential average of G's weights, which `Gan.sample` then uses; 0 keeps none."""
    channels_last: bool = False
    """Pixels' channels side by side in memory: faster convolutions, same numbers up to rounding."""
    mixed: bool = False
    """D reads real and fake data in one batch, not in two: batch norm in D then cannot tell them apart by their mean."""
    measure_every: int = 0
    """Steps between measures; 0 measures after the last step alone."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in {"steps": 0, "latent": 1, "d_steps": 1, "measure_every": 0}.items():
            if getattr(self, name) < low:
                raise InputError.of(
                    f"GanConfig.{name}", got=getattr(self, name), expected=f"at least {low}", do="Raise it."
                )
        if not 0 <= self.decay_from <= 1:
            raise InputError.of(
                "GanConfig.decay_from", got=self.decay_from, expected="in [0, 1]", do="Try 0.5, or 1 for no decay."
            )
        if not 0 <= self.ema < 1:
            raise InputError.of("GanConfig.ema", got=self.ema, expected="in [0, 1)", do="Try 0.999, or 0 for none.")


@dataclass(frozen=True)
class GanRecord:
    """What one step (d_steps updates of D, one of G) left behind; of D, the last update."""

    step: int
    d_loss: float
    g_loss: float
    d_real: float
    """Mean opinion of D on real data: P(real) where its scores are logits, else the score (`Game.opinion`)."""
    d_fake: float
    """The same on fakes; both from D's update, before it."""
    d_grad_norm: float
    g_grad_norm: float
    measure: float | None = None
    """What `train_gan` was given to measure, on the steps on which it did."""
    seconds: float = field(default=0.0, compare=False)
    """Since the loop began."""


class Turn(NamedTuple):
    """One update: scalars, detached."""

    loss: Tensor
    grad_norm: Tensor
    real: Tensor
    """Mean opinion on real data; NaN in a turn of G, which sees none."""
    fake: Tensor


class Gan(Run):
    """Two networks, their optimisers and the noise: the state that `train_gan` moves on."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        config: GanConfig,
        *,
        game: Game = NON_SATURATING,
        fabric: Fabric | None = None,
        generators: dict[str, torch.Generator] | None = None,
    ) -> None:
        """Both networks move to the fabric's device (default: the fastest here, in float32) and stay the caller's.

        `generators`: the random generators that the batches are drawn from, if any; checkpoints keep their states.
        """
        super().__init__(seed=config.seed, fabric=fabric)
        self.config, self.game, self.generators = config, game, dict(generators or {})
        self.generator, self.discriminator = generator, discriminator
        for net in (generator, discriminator):
            net.to(self.fabric.device)
            if config.channels_last:
                net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(generator).requires_grad_(False) if config.ema else None
        fused = self.fabric.device.type in ("cpu", "cuda")
        adam = {"betas": tuple(map(float, config.betas)), "fused": fused}  # (0, 0.99) is refused by torch
        self.g_adam = torch.optim.Adam(generator.parameters(), lr=config.lr_g, **adam)  # type: ignore[arg-type]
        self.d_adam = torch.optim.Adam(discriminator.parameters(), lr=config.lr_d, **adam)  # type: ignore[arg-type]
        self.G, self.g_optimizer = self.fabric.setup(generator, self.g_adam)
        self.D, self.d_optimizer = self.fabric.setup(discriminator, self.d_adam)
        self.noise = runtime.generator(config.seed)

    def parts(self) -> Parts:
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        if self.average is not None:
            networks["average"] = self.average
        config = asdict(self.config) | {
            "betas": list(self.config.betas),
            "d": self.game.d.__name__,
            "g": self.game.g.__name__,
        }
        for free in ("steps", "measure_every"):  # a run may go on for longer, and be watched more closely
            config.pop(free)
        return Parts(
            networks,
            {"generator": self.g_adam, "discriminator": self.d_adam},
            {"noise": self.noise, **self.generators},
            config,
        )

    def anneal(self) -> None:
        """Set the rates of the step to come."""
        config = self.config
        done = self.step / max(1, config.steps - 1)
        left = 1.0 if done <= config.decay_from else max(0.05, (1 - done) / (1 - config.decay_from))
        for adam, rate in ((self.d_adam, config.lr_d), (self.g_adam, config.lr_g)):
            for group in adam.param_groups:
                group["lr"] = rate * left

    def latent(self, n: int) -> Tensor:
        """Noise for n examples of the global batch, N(0, I): this process's share of it, (N, Z)."""
        return self.share(torch.randn(n, self.config.latent, generator=self.noise))

    def real(self, batch: Batch) -> list[Tensor]:
        """A global batch -> this process's share of the data and of each condition."""
        shared = [self.share(part) for part in ([batch] if isinstance(batch, Tensor) else batch)]
        if self.config.channels_last and shared[0].ndim == 4:
            shared[0] = shared[0].contiguous(memory_format=torch.channels_last)
        return shared

    @torch.no_grad()
    def follow(self) -> None:
        """Move the average of G's weights a little towards them."""
        if self.average is None:
            return
        # The average of few steps must not be mostly the random weights it began with.
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        for mean, now in zip(self.average.parameters(), self.generator.parameters()):
            mean.lerp_(now, 1 - decay)
        for mean, now in zip(self.average.buffers(), self.generator.buffers()):
            mean.copy_(now)

    @torch.no_grad()
    def sample(self, z: Tensor | int, *conditions: Tensor, seed: int = 0) -> Tensor:
        """Fakes in eval mode, from noise (N, Z) or from a number of examples; by the average where one is kept.

        Float32, on the CPU. It draws nothing from the run's noise, so that looking does not change the run.
        """
        if isinstance(z, int):
            z = torch.randn(z, self.config.latent, generator=runtime.generator(seed))
        net = self.generator if self.average is None else self.average
        training, device = net.training, self.fabric.device
        net.eval()
        try:
            with self.fabric.autocast():
                return net(z.to(device), *(c.to(device) for c in conditions)).float().cpu()
        finally:
            net.train(training)


def update_discriminator(
    D: nn.Module,
    G: nn.Module,
    real: Tensor,
    z: Tensor,
    *conditions: Tensor,
    game: Game,
    optimizer: torch.optim.Optimizer,
    fake: Tensor | None = None,
    penalty: Penalty | None = None,
    project: Projection | None = None,
    mixed: bool = False,
    backward: Callable[[Tensor], None] = Tensor.backward,
    label: str = "the discriminator",
) -> Turn:
    """One step of D; G stays as it is and receives no gradient.

    `penalty(D, real, fake, *conditions)` is added to the loss: a gradient penalty, or a term for real data with a wrong
    condition. `project(D)` follows the step: it may clip the weights. `mixed`: as in `GanConfig`.
    `fake`: fakes to use instead of G(z); D's step never reaches G through them.
    """
    if fake is None:
        with torch.no_grad():
            fake = G(z, *conditions)
    fake = fake.detach()
    if mixed:
        on_real, on_fake = D(torch.cat([real, fake]), *(torch.cat([c, c]) for c in conditions)).split(len(real))
    else:
        on_real, on_fake = D(real, *conditions), D(fake, *conditions)
    loss = game.d(on_real, on_fake)
    if penalty is not None:
        loss = loss + penalty(D, real, fake, *conditions)
    norm = descend_once(loss, optimizer, label=label, backward=backward)
    if project is not None:
        with torch.no_grad():
            project(D)
    opinions = [game.opinion(score.detach()).mean() for score in (on_real, on_fake)]
    return Turn(loss.detach(), norm, *opinions)


def update_generator(
    G: nn.Module,
    D: nn.Module,
    z: Tensor,
    *conditions: Tensor,
    game: Game,
    optimizer: torch.optim.Optimizer,
    fake: Tensor | None = None,
    backward: Callable[[Tensor], None] = Tensor.backward,
    label: str = "the generator",
) -> Turn:
    """One step of G, through D, whose weights stay as they are and receive no gradient.

    `fake`: fakes with their graph, to use instead of G(z).
    """
    with frozen(D):
        on_fake = D(G(z, *conditions) if fake is None else fake, *conditions)
        loss = game.g(on_fake)
        norm = descend_once(loss, optimizer, label=label, backward=backward)
    return Turn(loss.detach(), norm, torch.tensor(torch.nan), game.opinion(on_fake.detach()).mean())


def train_gan(
    gan: Gan,
    batches: Callable[[int], Batch],
    *,
    measure: Callable[[Gan], float] | None = None,
    penalty: Penalty | None = None,
    project: Projection | None = None,
) -> Iterator[GanRecord]:
    """Move `gan` on to `config.steps` steps; yield a record after each.

    `batches(k)` is the k-th global batch of real data, for the k-th update of D: x, or x and its conditions. (A function
    of k, not an iterator, so that a resumed run meets the batches that it would have met.) `measure(gan)` is the world's
    opinion of the fakes. Raises TrainingError at the first loss or gradient that is not finite.
    """
    began = time.monotonic()
    play = {"game": gan.game, "backward": gan.fabric.backward}
    while gan.step < (config := gan.config).steps:  # `within` may change it
        step = gan.step
        gan.anneal()
        with gan.turn():
            for k in range(config.d_steps):
                batch = batches(step * config.d_steps + k)
                n = len(batch) if isinstance(batch, Tensor) else len(batch[0])
                real, *conditions = gan.real(batch)
                z = gan.latent(n)
                shared = None if config.fresh_noise or k < config.d_steps - 1 else gan.G(z, *conditions)
                d = update_discriminator(
                    gan.D, gan.G, real, z, *conditions, optimizer=gan.d_optimizer, fake=shared, penalty=penalty,
                    project=project, mixed=config.mixed, label=f"step {step}, the discriminator", **play,
                )  # fmt: skip
            g = update_generator(
                gan.G, gan.D, gan.latent(n) if config.fresh_noise else z, *conditions, optimizer=gan.g_optimizer,
                fake=shared, label=f"step {step}, the generator", **play,
            )  # fmt: skip
            gan.follow()
        due = gan.step == config.steps or (config.measure_every and gan.step % config.measure_every == 0)
        yield GanRecord(
            step,
            *gan.mean([d.loss, g.loss, d.real, d.fake, d.grad_norm, g.grad_norm]),
            measure=float(measure(gan)) if measure and due else None,
            seconds=time.monotonic() - began,
        )


def within(gan: Gan, records: Iterator[GanRecord], seconds: float) -> Iterator[GanRecord]:
    """`records` until this process has used `seconds` of CPU time; after fifty steps it is foretold how many will fit.

    `gan.config.steps` is set to that number, so that rates which fall towards the end do so in time. Begin with a number of
    steps that is large. CPU time is what a busy machine does not change much; on one thread it is that of an idle core.
    """
    began = timed = time.process_time()
    for record in records:
        used = time.process_time() - began
        if record.step == _WARM_UP:
            timed = time.process_time()
        elif record.step == _WARM_UP + _TIMED:
            each = (time.process_time() - timed) / _TIMED
            gan.config = replace(gan.config, steps=gan.step + max(1, int((seconds - used) / each)))
        yield record
        if used >= seconds:
            return


_WARM_UP, _TIMED = 10, 40


@contextlib.contextmanager
def frozen(net: nn.Module) -> Iterator[None]:
    """Within the block gradients pass through `net` to its input, but are not computed for its weights."""
    trained = [p for p in net.parameters() if p.requires_grad]
    for p in trained:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in trained:
            p.requires_grad_(True)

"""The supervised loop for classifiers: forward, loss, step, record.

::

    learner = Learner(net, LearnerConfig(steps=500))
    records = list(train_classifier(learner, shuffled(x, y, batch=64, seed=0)))
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit import runtime
from coursekit.errors import InputError
from coursekit.training.run import Parts, Run, descend_once

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """Everything about a run that is a plain value."""

    steps: int
    lr: float = 2e-3
    """The highest rate: reached after `warmup` of the steps, then lowered along half a cosine to 0."""
    warmup: float = 0.05
    weight_decay: float = 1e-4
    """AdamW's (Loshchilov and Hutter 2019)."""
    channels_last: bool = False
    seed: int = 0

    def rate(self, step: int) -> float:
        """The learning rate of a step, from 0 to steps - 1."""
        first = max(1, round(self.warmup * self.steps))
        if step < first:
            return self.lr * (step + 1) / first
        return self.lr * (1 + math.cos(math.pi * (step - first + 1) / (self.steps - first + 1))) / 2


@dataclass(frozen=True)
class LearnerRecord:
    """What one step left behind; loss and accuracy on its batch, before it."""

    step: int
    loss: float
    accuracy: float
    """Share of the batch whose likeliest class is right."""
    lr: float
    grad_norm: float
    seconds: float = field(default=0.0, compare=False)
    """Since the loop began."""


class Learner(Run):
    """A classifier (x (N, ...) -> logits (N, K)) and its optimiser: the state that `train_classifier` moves on."""

    def __init__(
        self,
        net: nn.Module,
        config: LearnerConfig,
        *,
        loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
        fabric: Fabric | None = None,
        generators: dict[str, torch.Generator] | None = None,
    ) -> None:
        """`net` moves to the fabric's device (default: the fastest here, in float32). `generators` as in `Gan`."""
        super().__init__(seed=config.seed, fabric=fabric)
        self.config, self.loss, self.generators = config, loss, dict(generators or {})
        self.net = net.to(self.fabric.device)
        if config.channels_last:
            net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        fused = self.fabric.device.type in ("cpu", "cuda")
        self.adam = torch.optim.AdamW(net.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=fused)
        self.model, self.optimizer = self.fabric.setup(net, self.adam)

    def parts(self) -> Parts:
        return Parts({"net": self.net}, {"net": self.adam}, self.generators, asdict(self.config))


def train_classifier(learner: Learner, batches: Callable[[int], tuple[Tensor, Tensor]]) -> Iterator[LearnerRecord]:
    """Move `learner` on to `config.steps` steps; yield a record after each.

    `batches(step)` is a global batch: x (N, ...) and classes y (N,) int64. Raises TrainingError at the first loss or
    gradient that is not finite.
    """
    config, began = learner.config, time.monotonic()
    while learner.step < config.steps:
        step = learner.step
        rate = config.rate(step)
        with learner.turn():
            x, y = (learner.share(part) for part in batches(step))
            if config.channels_last:
                x = x.contiguous(memory_format=torch.channels_last)
            for group in learner.adam.param_groups:
                group["lr"] = rate
            logits = learner.model(x)
            loss = learner.loss(logits, y)
            norm = descend_once(loss, learner.optimizer, label=f"step {step}", backward=learner.fabric.backward)
            right = (logits.detach().argmax(-1) == y).float().mean()
        mean_loss, accuracy, mean_norm = learner.mean([loss, right, norm])
        yield LearnerRecord(step, mean_loss, accuracy, rate, mean_norm, seconds=time.monotonic() - began)


def shuffled(*columns: Tensor, batch: int, seed: int) -> Callable[[int], tuple[Tensor, ...]]:
    """Data held in memory as a function of k: the k-th batch of `batch` rows, each epoch in a new order.

    `columns` have N rows each, such as x and y. An epoch's order depends on `seed` and on the epoch alone, so a resumed run
    meets the same batches. The N mod `batch` rows that are left over wait for another epoch.
    """
    sizes = {len(column) for column in columns}
    if len(sizes) != 1 or not 1 <= batch <= min(sizes):
        raise InputError.of(
            "data for batches", got=f"{sorted(sizes)} rows, batches of {batch}",
            expected="columns of one length, at least one batch long", do="Cut the columns to one length.",
        )  # fmt: skip
    n = sizes.pop()
    per_epoch = n // batch
    kept: dict[int, Tensor] = {}

    def batches(k: int) -> tuple[Tensor, ...]:
        epoch, place = divmod(k, per_epoch)
        if epoch not in kept:
            kept.clear()
            kept[epoch] = torch.randperm(n, generator=runtime.generator((seed * 1_000_003 + epoch) % 2**63))
        rows = kept[epoch][place * batch : (place + 1) * batch]
        return tuple(column[rows] for column in columns)

    return batches

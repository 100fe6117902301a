"""The plain loop: loss, gradient, clip, step, record."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from coursekit.errors import InputError, TrainingError
from coursekit.training.progress import track

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}


@dataclass(frozen=True)
class Record:
    """What one step left behind."""

    step: int
    loss: float
    grad_norm: float
    """Euclidean norm of all gradients together, before clipping."""


def train(
    parameters: Iterable[Tensor],
    loss_fn: Callable[[int], Tensor],
    *,
    steps: int,
    lr: float = 1e-2,
    clip: float = 1.0,
    optimizer: str = "adam",
    label: str = "training",
    every: int = 1,
) -> list[Record]:
    """Descend `loss_fn(step)` (a scalar) for `steps` steps; return a record for every `every`-th step.

    `clip` bounds the norm of the whole gradient (Pascanu et al. 2013, section 3.2); `math.inf` leaves it alone.
    Raises `TrainingError` at the first loss that is not finite.
    """
    if optimizer not in OPTIMIZERS:
        raise InputError.of(
            "optimizer", got=optimizer, expected=f"one of {sorted(OPTIMIZERS)}", do="Pick one of these."
        )
    weights = list(parameters)
    descent = OPTIMIZERS[optimizer](weights, lr=lr)
    records = []
    for step in track(range(steps), label):
        loss = loss_fn(step)
        if not math.isfinite(loss.item()):
            raise TrainingError(
                f"{label}: the loss at step {step} is {loss.item()}, expected a finite number. Likely causes: a learning "
                f"rate that is too high (here {lr}), gradients that are not clipped (here at {clip}), a log of 0 or a "
                "division by 0 in the loss. Lower the rate first."
            )
        descent.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(weights, clip)
        descent.step()
        if step % every == 0 or step == steps - 1:
            records.append(Record(step, loss.item(), norm.item()))
    return records

"""The plain loop: loss, gradient, clip, step, record."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
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


def descend(
    weights: Sequence[Tensor],
    loss_fn: Callable[[int], Tensor],
    descent: torch.optim.Optimizer,
    *,
    steps: Iterable[int],
    clip: float = 1.0,
    label: str = "training",
) -> Iterator[Record]:
    """Take a step of `descent` for each of `steps`, down the slope of `loss_fn(step)` (a scalar); yield its record.

    `clip` bounds the norm of the whole gradient (Pascanu et al. 2013, section 3.2); `math.inf` leaves it alone.
    Raises `TrainingError` at the first loss that is not finite.
    """
    for step in steps:
        loss = loss_fn(step)
        if not math.isfinite(loss.item()):
            rates = ", ".join(f"{group['lr']}" for group in descent.param_groups)
            raise TrainingError(
                f"{label}: the loss at step {step} is {loss.item()}, expected a finite number. Likely causes: a learning "
                f"rate that is too high (here {rates}), gradients that are not clipped (here at {clip}), a log of 0 or a "
                "division by 0 in the loss. Lower the rate first."
            )
        descent.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(weights, clip)
        descent.step()
        yield Record(step, loss.item(), norm.item())


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
    """`descend` under a progress bar, with an optimiser by name; return a record for every `every`-th step and the last."""
    if optimizer not in OPTIMIZERS:
        raise InputError.of(
            "optimizer", got=optimizer, expected=f"one of {sorted(OPTIMIZERS)}", do="Pick one of these."
        )
    weights = list(parameters)
    descent = OPTIMIZERS[optimizer](weights, lr=lr)
    records = descend(weights, loss_fn, descent, steps=track(range(steps), label), clip=clip, label=label)
    return [r for r in records if r.step % every == 0 or r.step == steps - 1]

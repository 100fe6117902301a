"""What every training run has: a step count, a seed, a fabric, and parts that a checkpoint must hold."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from coursekit import runtime
from coursekit.errors import InputError, TrainingError
from coursekit.runtime import seeded

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Parts:
    """All that determines how a run goes on."""

    networks: Mapping[str, nn.Module]
    optimizers: Mapping[str, torch.optim.Optimizer]
    generators: Mapping[str, torch.Generator] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    """Plain values. A checkpoint continues only a run of the same configuration."""


class Run:
    """A training run between its steps. Loops are functions that move it on; observers look at it from outside."""

    def __init__(self, *, seed: int, fabric: Fabric | None) -> None:
        self.fabric = runtime.fabric() if fabric is None else fabric
        self.seed = seed
        self.step = 0
        """Steps done."""
        self.whole = True
        """False in the middle of a step, and after an exception there: some weights have moved, others not."""

    def parts(self) -> Parts:
        raise NotImplementedError

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """One step. Within it torch's global generator, from which dropout draws, has a seed of the step's own.

        So a resumed run drops the same units as one that was never stopped (on the CPU).
        """
        self.whole = False
        own = (self.seed * 1_000_003 + self.step) * 1_009 + self.fabric.global_rank
        with seeded(own % 2**63):
            yield
        self.step += 1
        self.whole = True

    def share(self, batch: Tensor) -> Tensor:
        """The part of a global batch (N, ...) that this process computes, on its device."""
        processes = self.fabric.world_size
        if len(batch) % processes:
            raise InputError.of(
                "a batch", got=f"{len(batch)} examples", expected=f"a multiple of the {processes} processes",
                do="Otherwise the mean of the processes' losses is not the mean over the batch.",
            )  # fmt: skip
        return batch.chunk(processes)[self.fabric.global_rank].to(self.fabric.device, non_blocking=True)

    def mean(self, values: Sequence[Tensor]) -> list[float]:
        """Each scalar, averaged over the processes."""
        stacked = torch.stack([value.detach().float() for value in values])
        return self.fabric.all_reduce(stacked, reduce_op="mean").tolist()  # type: ignore[union-attr]


def descend_once(
    loss: Tensor,
    optimizer: torch.optim.Optimizer,
    *,
    label: str,
    backward: Callable[[Tensor], None] = Tensor.backward,
) -> Tensor:
    """Zero, backward, step; return the Euclidean norm of the whole gradient.

    Raises TrainingError *before* the weights move when the loss or the gradient is not finite.
    """
    require_finite(loss, "loss", label)
    optimizer.zero_grad()
    backward(loss)
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    require_finite(norm, "norm of the gradient", label)
    optimizer.step()
    return norm


def require_finite(value: Tensor, what: str, label: str) -> None:
    """Raise TrainingError with the likely causes unless the scalar `value` is finite."""
    if not math.isfinite(number := value.item()):
        raise TrainingError(
            f"{label}: the {what} is {number}, expected a finite number. Likely causes: a learning rate that is too high, "
            "a log of 0 or a division by 0 in a loss or penalty, a root at 0 (its slope is infinite), data outside "
            "[-1, 1] or with NaN. The weights are those of before this update. Lower the rate first."
        )

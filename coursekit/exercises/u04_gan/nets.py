"""The two networks that this unit's probes train: small, smooth, and made from drawn numbers alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.draws import Rng
from coursekit.checks.protocol import RecordingSGD

NOISE, HIDDEN, FEATURES = 2, 5, 3
"""Width of the noise, of the hidden layer, of the data."""
_G_SIZES = (HIDDEN * NOISE, HIDDEN, FEATURES * HIDDEN, FEATURES)
_D_SIZES = (HIDDEN * FEATURES, HIDDEN, HIDDEN, 1)


def draw_generator(rng: Rng) -> Tensor:
    """The weights of one `Generator` as a vector (P,)."""
    scales = (1 / math.sqrt(NOISE), 0.3, 1.2 / math.sqrt(HIDDEN), 0.3)
    return torch.cat([rng.normal(size, scale=scale) for size, scale in zip(_G_SIZES, scales)])


def draw_discriminator(rng: Rng) -> Tensor:
    """The weights of one `Discriminator` as a vector (P,)."""
    scales = (1.5 / math.sqrt(FEATURES), 0.3, 2 / math.sqrt(HIDDEN), 0.3)
    return torch.cat([rng.normal(size, scale=scale) for size, scale in zip(_D_SIZES, scales)])


class BatchNorm(nn.Module):
    """Batch norm without gain and shift: (N, D) -> (N, D), with torch's running averages."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(width, dtype=dtype))
        self.register_buffer("running_var", torch.ones(width, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, training=self.training, momentum=0.2, eps=0.05)


class Generator(nn.Module):
    """Noise (N, 2) -> data (N, 3) in (-1, 1), in the dtype of its weights."""

    def __init__(self, weights: Tensor, *, batch_norm: bool = False) -> None:
        super().__init__()
        # Bare parameters: modules of torch would first draw weights of their own, at ten times the cost.
        pieces = [piece.clone() for piece in weights.split(_G_SIZES)]
        self.first = nn.Parameter(pieces[0].reshape(HIDDEN, NOISE))
        self.shift = nn.Parameter(pieces[1])
        self.second = nn.Parameter(pieces[2].reshape(FEATURES, HIDDEN))
        self.bias = nn.Parameter(pieces[3])
        self.norm = BatchNorm(HIDDEN, weights.dtype) if batch_norm else nn.Identity()

    def forward(self, z: Tensor) -> Tensor:
        hidden = torch.tanh(self.norm(F.linear(z, self.first)) + self.shift)
        return torch.tanh(F.linear(hidden, self.second, self.bias))


class Discriminator(nn.Module):
    """Data (N, 3) -> logits (N,) of being real, plus `leaning`, in the dtype of its weights."""

    def __init__(self, weights: Tensor, *, batch_norm: bool = False, leaning: float = 0.0) -> None:
        super().__init__()
        pieces = [piece.clone() for piece in weights.split(_D_SIZES)]
        self.first = nn.Parameter(pieces[0].reshape(HIDDEN, FEATURES))
        self.shift = nn.Parameter(pieces[1])
        self.second = nn.Parameter(pieces[2].reshape(1, HIDDEN))
        self.bias = nn.Parameter(pieces[3])
        self.norm = BatchNorm(HIDDEN, weights.dtype) if batch_norm else nn.Identity()
        self.leaning = leaning

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.norm(F.linear(x, self.first)) + self.shift)
        return F.linear(hidden, self.second, self.bias).squeeze(1) + self.leaning


def used(net: nn.Module) -> nn.Module:
    """`net` as it is found in the middle of its life: gradients are still there, one parameter is frozen."""
    parameters = list(net.parameters())
    for k, parameter in enumerate(parameters):
        parameter.grad = torch.full_like(parameter, 0.25 + 0.5 * k)
    parameters[-1].requires_grad_(False)
    return net


class Stream:
    """Serves the rows of a bank, n at a time, none twice until all have been served, and counts what was asked for."""

    def __init__(self, bank: Tensor, note: Callable[[int], None] = lambda n: None) -> None:
        self.bank, self.note, self.asked = bank, note, list[int]()
        self._next = 0

    def __call__(self, n: int) -> Tensor:
        self.asked.append(n)
        self.note(n)
        rows = torch.arange(self._next, self._next + n) % len(self.bank)
        self._next += n
        return self.bank[rows]


class RecordingMomentum(RecordingSGD):
    """v <- 0.5 v + p.grad, p <- p - lr v: heavy-ball momentum that writes down what happened, here and in `log`."""

    def __init__(self, parameters: Iterable[Tensor], lr: float, log: list[str], name: str) -> None:
        super().__init__(parameters, lr)
        self._log, self._name = log, name
        self._velocity = [torch.zeros_like(p) for p in self._parameters()]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        result = super().step(closure)  # p <- p - lr p.grad, and now what is left of the older gradients
        with torch.no_grad():
            for parameter, velocity in zip(self._parameters(), self._velocity):
                if parameter.grad is not None:
                    parameter.sub_(velocity, alpha=0.5 * self.param_groups[0]["lr"])
                    velocity.mul_(0.5).add_(parameter.grad)
        self._log.append(self._name)
        return result

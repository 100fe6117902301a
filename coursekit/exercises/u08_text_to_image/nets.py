"""What the probes of this unit look through: small networks that read a text embedding, made from drawn numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from coursekit.checks.draws import Rng


class TextG(nn.Module):
    """z (N, 3), phi (N, 4) -> pictures (N, 2, 3, 4) in [-1, 1]: linear, batch norm, tanh, transposed convolution, tanh.

    Smooth, because a rectifier's kinks would let two right answers part ways.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(7, 6)
        self.norm = nn.BatchNorm1d(6)
        self.out = nn.ConvTranspose2d(6, 2, (3, 4))
        self.calls: list[tuple[Tensor, Tensor]] = []
        """For each pass: the noise and the text."""

    def forward(self, z: Tensor, phi: Tensor) -> Tensor:
        self.calls.append((z.detach().clone(), phi.detach().clone()))
        h = torch.tanh(self.norm(self.first(torch.cat([z, phi], 1))))
        return torch.tanh(self.out(h[:, :, None, None]))


class TextD(nn.Module):
    """Pictures (N, 2, 3, 4), phi (N, 4) -> logits (N,): linear, tanh, linear. No batch norm: rows do not meet."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(28, 6)
        self.head = nn.Linear(6, 1)
        self.texts: list[Tensor] = []
        """For each pass: the text."""

    def forward(self, x: Tensor, phi: Tensor) -> Tensor:
        self.texts.append(phi.detach().clone())
        return self.head(torch.tanh(self.first(torch.cat([x.flatten(1), phi], 1))))[:, 0]


class StyleS(nn.Module):
    """Pictures (N, 2, 3, 4) -> style codes (N, 3): linear, batch norm, tanh, linear."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(24, 5)
        self.norm = nn.BatchNorm1d(5)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.norm(self.first(x.flatten(1)))))


def made(build: Callable[[], nn.Module], seed: int, dtype: torch.dtype) -> Any:
    """A network with drawn weights and running statistics that are not those of a new one; gains of batch norm near 1."""
    net, own = build().to(dtype), torch.Generator().manual_seed(seed)
    gains = {id(m.weight) for m in net.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)}
    with torch.no_grad():
        for parameter in net.parameters():
            drawn = torch.randn(parameter.shape, generator=own, dtype=torch.float64) * 0.5
            parameter.copy_(1 + 0.4 * drawn if id(parameter) in gains else drawn)
        for name, buffer in net.named_buffers():
            if buffer.is_floating_point():
                drawn = torch.rand(buffer.shape, generator=own, dtype=torch.float64)
                buffer.copy_(drawn + 0.5 if name.endswith("var") else drawn - 0.5)
    return net


def modes(net: nn.Module) -> list[bool]:
    """The mode of every module."""
    return [module.training for module in net.modules()]


def flat_gradients(parameters: Iterable[Tensor]) -> list[Tensor | None]:
    """The gradients as they are, None where there is none."""
    return [None if p.grad is None else p.grad.clone() for p in parameters]


def leaf(tensor: Tensor) -> Tensor:
    """A copy that gradients can be asked for."""
    return tensor.detach().clone().requires_grad_()


def gradient(value: Tensor, *of: Tensor) -> list[Tensor]:
    """The gradient of a scalar with respect to some tensors, zeros where it depends on nothing."""
    if not value.requires_grad:
        return [torch.zeros_like(tensor) for tensor in of]
    found = torch.autograd.grad(value, of, allow_unused=True)
    return [torch.zeros_like(tensor) if g is None else g for tensor, g in zip(of, found)]


def draw_texts(rng: Rng, N: int, D: int = 4) -> Tensor:
    """Embeddings (N, D), each column with a mean of its own."""
    return rng.normal(N, D) + torch.linspace(-0.5, 0.7, D, dtype=rng.dtype)

"""What the probes of this unit look through: small networks made from drawn numbers, and diaries of what was called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from coursekit.checks.draws import Rng


class OperationDiary(TorchDispatchMode):
    """Counts the convolutions that torch was asked for while it is open, and which of them were transposed.

    A gradient of a convolution counts as transposed: it is the same thing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = 0
        self.transposed = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True, torch's default, imports the compiler at the first operation: a second of CPU, in every worker.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if "conv" in name:
            self.convolutions += 1
            # aten::convolution(input, weight, bias, stride, padding, dilation, transposed, ...)
            turned = (
                any(args[6:7]) if name in ("convolution", "_convolution") else "backward" in name or "transpose" in name
            )
            self.transposed += turned
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class Call:
    """One call of a module: itself, what went in and what came out."""

    module: nn.Module
    inlet: Tensor
    outlet: Tensor


@contextmanager
def calls(net: nn.Module, kinds: tuple[type[nn.Module], ...]) -> Iterator[list[Call]]:
    """Notes the calls of all modules of these kinds within `net`, in the order in which they happen."""
    seen: list[Call] = []

    def note(module: nn.Module, inlets: tuple[Tensor, ...], outlet: Tensor) -> None:
        seen.append(Call(module, inlets[0].detach().clone(), outlet.detach().clone()))

    hooks = [module.register_forward_hook(note) for module in net.modules() if isinstance(module, kinds)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def fill(net: nn.Module, seed: int, *, scale: float = 0.5) -> nn.Module:
    """Numbers of its own for each parameter, by its place: gains of batch norm stay near 1."""
    own = torch.Generator().manual_seed(seed)
    gains = {id(module.weight) for module in net.modules() if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d)}
    with torch.no_grad():
        for parameter in net.parameters():
            drawn = torch.randn(parameter.shape, generator=own, dtype=torch.float64) * scale
            parameter.copy_(1 + 0.4 * drawn if id(parameter) in gains else drawn)
    return net


def modes(net: nn.Module) -> list[bool]:
    """The mode of every module."""
    return [module.training for module in net.modules()]


def hooks_left(net: nn.Module) -> int:
    """How many hooks hang on a network."""
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
        for module in net.modules()
    )


def buffers(net: nn.Module) -> list[Tensor]:
    return [buffer.clone() for buffer in net.buffers()]


class TinyG(nn.Module):
    """z (N, 3) -> pictures (N, 2, 4, 6) in [-1, 1]: transposed convolution, batch norm, tanh, and once more.

    Smooth, because a rectifier's kinks would let two right answers part ways.
    """

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 3, (2, 3), bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.out = nn.ConvTranspose2d(3, 2, 2, 2)
        self.calls: list[tuple[int, bool, bool]] = []
        """For each pass: pictures, whether in train mode, whether gradients were being recorded."""

    def forward(self, z: Tensor) -> Tensor:
        self.calls.append((len(z), self.training, torch.is_grad_enabled()))
        return torch.tanh(self.out(torch.tanh(self.norm(self.up(z[:, :, None, None])))))


class TinyD(nn.Module):
    """Pictures (N, 2, 4, 6) -> logits (N,): strided convolution, tanh, convolution, batch norm, tanh, linear."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 3, 2, 2)
        self.second = nn.Conv2d(3, 4, 2, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(8, 1)
        self.calls: list[tuple[int, bool]] = []
        """For each pass: pictures, whether in train mode."""

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append((len(x), self.training))
        h = torch.tanh(self.norm(self.second(torch.tanh(self.first(x)))))
        return self.head(h.flatten(1))[:, 0]


def made(build: Callable[[], nn.Module], seed: int, dtype: torch.dtype) -> Any:
    """A network with drawn weights and running statistics that are not those of a new one."""
    net = fill(build(), seed).to(dtype)
    own = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, buffer in net.named_buffers():
            if buffer.is_floating_point():
                drawn = torch.rand(buffer.shape, generator=own, dtype=torch.float64)
                buffer.copy_(drawn + 0.5 if name.endswith("var") else drawn - 0.5)
    return net


def draw_pictures(rng: Rng, N: int, C: int = 2, H: int = 4, W: int = 6) -> Tensor:
    """Pictures (N, C, H, W) in [-1, 1], brighter from left to right, so that no axis is like another."""
    slope = torch.linspace(-0.3, 0.4, W, dtype=rng.dtype)
    return rng.uniform(N, C, H, W, low=-0.6, high=0.6) + slope


def flat_gradients(parameters: Iterable[Tensor]) -> list[Tensor | None]:
    """The gradients as they are, None where there is none."""
    return [None if p.grad is None else p.grad.clone() for p in parameters]


class TinyStack(nn.Module):
    """Pictures (N, 2, 8, 16) -> logits (N,): three convolutions, of which the first and the last share one LeakyReLU module.

    The maps after the rectifiers are (2, 8, 16), (3, 4, 8) and (4, 2, 4).
    """

    def __init__(self) -> None:
        super().__init__()
        self.leak, self.other = nn.LeakyReLU(0.2), nn.LeakyReLU(0.2)
        self.convs = nn.ModuleList([nn.Conv2d(2, 2, 3, 1, 1), nn.Conv2d(2, 3, 2, 2, bias=False), nn.Conv2d(3, 4, 2, 2)])
        self.norm = nn.BatchNorm2d(3)
        self.head = nn.Linear(4 * 2 * 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.leak(self.convs[0](x))
        h = self.other(self.norm(self.convs[1](h)))
        h = self.leak(self.convs[2](h))
        return self.head(h.flatten(1))[:, 0]

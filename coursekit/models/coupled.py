"""Coupled GAN: two generators and two discriminators that have some layers in common (Liu and Tuzel 2016).

::

    G, D = CoupledGenerator(shared=2), CoupledDiscriminator(shared=2)
    G(z)                    # (N, 2, C, H, W): for each z a picture of each domain
    D(unrelated)            # (N, 2): a score for each

Nothing here looks at two pictures together: the score of one domain does not depend on the other's picture. What makes G's two
pictures belong together is the layers that they share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from coursekit import runtime
from coursekit.errors import InputError


class CoupledGenerator(nn.Module):
    """z (N, Z) -> pictures (N, 2, C, 28, 28) in [-1, 1], one of each domain.

    `one` and `two` are the generators, of three blocks each: noise to 7 x 7 cells, to 14 x 14, to the picture. The first
    `shared` blocks of `two` are those of `one`: they decide *what* there is. The others, which decide how it looks, are its own
    (Liu and Tuzel 2016, section 3).
    """

    def __init__(self, *, shared: int = 2, latent: int = 32, channels: int = 1, width: int = 16) -> None:
        super().__init__()
        self.latent, self.shared = latent, _between(shared, 0, 3)

        def blocks() -> list[Callable[[], nn.Module]]:
            return [
                lambda: nn.Sequential(
                    nn.Linear(latent, 2 * width * 49, bias=False), nn.Unflatten(1, (2 * width, 7, 7)),
                    nn.BatchNorm2d(2 * width), nn.ReLU(inplace=True),
                ),
                lambda: nn.Sequential(
                    nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
                ),
                lambda: nn.Sequential(nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh()),
            ]  # fmt: skip

        common = [make() for make in blocks()[:shared]]
        self.one, self.two = (nn.Sequential(*common, *(make() for make in blocks()[shared:])) for _ in range(2))

    def forward(self, z: Tensor) -> Tensor:
        h = self.one[: self.shared](z)  # once: it is the same for both
        return torch.stack([net[self.shared :](h) for net in (self.one, self.two)], 1)


class CoupledDiscriminator(nn.Module):
    """Pictures (N, 2, C, 28, 28) of two domains -> scores (N, 2), each of its own picture alone.

    Four blocks; the last `shared` of `two` are those of `one`: the first ones see strokes as their domain draws them, the last
    ones shapes.
    """

    def __init__(self, *, shared: int = 3, channels: int = 1, width: int = 16) -> None:
        super().__init__()
        self.shared = _between(shared, 0, 4)

        def blocks() -> list[Callable[[], nn.Module]]:
            def conv(before: int, after: int, kernel: int) -> Callable[[], nn.Module]:
                return lambda: nn.Sequential(
                    spectral_norm(nn.Conv2d(before, after, kernel, 2, 1)), nn.LeakyReLU(0.2, inplace=True)
                )

            head = lambda: nn.Sequential(nn.Flatten(), spectral_norm(nn.Linear(4 * width * 16, 1)))  # noqa: E731
            return [conv(channels, width, 4), conv(width, 2 * width, 4), conv(2 * width, 4 * width, 3), head]

        own = 4 - shared
        common = [make() for make in blocks()[own:]]
        self.one, self.two = (nn.Sequential(*(make() for make in blocks()[:own]), *common) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        own = 4 - self.shared
        maps = [net[:own](part) for net, part in zip((self.one, self.two), x.unbind(1))]
        if not self.shared:
            return torch.cat(maps, 1)
        return self.one[own:](torch.cat(maps)).view(2, -1).T


def unrelated(first: Tensor, second: Tensor, *, batch: int, seed: int) -> Callable[[int], Tensor]:
    """k -> the k-th batch (batch, 2, C, H, W): pictures of two domains, (N, C, H, W) and (M, C, H, W), each drawn on its own.

    That two of them stand side by side means nothing: the marginals are seen, never a pair.
    """

    def pick(k: int) -> Tensor:
        own = runtime.generator((seed * 1_000_003 + k) % 2**63)
        return torch.stack([x[torch.randint(len(x), (batch,), generator=own)] for x in (first, second)], 1)

    return pick


def shared_parameters(nets: Sequence[nn.Module]) -> list[nn.Parameter]:
    """The parameters that are in all of `nets`, as the same objects, in the order of the first."""
    others = [{id(p) for p in net.parameters()} for net in nets[1:]]
    return [p for p in nets[0].parameters() if all(id(p) in ids for ids in others)]


def _between(value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise InputError.of("shared", got=value, expected=f"{low} to {high} blocks", do="Share fewer.")
    return value

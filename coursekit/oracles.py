"""Oracles: small networks that read a world's attributes back from its pictures.

    reader = oracle("birds")
    labels = reader.read(pictures)             # (N, A) int64, the columns of the world's `names`
    shares = reader.accuracy(pictures, asked)  # {"body": 0.99, ...}: does the picture match what was asked for?
    codes = reader.features(pictures)          # (N, D): what Frechet distance and KID compare

An oracle's word is worth as much as its accuracy on fresh renders, which `coursekit worlds` prints. On pictures unlike
renders (noise, another world) it still names a value for each attribute: it cannot say "none of these".

Of facades the photographs are read, not the maps. Weights lie in data/oracles/, made by benchmarks/train_oracles.py.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit import shipped
from coursekit.datasets.world import PictureWorld
from coursekit.errors import InputError

WIDTHS = (32, 64, 128)
FEATURES = 96
_CHUNK = 512  # pictures read at a time: bounds the memory, whatever N


class Reader(nn.Module):
    """Pictures (N, C, H, W) -> logits (N, sum of K), K values for each attribute; `features` (N, D) on the way.

    Every picture is first brought to `size` pixels, each the mean of what it covers, so that one network reads a world at
    all its sizes. Strided convolutions then halve the picture down to at most 4 x 4 cells; these are flattened, not averaged,
    for attributes such as `facing` are about where something is.
    """

    def __init__(
        self, values: Sequence[int], *, channels: int, size: int, frames: int = 1, widths: Sequence[int] = WIDTHS,
        features: int = FEATURES,
    ) -> None:  # fmt: skip
        super().__init__()
        self.values, self.channels, self.size, self.frames = tuple(values), channels, size, frames
        body: list[nn.Module] = []
        before, edge = channels, size
        for width in widths:
            stride = 2 if edge > 4 else 1
            body += [nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            before, edge = width, -(-edge // stride)
        self.body = nn.Sequential(*body)
        self.code = nn.Linear(frames * before * edge * edge + (before if frames > 1 else 0), features)
        self.heads = nn.Linear(features, sum(values))  # one linear head for each attribute, side by side

    def features(self, x: Tensor) -> Tensor:
        """(N, D), the activations before the heads: after a ReLU, so not below 0."""
        n = len(x)
        x = x.flatten(0, -4)  # (N T, C, H, W)
        height, width = x.shape[-2] / self.size, x.shape[-1] / self.size
        if height.is_integer() and width.is_integer():  # as if it had been rendered at this size
            x = F.avg_pool2d(x, (int(height), int(width)))
        else:
            x = F.interpolate(x, (self.size, self.size), mode="bilinear", antialias=True, align_corners=False)
        cells = self.body(x)
        seen = cells.reshape(n, -1)
        if self.frames > 1:
            seen = torch.cat([seen, cells.amax((2, 3)).view(n, self.frames, -1).amax(1)], 1)
        return torch.relu(self.code(seen))

    def forward(self, x: Tensor) -> Tensor:
        return self.heads(self.features(x))


class Oracle:
    """A trained reader and the names of what it reads."""

    def __init__(self, world: str, names: Mapping[str, Sequence[str]], net: Reader) -> None:
        self.world = world
        self.names = {name: tuple(values) for name, values in names.items()}
        self.net = net

    @torch.no_grad()
    def logits(self, x: Tensor) -> dict[str, Tensor]:
        """Attribute -> logits (N, K) of its values."""
        self._check(x)
        rows = torch.cat([self.net(part) for part in x.split(_CHUNK)])
        return dict(zip(self.names, rows.split(self.net.values, 1)))

    def read(self, x: Tensor) -> Tensor:
        """Labels (N, A) int64: for each attribute the likeliest value."""
        return torch.stack([logits.argmax(1) for logits in self.logits(x).values()], 1)

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """(N, D) float32, D = 96: the activations before the heads."""
        self._check(x)
        return torch.cat([self.net.features(part) for part in x.split(_CHUNK)])

    def accuracy(self, x: Tensor, labels: Tensor) -> dict[str, float]:
        """Attribute -> share of pictures whose read value is the one in `labels` (N, A)."""
        if labels.shape != (len(x), len(self.names)):
            raise InputError.of(
                "`labels`", got=tuple(labels.shape), expected=f"({len(x)}, {len(self.names)}): {', '.join(self.names)}",
                do="Pass a row for each picture and a column for each attribute.",
            )  # fmt: skip
        return dict(zip(self.names, (self.read(x) == labels).double().mean(0).tolist()))

    def to(self, device: str | torch.device) -> Oracle:
        """An oracle of the same weights on a device: pictures must lie there, too."""
        return Oracle(self.world, self.names, copy.deepcopy(self.net).to(device))

    def _check(self, x: Tensor) -> None:
        want, net = "(N, C, H, W)" if self.net.frames == 1 else "(N, T, C, H, W)", self.net
        lead = (net.channels,) if net.frames == 1 else (net.frames, net.channels)
        if not isinstance(x, Tensor) or x.dim() != 3 + len(lead) or tuple(x.shape[1:-2]) != lead or not len(x):
            raise InputError.of(
                f"pictures for the oracle of {self.world!r}", got=tuple(x.shape) if isinstance(x, Tensor) else x,
                expected=f"a tensor {want} with {' x '.join(map(str, lead))} for {want[4:-7]}, N at least 1",
                do="Draw them from this world, or bring them to its channels.",
            )  # fmt: skip


def fresh(world: PictureWorld, n: int, *, generator: torch.Generator, size: int | None = None) -> tuple[Tensor, Tensor]:
    """n fresh renders of a world and their labels (n, A), without the captions and maps that `draw` makes, too."""
    labels = world.sample(n, generator=generator)
    return world.render(labels, generator=generator, size=size), labels


def config(world: PictureWorld, x: Tensor, *, size: int, widths: Sequence[int] = WIDTHS) -> dict[str, Any]:
    """What the manifest keeps of a world with pictures such as x: enough to build its network without the world."""
    frames = x.shape[1] if x.dim() == 5 else 1
    names = {name: list(values) for name, values in world.names.items()}
    return {
        "names": names,
        "channels": x.shape[-3],
        "frames": frames,
        "size": size,
        "widths": widths,
        "features": FEATURES,
    }


def build(config: Mapping[str, Any]) -> Reader:
    """An untrained reader of that config; its weights come from torch's global generator (`runtime.seeded`)."""
    options = {key: config[key] for key in ("channels", "size", "frames", "widths", "features") if key in config}
    return Reader([len(values) for values in config["names"].values()], **options)


def shipped_oracles(data: Path | None = None) -> tuple[str, ...]:
    """The worlds for which the kit ships an oracle."""
    rows = shipped.manifest(data)
    return tuple(Path(file).stem for file in rows if file.startswith("oracles/"))


def oracle(name: str, *, data: Path | None = None) -> Oracle:
    """The oracle of the world `name`; loaded once.

    Raises InputError if the kit ships none, ShippedFileError if its file is absent or corrupt.
    """
    return _load(name, data or shipped.folder())


@functools.cache
def _load(name: str, data: Path) -> Oracle:
    about = shipped.row(f"oracles/{name}", data)["config"]
    net = build(about)
    shipped.load(f"oracles/{name}", net, data=data)
    return Oracle(name, about["names"], net)

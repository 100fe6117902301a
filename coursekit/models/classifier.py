"""A picture in, a class out: the small network that unit 02 attacks, inverts and dreams with.

Blocks of 3 x 3 convolutions, batch norm and ReLU, as in VGG (Simonyan & Zisserman 2015, section 2), then the mean over all
places (Lin et al. 2014, "Network in network", section 3.2) and one linear layer. No layer knows the picture's size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit.errors import InputError

SMALLEST = 32
"""Edge in pixels below which the last block would look at padding more than at the picture."""


class Block(nn.Module):
    """(N, C_in, H, W) -> (N, C_out, H, W): `depth` times convolution, batch norm, ReLU."""

    def __init__(self, channels: int, width: int, depth: int) -> None:
        super().__init__()
        ins = (channels,) + (width,) * (depth - 1)
        self.convs = nn.ModuleList(nn.Conv2d(c, width, 3, padding=1, bias=False) for c in ins)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in ins)

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms):
            x = torch.relu(norm(conv(x)))
        return x


class Classifier(nn.Module):
    """Pictures (N, C, H, W) in [-1, 1] -> logits (N, K), for any H, W >= 32.

    `widths` are the channels of the blocks, `depths` the convolutions in each. Every block but the last is followed by a
    2 x 2 mean, and so is the picture itself where `halve` says so. `size` is the edge of the training pictures: told to
    whoever asks, not used.
    """

    def __init__(
        self, classes: Sequence[str], *, channels: int = 3, widths: Sequence[int] = (32, 64, 128, 256),
        depths: Sequence[int] | None = None, size: int = 64,
    ) -> None:  # fmt: skip
        super().__init__()
        depths = tuple(depths) if depths is not None else (2,) * len(widths)
        if not classes or not widths or len(depths) != len(widths) or min((*widths, *depths)) < 1:
            raise InputError.of(
                "a Classifier", got=f"{len(classes)} classes, widths {tuple(widths)}, depths {depths}",
                expected="at least one class, and a depth of at least 1 for each width",
                do="Name the classes, and give widths and depths of equal length.",
            )  # fmt: skip
        self.classes, self.channels, self.size = tuple(classes), channels, size
        ins = (channels, *widths[:-1])
        self.blocks = nn.ModuleList(Block(c, w, d) for c, w, d in zip(ins, widths, depths))
        self.head = nn.Linear(widths[-1], len(self.classes))

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """Activations by name, in order: "block1" ... "blockB" (N, C, h, w), "code" (N, D), "logits" (N, K).

        Block b sees the picture at 1 / 2^(b-1) of its edge.
        """
        self._check(x)
        named: dict[str, Tensor] = {}
        for b, block in enumerate(self.blocks, start=1):
            x = block(x if b == 1 else F.avg_pool2d(x, 2))
            named[f"block{b}"] = x
        named["code"] = x.mean((2, 3))
        named["logits"] = self.head(named["code"])
        return named

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)["logits"]

    @torch.no_grad()
    def read(self, x: Tensor, batch: int = 256) -> Tensor:
        """(N,) int64: the most likely class of each picture, in eval mode, without gradients."""
        training = self.training
        self.eval()
        ids = [self(part).argmax(1) for part in x.split(batch)]
        self.train(training)
        return torch.cat(ids) if ids else torch.empty(0, dtype=torch.int64)

    def _check(self, x: Tensor) -> None:
        if x.dim() != 4 or x.shape[1] != self.channels or min(x.shape[2:]) < SMALLEST:
            raise InputError.of(
                "pictures for Classifier", got=tuple(x.shape), expected=f"(N, {self.channels}, H, W) with H, W >= {SMALLEST}",
                do="Add a batch dimension with x[None], or enlarge the pictures.",
            )  # fmt: skip

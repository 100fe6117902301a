"""From a sentence to a layout, and from a layout to a picture.

::

    reader = LayoutReader(vocabulary)                # words -> for each thing a shape, a colour and a box
    layout = reader.layout(["a red disc left of a blue square"])
    x = BoxGenerator()(z, layout_maps(layout))       # a picture with the things in their boxes

Shapes: N scenes of K = 2 things, boxes (N, K, 4) as shares of the edge, maps m (N, 10, 16, 16), noise z (N, Z), pictures
(N, 3, 32, 32) in [-1, 1], scores (N,): a critic's, for the hinge loss. The route over a layout follows Hong et al. (2018),
"Inferring semantic layout for hierarchical text-to-image synthesis"; a generator that is told boxes, Reed et al. (2016c),
"Learning what and where to draw".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from coursekit import runtime, shipped
from coursekit.datasets.scenes import COLOURS, SHAPES, Layout
from coursekit.datasets.text import Vocabulary
from coursekit.errors import InputError

CELLS = 16
CLASSES = len(SHAPES) + len(COLOURS)


class Guess(NamedTuple):
    """What a reader makes of N sentences: thing 1 is the left or upper one."""

    shape: Tensor
    """Logits (N, 2, 4)."""
    colour: Tensor
    """Logits (N, 2, 6)."""
    box: Tensor
    """(N, 2, 4): x0, y0, x1, y1, shares of the edge."""


class LayoutReader(nn.Module):
    """Word ids (N, T), lengths (N,) -> Guess.

    A GRU reads in both directions. Its last states ask, once for each thing, which words matter for it: a softmax over the
    words weighs their states. `attends=False` gives each thing the mean of all states in their place.
    """

    def __init__(self, vocabulary: Vocabulary, *, width: int = 48, attends: bool = True) -> None:
        super().__init__()
        self.vocabulary, self.attends = vocabulary, attends
        self.words = nn.Embedding(len(vocabulary), 32)
        self.order = nn.GRU(32, width, batch_first=True, bidirectional=True)
        if attends:
            self.asks = nn.Linear(2 * width, 2 * 2 * width)
        self.join = nn.Linear(2 * width, 2 * 2 * width)
        self.heads = nn.Linear(4 * width, CLASSES + 4)

    def forward(self, ids: Tensor, lengths: Tensor) -> Guess:
        packed = nn.utils.rnn.pack_padded_sequence(
            self.words(ids), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        packed, last = self.order(packed)
        states, _ = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)  # (N, T, 2 width), 0 behind the end
        whole = last.transpose(0, 1).flatten(1)
        if self.attends:
            scores = self.asks(whole).unflatten(1, (2, -1)) @ states.transpose(1, 2) / states.shape[2] ** 0.5
            within = torch.arange(states.shape[1], device=ids.device) < lengths.unsqueeze(1)
            seen = scores.masked_fill(~within.unsqueeze(1), -torch.inf).softmax(2) @ states
        else:
            seen = (states.sum(1) / lengths.unsqueeze(1)).unsqueeze(1).expand(-1, 2, -1)
        told = self.heads(torch.cat([seen, torch.relu(self.join(whole)).unflatten(1, (2, -1))], 2))
        shape, colour, box = told.split([len(SHAPES), len(COLOURS), 4], -1)
        return Guess(shape, colour, 0.5 + box)

    @torch.no_grad()
    def layout(self, texts: Sequence[str]) -> Layout:
        """The likeliest shapes and colours, and the boxes, of N sentences."""
        batch = self.vocabulary.batch(texts)
        guess = self(batch.ids, batch.lengths)
        return Layout(guess.shape.argmax(-1), guess.colour.argmax(-1), guess.box)


def layout_loss(guess: Guess, layout: Layout) -> Tensor:
    """Cross-entropies of shapes and colours in nats, and 20 times the mean square of the boxes' error; means over things."""
    classes = sum(
        F.cross_entropy(logits.flatten(0, 1), ids.flatten())
        for logits, ids in ((guess.shape, layout.shape), (guess.colour, layout.colour))
    )
    return classes + 20 * F.mse_loss(guess.box, layout.box)


def layout_maps(layout: Layout, *, cells: int = CELLS) -> Tensor:
    """(N, 10, cells, cells): for each shape and each colour the share of each cell that boxes of such things cover.

    The class of a thing is painted into its box (Reed et al. 2016c, figure 3, there with a text code).
    """
    edges = torch.arange(cells, device=layout.box.device) / cells
    low, high = layout.box[..., :2, None], layout.box[..., 2:, None]
    shared = torch.minimum(high, edges + 1 / cells) - torch.maximum(low, edges)
    covered = (shared * cells).clamp(0, 1)  # (N, K, 2, cells)
    mask = covered[:, :, 1, :, None] * covered[:, :, 0, None, :]  # (N, K, rows, columns)
    mask = mask * (layout.shape >= 0)[..., None, None]
    classes = torch.cat([
        F.one_hot(layout.shape.clamp(min=0), len(SHAPES)), F.one_hot(layout.colour.clamp(min=0), len(COLOURS))
    ], -1).float()  # fmt: skip
    return torch.einsum("nkc,nkhw->nchw", classes, mask).clamp(max=1)


class BoxGenerator(nn.Module):
    """z (N, Z), maps m (N, 10, 16, 16) -> pictures (N, 3, 32, 32). m is joined to the maps at 8 x 8 and at 16 x 16."""

    def __init__(self, *, latent: int = 16, width: int = 32, fine: int = 16) -> None:
        super().__init__()
        self.latent, self.width = latent, width
        self.first = nn.Linear(latent, width * 16)
        self.up8 = nn.ConvTranspose2d(width, width, 4, 2, 1, bias=False)
        self.at8 = nn.Conv2d(width + CLASSES, width, 3, padding=1, bias=False)
        self.up16 = nn.ConvTranspose2d(width, width, 4, 2, 1, bias=False)
        self.at16 = nn.Conv2d(width + CLASSES, width, 3, padding=1, bias=False)
        self.up32 = nn.ConvTranspose2d(width, fine, 4, 2, 1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(n) for n in (width, width, width, width, width, fine))
        self.to_picture = nn.Conv2d(fine, 3, 3, padding=1)

    def forward(self, z: Tensor, m: Tensor) -> Tensor:
        h = self._on(0, self.first(z).view(len(z), self.width, 4, 4))
        h = self._on(1, self.up8(h))
        h = self._on(2, self.at8(torch.cat([h, F.avg_pool2d(m, 2)], 1)))
        h = self._on(3, self.up16(h))
        h = self._on(4, self.at16(torch.cat([h, m], 1)))
        return torch.tanh(self.to_picture(self._on(5, self.up32(h))))

    def _on(self, k: int, h: Tensor) -> Tensor:
        return torch.relu(self.norms[k](h))


class BoxDiscriminator(nn.Module):
    """Pictures (N, 3, 32, 32), maps m (N, 10, 16, 16) -> scores (N,), spectral norm throughout.

    m may hold several layouts for each picture, (K N, 10, 16, 16), the first N one of each: scores are (K N,).
    """

    def __init__(self, *, width: int = 32, fine: int = 16) -> None:
        super().__init__()
        self.look = nn.Sequential(
            spectral_norm(nn.Conv2d(3, fine, 3, padding=1)), nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(fine, width, 4, 2, 1)), nn.LeakyReLU(0.2),
        )  # fmt: skip
        self.compare = nn.Sequential(
            spectral_norm(nn.Conv2d(width + CLASSES, width, 3, padding=1)), nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(width, 2 * width, 4, 2, 1)), nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(2 * width, 2 * width, 4, 2, 1)), nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(2 * width, 1, 4)),
        )  # fmt: skip

    def forward(self, x: Tensor, m: Tensor) -> Tensor:
        if len(m) % len(x):
            raise InputError.of(
                "layouts", got=len(m), expected=f"a multiple of the {len(x)} pictures", do="Pass one for each picture."
            )
        h = self.look(x).repeat(len(m) // len(x), 1, 1, 1)
        return self.compare(torch.cat([h, m], 1)).flatten()


def load_box_generator(*, data: Path | None = None) -> BoxGenerator:
    """The shipped generator that is told boxes (benchmarks/train_scenes.py), in eval mode, its weights frozen."""
    with runtime.seeded(0):
        net = BoxGenerator(**shipped.row("scenes/boxes", data)["config"])
    shipped.load("scenes/boxes", net, data=data)
    return net

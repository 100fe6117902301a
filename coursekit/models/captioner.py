"""A picture in, a sentence out: a small CNN reads the picture, a GRU writes the caption.

Two readers of the same grid of image features, after Vinyals et al. (2015), "Show and tell", and Xu et al. (2015),
"Show, attend and tell":

- ``attention=False``: the whole grid makes one summary vector, which the writer is shown with every word;
- ``attention=True``: before each word the writer looks again, at a weighted mean of the grid's K = 16 cells.

The writer is framed as many-to-many: word t-1 goes in, word t comes out.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from coursekit.errors import InputError

GRID = 4
"""Cells along each side of the feature grid; K = GRID * GRID."""


class Captions(NamedTuple):
    """Greedy captions of N pictures."""

    ids: Tensor
    """(N, T) int64; everything after the end token is padding."""
    attention: Tensor
    """(N, T, K): where the writer looked before each word (K = 1 without attention)."""


class GridEncoder(nn.Module):
    """Picture (N, 3, 32, 32) in [-1, 1] -> grid (N, K, D): cell k has seen its own 8 x 8 pixels and no others."""

    def __init__(self, features: int = 64) -> None:
        super().__init__()
        self.patches = nn.Sequential(
            nn.Conv2d(3, features, 4, stride=4), nn.ReLU(),         # 8 x 8 cells of 4 x 4 pixels
            nn.Conv2d(features, features, 2, stride=2),             # 4 x 4 cells of 8 x 8 pixels
        )  # fmt: skip
        # A cell's content does not say where it is, and the same colours mean another part elsewhere.
        self.place = nn.Parameter(torch.zeros(GRID * GRID, features))
        self.mix = nn.Linear(features, features)

    def forward(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1:] != (3, 8 * GRID, 8 * GRID):
            raise InputError.of(
                "pictures for GridEncoder", got=tuple(images.shape), expected="(N, 3, 32, 32)",
                do="Render them with size=32.",
            )  # fmt: skip
        patches = self.patches(images).flatten(2).transpose(1, 2)
        return torch.relu(self.mix(torch.relu(patches + self.place)))


class Captioner(nn.Module):
    """Picture and the words so far -> logits of the next word.

    Shapes: N batch, T time, V vocabulary, E width of a word vector, H hidden width, D features, K = 16 grid cells.
    """

    def __init__(
        self, vocabulary: int, *, attention: bool = False, hidden: int = 96, words: int = 32, features: int = 64
    ) -> None:
        super().__init__()
        self.encoder = GridEncoder(features)
        self.embed = nn.Embedding(vocabulary, words)
        self.query = nn.Linear(hidden, features) if attention else None
        self.whole = None if attention else nn.Linear(GRID * GRID * features, features)
        self.first = nn.Linear(features, hidden)
        self.cell = nn.GRUCell(words + features, hidden)
        self.out = nn.Linear(hidden, vocabulary)

    def read(self, images: Tensor) -> Tensor:
        """Pictures (N, 3, 32, 32) -> cells (N, K, D); without attention one cell (N, 1, D) made from them all."""
        grid = self.encoder(images)
        return grid if self.whole is None else torch.relu(self.whole(grid.flatten(1))).unsqueeze(1)

    def begin(self, cells: Tensor) -> Tensor:
        """Cells (N, K, D) -> the first hidden state (N, H), from a glance at all of them (Xu et al., section 3.1.2)."""
        return torch.tanh(self.first(cells.mean(1)))

    def look(self, cells: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Cells (N, K, D), state (N, H) -> what is seen (N, D), and the weight of each cell (N, K), summing to 1.

        Xu et al. score a cell with a small network; here the score is the dot product of the cell and a query made from
        the state: fewer weights, the same idea. A single cell needs no score: its weight is 1.
        """
        if self.query is None:
            return cells[:, 0], cells.new_ones(len(cells), 1)
        scores = torch.einsum("nkd,nd->nk", cells, self.query(h)) / cells.shape[-1] ** 0.5
        weights = scores.softmax(-1)
        return torch.einsum("nk,nkd->nd", weights, cells), weights

    def step(self, cells: Tensor, word: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Previous word (N,) int64, state (N, H) -> logits (N, V), new state (N, H), weights (N, K)."""
        seen, weights = self.look(cells, h)
        h = self.cell(torch.cat([self.embed(word), seen], -1), h)
        return self.out(h), h, weights

    def forward(self, images: Tensor, words: Tensor) -> Tensor:
        """Pictures (N, 3, 32, 32), the true previous words (N, T) -> logits (N, T, V): teacher forcing."""
        cells = self.read(images)
        h, logits = self.begin(cells), []
        for word in words.unbind(1):
            row, h, _ = self.step(cells, word, h)
            logits.append(row)
        return torch.stack(logits, 1)

    @torch.no_grad()
    def greedy(self, images: Tensor, *, bos: int, eos: int, pad: int = 0, limit: int = 40) -> Captions:
        """The likeliest word at each step, fed back, until `eos` or `limit` words."""
        cells = self.read(images)
        h, word = self.begin(cells), torch.full((len(images),), bos, device=cells.device)
        ended, ids, looks = torch.zeros_like(word, dtype=torch.bool), [], []
        for _ in range(limit):
            logits, h, weights = self.step(cells, word, h)
            word = torch.where(ended, pad, logits.argmax(-1))
            ids.append(word)
            looks.append(weights)
            ended = ended | (word == eos)
            if ended.all():
                break
        return Captions(torch.stack(ids, 1), torch.stack(looks, 1))

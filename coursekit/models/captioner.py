"""A picture in, a sentence out: a small CNN reads the picture, a GRU writes the caption.

Two readers of the same grid of image features, after Vinyals et al. (2015), "Show and tell", and Xu et al. (2015),
"Show, attend and tell":

- ``attention=False``: the whole grid, flattened, makes the first hidden state; after that the writer is on its own;
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
    attention: Tensor | None
    """(N, T, K): where the writer looked before each word; None where it cannot look."""


class GridEncoder(nn.Module):
    """Picture (N, 3, 32, 32) in [-1, 1] -> grid (N, K, D): cell k has seen a window of 16 x 16 pixels around it."""

    def __init__(self, features: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, features // 2, 4, stride=4), nn.ReLU(),              # 8 x 8 cells, window 4
            nn.Conv2d(features // 2, features, 3, padding=1), nn.ReLU(),      # 8 x 8 cells, window 12
            nn.Conv2d(features, features, 2, stride=2), nn.ReLU(),            # 4 x 4 cells, window 16
        )  # fmt: skip
        # A cell's content does not say where it is; the writer may need to know ("head" is mostly up).
        self.place = nn.Parameter(torch.zeros(GRID * GRID, features))

    def forward(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1:] != (3, 8 * GRID, 8 * GRID):
            raise InputError.of(
                "pictures for GridEncoder", got=tuple(images.shape), expected="(N, 3, 32, 32)",
                do="Render them with size=32.",
            )  # fmt: skip
        return self.layers(images).flatten(2).transpose(1, 2) + self.place


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
        self.first = nn.Linear(features if attention else GRID * GRID * features, hidden)
        self.cell = nn.GRUCell(words + features if attention else words, hidden)
        self.query = nn.Linear(hidden, features) if attention else None
        self.out = nn.Linear(hidden, vocabulary)

    def begin(self, grid: Tensor) -> Tensor:
        """Grid (N, K, D) -> first hidden state (N, H)."""
        return torch.tanh(self.first(grid.mean(1) if self.query else grid.flatten(1)))

    def look(self, grid: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Grid (N, K, D), state (N, H) -> what is seen (N, D), and the weight of each cell (N, K), summing to 1.

        Xu et al. score a cell with a small network; here the score is the dot product of the cell and a query made from the
        state: fewer weights, the same idea.
        """
        assert self.query is not None
        scores = torch.einsum("nkd,nd->nk", grid, self.query(h)) / grid.shape[-1] ** 0.5
        weights = scores.softmax(-1)
        return torch.einsum("nk,nkd->nd", weights, grid), weights

    def step(self, grid: Tensor, word: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Previous word (N,) int64, state (N, H) -> logits (N, V), new state (N, H), weights (N, K) or None."""
        x, weights = self.embed(word), None
        if self.query is not None:
            seen, weights = self.look(grid, h)
            x = torch.cat([x, seen], -1)
        h = self.cell(x, h)
        return self.out(h), h, weights

    def forward(self, images: Tensor, words: Tensor) -> Tensor:
        """Pictures (N, 3, 32, 32), the true previous words (N, T) -> logits (N, T, V): teacher forcing."""
        grid = self.encoder(images)
        h, logits = self.begin(grid), []
        for word in words.unbind(1):
            row, h, _ = self.step(grid, word, h)
            logits.append(row)
        return torch.stack(logits, 1)

    @torch.no_grad()
    def greedy(self, images: Tensor, *, bos: int, eos: int, pad: int = 0, limit: int = 40) -> Captions:
        """The likeliest word at each step, fed back, until `eos` or `limit` words."""
        grid = self.encoder(images)
        h, word = self.begin(grid), torch.full((len(images),), bos)
        ended, ids, looks = torch.zeros(len(images), dtype=torch.bool), [], []
        for _ in range(limit):
            logits, h, weights = self.step(grid, word, h)
            word = torch.where(ended, pad, logits.argmax(-1))
            ids.append(word)
            looks.append(weights)
            ended = ended | (word == eos)
            if ended.all():
                break
        return Captions(torch.stack(ids, 1), torch.stack(looks, 1) if self.query else None)

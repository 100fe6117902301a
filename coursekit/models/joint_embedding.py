"""Sentences and pictures in one space: where a text lies near the pictures that it is true of (Reed et al. 2016a).

::

    text = load_text_encoder()
    codes = text.embed(["a small red bird with black wings"])     # (N, D), of length 1
    seen = load_picture_encoder()(oracle("birds").features(x))     # (M, D)
    codes @ seen.T                                                 # compatibility of each text with each picture

Shapes: N texts or pictures, T characters, D features. The text encoder is a char-CNN-RNN:
convolutions over characters find pieces of words, a recurrent network reads the pieces in order, and its states are averaged
over time (Reed et al. 2016a, "Learning deep representations of fine-grained visual descriptions", section 4.2).
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit import runtime, shipped
from coursekit.datasets.text import Batch, Vocabulary
from coursekit.errors import InputError

ALPHABET = Vocabulary(" ,.'-" + string.ascii_lowercase, level="char")
"""What the encoder can read, lower-cased; each other character is the unknown one."""
_CHUNK = 512  # texts at a time where no gradient is wanted


class TextEncoder(nn.Module):
    """Characters ids (N, T), lengths (N,) -> codes (N, D) of length 1. A text's code does not depend on its batch."""

    def __init__(self, *, features: int = 128, width: int = 64) -> None:
        super().__init__()
        self.features = features
        self.letters = nn.Embedding(len(ALPHABET), 32)
        steps = ((32, width), (width, 2 * width), (2 * width, 2 * width))
        self.pieces = nn.ModuleList(nn.Conv1d(a, b, 5, padding=2) for a, b in steps)
        self.order = nn.GRU(2 * width, 2 * width, batch_first=True)
        self.code = nn.Linear(4 * width, features)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        h, mask = self.letters(ids).transpose(1, 2), _within(lengths, ids.shape[1])
        for convolution in self.pieces:
            # What lies behind a text's end is zero before each layer, as it would be without the padding.
            h = F.max_pool1d(torch.relu(convolution(h * mask)) * mask, 2, ceil_mode=True)
            lengths = (lengths + 1) // 2
            mask = _within(lengths, h.shape[2])
        pieces = h.transpose(1, 2)
        states, _ = self.order(pieces)
        read = torch.cat([pieces, states], 2) * mask.transpose(1, 2)
        mean = read.sum(1) / lengths.unsqueeze(1)
        return F.normalize(self.code(mean), dim=1)

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> Tensor:
        """(N, D) float32 on the CPU. Texts are lower-cased; an empty one is an error."""
        device = self.code.weight.device
        codes = []
        for start in range(0, len(texts), _CHUNK):
            batch = characters(texts[start : start + _CHUNK])
            codes.append(self(batch.ids.to(device), batch.lengths.to(device)).float().cpu())
        return torch.cat(codes) if codes else torch.empty(0, self.features)


class PictureEncoder(nn.Module):
    """Features of pictures (N, F) -> codes (N, D) of length 1.

    The features are those of a network that already sees, here `oracle("birds").features`; Reed et al. take GoogLeNet's.
    """

    def __init__(self, *, inputs: int = 96, features: int = 128, width: int = 256) -> None:
        super().__init__()
        self.features = features
        self.body = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, features))

    def forward(self, seen: Tensor) -> Tensor:
        return F.normalize(self.body(seen), dim=1)


def characters(texts: Sequence[str]) -> Batch:
    """Texts as one padded block of character ids."""
    if isinstance(texts, str) or not all(isinstance(text, str) and text.strip() for text in texts):
        raise InputError.of(
            "`texts`", got=texts, expected="a list of strings, none of them empty", do="Pass [text] for one text."
        )
    return ALPHABET.batch([text.lower() for text in texts])


def load_text_encoder(*, data: Path | None = None) -> TextEncoder:
    """The shipped encoder of bird captions (benchmarks/train_text.py), in eval mode, its weights frozen."""
    with runtime.seeded(0):
        net = TextEncoder(**shipped.row("text/text_encoder", data)["config"])
    shipped.load("text/text_encoder", net, data=data)
    return net


def load_picture_encoder(*, data: Path | None = None) -> PictureEncoder:
    """The picture encoder that the shipped text encoder was trained with, in eval mode, its weights frozen."""
    with runtime.seeded(0):
        net = PictureEncoder(**shipped.row("text/picture_encoder", data)["config"])
    shipped.load("text/picture_encoder", net, data=data)
    return net


def _within(lengths: Tensor, time: int) -> Tensor:
    """(N, 1, T) float: 1 up to each text's end."""
    return (torch.arange(time, device=lengths.device) < lengths.unsqueeze(1)).unsqueeze(1).float()

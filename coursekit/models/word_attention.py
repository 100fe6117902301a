"""Words that look at regions of a picture: the attentional GAN in small, after Xu et al. (2018), "AttnGAN".

Two uses of one idea:

- *matching* (`WordEncoder`, `RegionEncoder`, `region_contexts`, `relevance`): each word of a caption looks for the regions
  that show it. Trained by the loss of `training/word_attention.py`; nobody ever says which region is the wing;
- *drawing* (`WordContext`): each place of a generator's feature maps looks for the words that concern it.

Shapes: N batch, T words, R = H W regions, D features. Masks are True where there is a word.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from coursekit import runtime, shipped
from coursekit.datasets.text import Batch, Vocabulary
from coursekit.errors import InputError
from coursekit.models.text_to_image import TextDiscriminator, TextGenerator

CELLS = 8
"""Regions along each side of a picture of 32 pixels: R = CELLS * CELLS, each four pixels wide."""


class Sense(NamedTuple):
    """What an encoder says of the parts and of the whole."""

    parts: Tensor
    """(N, T, D) of words, (N, R, D) of regions."""
    whole: Tensor
    """(N, D)."""


class WordEncoder(nn.Module):
    """Texts -> a feature of each word and of the sentence, by an LSTM that reads both ways (section 3.1.1 of the paper).

    A word's feature joins the states of both directions at the word: that of "red" in "red wings" knows of the wings. The
    sentence's joins the last state of each direction.
    """

    def __init__(self, vocabulary: int, *, features: int = 48, embedding: int = 32) -> None:
        super().__init__()
        if features % 2:
            raise InputError.of("features", got=features, expected="an even number", do="Each direction has half.")
        self.features = features
        self.embed = nn.Embedding(vocabulary, embedding)
        self.lstm = nn.LSTM(embedding, features // 2, batch_first=True, bidirectional=True)

    def forward(self, ids: Tensor, lengths: Tensor) -> Sense:
        """ids (N, T) int64, lengths (N,) int64, at least 1 each. Features after a text's end are 0."""
        packed = pack_padded_sequence(self.embed(ids), lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, (last, _) = self.lstm(packed)
        words, _ = pad_packed_sequence(states, batch_first=True, total_length=ids.shape[1])
        return Sense(words, last.transpose(0, 1).flatten(1))


class RegionEncoder(nn.Module):
    """Pictures (N, 3, 32, 32) in [-1, 1] -> features of their 8 x 8 regions (row by row) and of the whole.

    A region has seen 18 x 18 pixels around its own 4 x 4, and knows its place: the wing and the belly may have one colour.
    The paper takes Inception's 17 x 17 cells; here a few convolutions learn with the words.
    """

    def __init__(self, *, features: int = 48, width: int = 24) -> None:
        super().__init__()
        self.see = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 4, 2, 1), nn.BatchNorm2d(2 * width), nn.ReLU(),
        )  # fmt: skip
        self.place = nn.Parameter(torch.zeros(2 * width, CELLS, CELLS))
        self.mix = nn.Sequential(nn.Conv2d(2 * width, 2 * width, 3, 1, 1), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.to_parts = nn.Conv2d(2 * width, features, 1)
        self.shrink = nn.Conv2d(2 * width, width, 3, 2, 1)
        self.to_whole = nn.Linear(width * (CELLS // 2) ** 2, features)

    def forward(self, x: Tensor) -> Sense:
        if x.ndim != 4 or x.shape[1:] != (3, 4 * CELLS, 4 * CELLS):
            raise InputError.of(
                "pictures for RegionEncoder", got=tuple(x.shape), expected="(N, 3, 32, 32)",
                do="Render them with size=32.",
            )  # fmt: skip
        h = self.mix(self.see(x) + self.place)
        return Sense(self.to_parts(h).flatten(2).mT, self.to_whole(torch.relu(self.shrink(h)).flatten(1)))


class Looks(NamedTuple):
    """Every caption's words on every picture; N captions, M pictures."""

    contexts: Tensor
    """(N, M, T, D): what each word sees, the mean of the regions by its weights."""
    weights: Tensor
    """(N, M, T, R): where it looks; each word's sum to 1."""


def region_contexts(words: Tensor, regions: Tensor, mask: Tensor, *, gamma1: float = 5.0) -> Looks:
    """words (N, T, D), regions (M, R, D), mask (N, T) -> `Looks`. Xu et al. (2018), equations 7 to 9.

    Twice a softmax: at each region the words compete (equation 8), then for each word the regions do, sharpened by gamma1
    (equation 9). What stands at padding means nothing, but takes part in neither competition.
    """
    scores = torch.einsum("ntd,mrd->nmtr", words, regions)  # equation 7
    shares = scores.where(mask[:, None, :, None], torch.finfo(scores.dtype).min).softmax(2)  # 8: words compete
    weights = (gamma1 * shares).softmax(3)  # 9: regions compete
    return Looks(torch.einsum("nmtr,mrd->nmtd", weights, regions), weights)


def relevance(words: Tensor, contexts: Tensor, mask: Tensor, *, gamma2: float = 5.0) -> Tensor:
    """R(Q, D) (N, M) of every picture Q to every caption D: log (sum_i exp(gamma2 cos(c_i, e_i)))^(1/gamma2), equation 10.

    words (N, T, D), contexts (N, M, T, D), mask (N, T). A soft maximum over the words: a word that finds its match counts
    most, and more so for large gamma2.
    """
    cosine = F.cosine_similarity(contexts, words[:, None], dim=-1)
    counted = (gamma2 * cosine).masked_fill(~mask[:, None], -torch.inf)
    return counted.logsumexp(2) / gamma2


class WordMatcher(nn.Module):
    """The two encoders and their words: what the matching loss trains."""

    def __init__(self, words: tuple[str, ...] | list[str], *, features: int = 48, width: int = 24) -> None:
        """`words`: the tokens of the vocabulary, without the special ones."""
        super().__init__()
        self.vocabulary = Vocabulary(words)
        self.text = WordEncoder(len(self.vocabulary), features=features)
        self.picture = RegionEncoder(features=features, width=width)

    def read(self, texts: list[str]) -> tuple[Sense, Batch]:
        """Texts -> features of words and sentences, and the batch with ids, lengths and mask."""
        batch = self.vocabulary.batch(texts)
        return self.text(batch.ids, batch.lengths), batch

    @torch.no_grad()
    def look(self, texts: list[str], x: Tensor, *, gamma1: float = 5.0) -> Tensor:
        """Where each word of the n-th text looks in the n-th picture: (N, T, 8, 8), the weights of `region_contexts`."""
        (words, _), batch = self.read(texts)
        rows = [
            region_contexts(w[None], v[None], m[None], gamma1=gamma1).weights[0, 0]
            for w, v, m in zip(words, self.picture(x).parts, batch.mask)
        ]
        return torch.stack(rows).unflatten(2, (CELLS, CELLS))


class WordContext(nn.Module):
    """Feature maps that look at words: h (N, C, H, W) -> c (N, C, H, W). Xu et al. (2018), F_attn of section 3.1.1.

    Words are carried into the space of the maps, e' = U e; place j sees c_j = sum_i beta_ji e'_i with weights
    beta_j = softmax_i(h_j . e'_i). No word is more than a sum away from any place.
    """

    def __init__(self, maps: int, features: int) -> None:
        super().__init__()
        self.carry = nn.Linear(features, maps, bias=False)

    def forward(self, h: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        """words (N, T, D), mask (N, T)."""
        carried = self.carry(words)
        seen = F.scaled_dot_product_attention(h.flatten(2).mT, carried, carried, attn_mask=mask[:, None], scale=1.0)
        return seen.mT.reshape(h.shape)

    def weights(self, h: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        """beta (N, T, H, W): how much each place looks at each word; at a place they sum to 1, and padding has 0."""
        loud = torch.einsum("nchw,ntc->nthw", h, self.carry(words))
        loud = torch.exp(loud - loud.amax(1, keepdim=True)) * mask[:, :, None, None]
        return loud / loud.sum(1, keepdim=True)


def told(matcher: WordMatcher, texts: list[str]) -> Tensor:
    """Texts -> one row of numbers each, (N, D + T (D + 1)): the sentence at length 1, the words, their mask. T is `LONGEST`.

    One tensor, so that a loop which knows of one condition hands over both; `untold` takes it apart.
    """
    (words, whole), batch = matcher.read(texts)
    if words.shape[1] > LONGEST:
        raise InputError.of(
            "a text", got=f"{words.shape[1]} words", expected=f"at most {LONGEST}", do="Say it shorter."
        )
    room = LONGEST - words.shape[1]
    words, mask = F.pad(words, (0, 0, 0, room)), F.pad(batch.mask, (0, room))
    return torch.cat([F.normalize(whole), words.flatten(1), mask.float()], 1)


LONGEST = 32
"""Words of a text that `told` has room for."""


def untold(t: Tensor, features: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of `told` -> sentence (N, D), words (N, T, D), mask (N, T)."""
    whole, words, mask = t.split([features, LONGEST * features, LONGEST], 1)
    return whole, words.unflatten(1, (LONGEST, features)), mask > 0.5


class WordGenerator(TextGenerator):
    """Noise (N, Z), rows of `told` -> pictures (N, 3, 32, 32).

    `attend`: the 16 x 16 maps look at the words, and go on together with what they saw (Xu et al. (2018), one F_attn of their
    two). Otherwise the words are not read, and it is a `TextGenerator` of the sentence.
    """

    AT = 2
    """The stage whose maps look: 0 has 4 x 4 places, 2 has 16 x 16."""

    def __init__(
        self, *, attend: bool, text: int = 48, latent: int = 24, width: int = 16, fine: int = 16, code: int = 24
    ) -> None:
        super().__init__(text=text, latent=latent, width=width, fine=fine, size=32, code=code)
        self.context = WordContext(self.maps[self.AT], text) if attend else None
        if attend:
            self.ups[self.AT] = nn.ConvTranspose2d(2 * self.maps[self.AT], fine, 4, 2, 1, bias=False)

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        whole, words, mask = untold(t, self.text)
        code, h = self._begin(z, whole)
        for stage, norm in enumerate(self.norms):
            h = torch.relu(norm(h if stage == 0 else self.ups[stage - 1](h), code))
            if stage == self.AT and self.context is not None:
                h = torch.cat([h, self.context(h, words, mask)], 1)
        return torch.tanh(self.to_picture(h))

    def _begin(self, z: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
        code = torch.cat([z, F.leaky_relu(self.read(whole * self.text**0.5), 0.2)], 1)
        return code, self.first(code).view(len(z), self.maps[0], 4, 4)

    @torch.no_grad()
    def look(self, z: Tensor, t: Tensor) -> Tensor:
        """Where each word is looked at while the picture is drawn: (N, T, 16, 16); at a place the words' weights sum to 1."""
        if self.context is None:
            raise InputError.of("a generator", got="attend=False", expected="attend=True", do="It never reads words.")
        whole, words, mask = untold(t, self.text)
        code, h = self._begin(z, whole)
        for stage, norm in enumerate(self.norms[: self.AT + 1]):
            h = torch.relu(norm(h if stage == 0 else self.ups[stage - 1](h), code))
        return self.context.weights(h, words, mask)


class SentenceDiscriminator(TextDiscriminator):
    """The projection discriminator on the sentence of `told`; it never reads the words."""

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return super().forward(x, untold(t, self.text)[0])


def load_matcher(seed: int = 0, *, data: Path | None = None) -> WordMatcher:
    """The shipped matcher of birds at 32 pixels of one seed: 0, 1 or 2 (benchmarks/train_words_and_codes.py)."""
    name = f"text/matcher_{seed}"
    about = shipped.row(name, data)["config"]
    with runtime.seeded(0):
        net = WordMatcher(**about)
    shipped.load(name, net, data=data)
    return net


def load_word_generator(*, attend: bool, data: Path | None = None) -> WordGenerator:
    """The shipped generator with words, or its sibling without, in eval mode, frozen."""
    name = "text/painter_words" if attend else "text/painter_sentence"
    with runtime.seeded(0):
        net = WordGenerator(**shipped.row(name, data)["config"])
    shipped.load(name, net, data=data)
    return net

"""Pictures as words of a language of their own: a VQ autoencoder, and a transformer that writes that language from captions.

::

    codes = autoencoder.codes(x)              # (N, 8, 8) of K signs
    x = autoencoder.paint(codes)
    codes = prior.write(texts, generator=...) # sentence first, then 64 signs, one after the other

van den Oord et al. (2017), "Neural discrete representation learning"; Esser et al. (2021), "Taming transformers"; conditioned on
a text as in Ramesh et al. (2021).

Shapes: N batch, T words, K codes in the book, D features, G = 8 signs along each side of the grid, L = G G signs in all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit import runtime, shipped
from coursekit.datasets.text import Vocabulary
from coursekit.errors import InputError

GRID = 8
"""Signs along each side of a picture of 32 pixels; each stands for 4 x 4 of them."""


class _StraightThrough(torch.autograd.Function):
    """Forward: the chosen codes. Backward: the gradient goes to what was rounded, unchanged (van den Oord et al., 3.1)."""

    @staticmethod
    def forward(ctx: Any, rounded: Tensor, chosen: Tensor) -> Tensor:
        return chosen.clone()

    @staticmethod
    def backward(ctx: Any, *arriving: Tensor) -> tuple[Tensor, None]:
        return arriving[0], None


def straight_through(rounded: Tensor, chosen: Tensor) -> Tensor:
    """`chosen`, through which gradients reach `rounded` as if nothing had happened; `chosen` gets none. Equal shapes."""
    out: Tensor = _StraightThrough.apply(rounded, chosen)  # type: ignore[no-untyped-call]
    return out


class Quantised(NamedTuple):
    """What a codebook makes of features."""

    z: Tensor
    """(N, D, G, G): the nearest codes, with the straight-through gradient."""
    codes: Tensor
    """(N, G, G) int64."""
    commitment: Tensor
    """Scalar: mean squared distance of the features to their codes, whose gradient pulls the features."""


class Codebook(nn.Module):
    """K vectors (K, D); features become the nearest one.

    The book follows the features by moving averages (van den Oord et al., appendix A.1), so it needs no loss of its own: in
    train mode each pass moves every code towards the mean of the features that chose it. `restart`: a code that less than
    one feature a hundred batches chooses is put where a feature of the batch is (Dhariwal et al. 2020, section 3). Its
    draws come from torch's global generator, which the kit's loops seed.
    """

    vectors: Tensor
    sums: Tensor
    counts: Tensor
    met: Tensor

    def __init__(self, k: int = 128, features: int = 16, *, decay: float = 0.97, restart: bool = True) -> None:
        super().__init__()
        self.k, self.decay, self.restart = k, decay, restart
        self.register_buffer("vectors", torch.randn(k, features))
        self.register_buffer("sums", torch.zeros(k, features), persistent=False)
        self.register_buffer("counts", torch.zeros(k), persistent=False)
        self.register_buffer("met", torch.tensor(False), persistent=False)

    def nearest(self, rows: Tensor) -> Tensor:
        """Rows (M, D) -> (M,) int64: argmin_k |row - v_k|^2 = argmax_k (row . v_k - |v_k|^2 / 2), which saves |row|^2."""
        return (rows @ self.vectors.T - self.vectors.square().sum(1) / 2).argmax(1)

    def forward(self, z: Tensor) -> Quantised:
        """Features (N, D, G, G)."""
        rows = z.movedim(1, 3).flatten(0, 2)
        if self.training and not self.met:
            self._begin(rows.detach())
        codes = self.nearest(rows.detach())
        chosen = self.vectors[codes].view(*z.shape[:1], *z.shape[2:], -1).movedim(3, 1)
        if self.training:
            self._follow(rows.detach(), codes)
        return Quantised(straight_through(z, chosen), codes.view(len(z), *z.shape[2:]), F.mse_loss(z, chosen))

    @torch.no_grad()
    def _begin(self, rows: Tensor) -> None:
        """Codes that lie where no feature is are never chosen: begin at features of the first batch."""
        self.vectors.copy_(rows[torch.randint(len(rows), (self.k,))])
        self.sums.copy_(self.vectors)
        self.counts.fill_(1.0)
        self.met.fill_(True)

    @torch.no_grad()
    def _follow(self, rows: Tensor, codes: Tensor) -> None:
        chosen = F.one_hot(codes, self.k).to(rows)
        self.counts.lerp_(chosen.sum(0), 1 - self.decay)
        self.sums.lerp_(chosen.T @ rows, 1 - self.decay)
        if self.restart:
            dead = self.counts < 0.01
            fresh = rows[torch.randint(len(rows), (self.k,))]
            self.sums[dead], self.counts[dead] = fresh[dead], 1.0
        alive = self.counts > 1e-6
        self.vectors[alive] = self.sums[alive] / self.counts[alive, None]


class _Residual(nn.Sequential):
    def __init__(self, maps: int) -> None:
        super().__init__(nn.ReLU(), nn.Conv2d(maps, maps // 2, 3, padding=1), nn.ReLU(), nn.Conv2d(maps // 2, maps, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class VQAutoencoder(nn.Module):
    """Pictures (N, 3, 32, 32) in [-1, 1] -> 8 x 8 signs -> pictures."""

    def __init__(self, *, k: int = 128, features: int = 16, width: int = 24, restart: bool = True) -> None:
        super().__init__()
        maps = 2 * width
        self.encode = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1), nn.ReLU(), nn.Conv2d(width, maps, 4, 2, 1),
            _Residual(maps), _Residual(maps), nn.ReLU(), nn.Conv2d(maps, features, 1),
        )  # fmt: skip
        self.book = Codebook(k, features, restart=restart)
        self.decode = nn.Sequential(
            nn.Conv2d(features, maps, 3, padding=1), _Residual(maps), _Residual(maps), nn.ReLU(),
            nn.ConvTranspose2d(maps, width, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(width, 3, 4, 2, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Tensor, Quantised]:
        """Pictures -> their copies, and what the codebook did."""
        if x.ndim != 4 or x.shape[1:] != (3, 4 * GRID, 4 * GRID):
            raise InputError.of(
                "pictures for VQAutoencoder",
                got=tuple(x.shape),
                expected="(N, 3, 32, 32)",
                do="Render them with size=32.",
            )
        quantised = self.book(self.encode(x))
        return self.decode(quantised.z), quantised

    @torch.no_grad()
    def codes(self, x: Tensor) -> Tensor:
        """Pictures -> signs (N, G, G) int64; the book stays as it is."""
        return torch.cat([
            self.book.nearest(self.encode(part).movedim(1, 3).flatten(0, 2)).view(-1, GRID, GRID) for part in x.split(512)
        ])  # fmt: skip

    def paint(self, codes: Tensor) -> Tensor:
        """Signs (N, G, G) or (N, L) -> pictures (N, 3, 32, 32), in [-1, 1]."""
        return self.decode(self.book.vectors[codes.view(-1, GRID, GRID)].movedim(3, 1)).clamp(-1, 1)


def perplexity(codes: Tensor, k: int) -> float:
    """exp of the entropy of the codes' frequencies: how many codes are in use, counted as if all were used alike."""
    p = torch.bincount(codes.flatten(), minlength=k).double() / codes.numel()
    return float(torch.special.entr(p).sum().exp())


Past = tuple[Tensor, Tensor]


class _Layer(nn.Module):
    """A layer of a transformer, norms first."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(features), nn.LayerNorm(features)
        self.qkv, self.out = nn.Linear(features, 3 * features), nn.Linear(features, features)
        self.think = nn.Sequential(nn.Linear(features, 4 * features), nn.GELU(), nn.Linear(4 * features, features))

    def forward(self, h: Tensor, may: Tensor | None, past: Past | None = None) -> tuple[Tensor, Past]:
        """h (N, S, D); `may` (N, 1, S, S') bool: who may look at whom. `past`: keys and values of what came before."""
        q, k, v = self.qkv(self.norm1(h)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=may)
        h = h + self.out(seen.transpose(1, 2).flatten(2))
        return h + self.think(self.norm2(h)), (k, v)


class CodePrior(nn.Module):
    """p(codes | words) = prod_l p(code_l | words, codes before l), row by row.

    One sequence: the caption's words, a sign that says "begin", and the codes. Words see all words; a code sees all words
    and the codes before it.
    """

    def __init__(
        self, words: tuple[str, ...] | list[str], *, k: int = 128, features: int = 64, layers: int = 3, heads: int = 4,
        longest: int = 40,
    ) -> None:  # fmt: skip
        """`words`: the tokens of the captions' vocabulary, without the special ones; `longest` caption in words."""
        super().__init__()
        self.vocabulary, self.k, self.longest = Vocabulary(words), k, longest
        self.word, self.sign = nn.Embedding(len(self.vocabulary), features), nn.Embedding(k + 1, features)  # k: "begin"
        self.place = nn.Parameter(0.02 * torch.randn(longest + GRID * GRID, features))
        for table in (self.word, self.sign):
            nn.init.normal_(table.weight, std=0.1)
        self.layers = nn.ModuleList(_Layer(features, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(features)
        self.to_logits = nn.Linear(features, k)

    def forward(self, ids: Tensor, mask: Tensor, codes: Tensor) -> Tensor:
        """Words ids (N, T) with their mask, the true codes (N, L) -> logits (N, L, K); those of l have seen codes before l."""
        n, t = ids.shape
        begun = F.pad(codes[:, :-1], (1, 0), value=self.k)
        signs = self.sign(begun) + self.place[self.longest : self.longest + begun.shape[1]]
        h = torch.cat([self._words(ids), signs], 1)
        s = h.shape[1]
        order = torch.ones(s, s, dtype=torch.bool, device=ids.device).tril()
        order[:t, :t] = True
        real = F.pad(mask, (0, s - t), value=True)
        may = order & real[:, None, None, :]
        for block in self.layers:
            h, _ = block(h, may)
        return self.to_logits(self.norm(h[:, t:]))

    def _words(self, ids: Tensor) -> Tensor:
        if ids.shape[1] > self.longest:
            raise InputError.of(
                "a caption",
                got=f"{ids.shape[1]} words",
                expected=f"at most {self.longest}",
                do="Say it in fewer words.",
            )
        return self.word(ids) + self.place[: ids.shape[1]]

    @torch.no_grad()
    def write(
        self, texts: list[str], *, temperature: float = 1.0, top: int | None = None, generator: torch.Generator
    ) -> Tensor:
        """Codes (N, L) int64 for N texts, drawn one after the other: L passes, each of one sign (keys and values are kept).

        The logits are divided by `temperature` (0: the likeliest code); only the `top` likeliest codes may be drawn.
        """
        if temperature < 0 or (top is not None and top < 1):
            raise InputError.of(
                "temperature and top", got=(temperature, top), expected="not below 0; at least 1", do="Try 1.0 and 20."
            )
        ids, _, mask = self.vocabulary.batch(texts)
        h, pasts = self._words(ids), []
        real = mask[:, None, None, :]
        for block in self.layers:
            h, past = block(h, real)
            pasts.append(past)
        sign, written = torch.full((len(ids), 1), self.k), []
        for place in range(GRID * GRID):
            h = self.sign(sign) + self.place[self.longest + place]
            real = F.pad(real, (0, 1), value=True)
            for i, layer in enumerate(self.layers):
                h, pasts[i] = layer(h, real, pasts[i])
            best, which = self.to_logits(self.norm(h[:, 0])).sort(1, descending=True)
            best, which = best[:, : top or self.k], which[:, : top or self.k]
            if temperature == 0:
                sign = which[:, :1]
            else:
                sign = which.gather(1, (best / temperature).softmax(1).multinomial(1, generator=generator))
            written.append(sign)
        return torch.cat(written, 1)


def load_autoencoder(name: str = "vq", *, data: Path | None = None) -> VQAutoencoder:
    """The shipped autoencoder data/text/`name` of birds (benchmarks/train_words_and_codes.py), in eval mode, frozen."""
    with runtime.seeded(0):
        net = VQAutoencoder(**shipped.row(f"text/{name}", data)["config"])
    shipped.load(f"text/{name}", net, data=data)
    return net


def load_prior(*, data: Path | None = None) -> CodePrior:
    """The shipped writer of its codes, in eval mode, frozen."""
    with runtime.seeded(0):
        net = CodePrior(**shipped.row("text/prior", data)["config"])
    shipped.load("text/prior", net, data=data)
    return net

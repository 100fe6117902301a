"""A generator and a discriminator that read: pictures from noise and the code of a sentence.

::

    G, D = TextGenerator(text=128), TextDiscriminator(text=128)
    x = G(z, t)                     # N pictures in N styles of what N sentences say
    s = D(x, t)                     # is it a picture, and is the sentence true of it?

Shapes: noise z (N, Z), codes of sentences t (N, D) of length 1, pictures (N, 3, size, size) in [-1, 1], scores (N,): a critic's,
for the hinge loss. Reed et al. (2016b), "Generative adversarial text to image synthesis", figure 2, with newer parts: the
sentence and the noise set gain and bias of each batch norm (Brock et al. 2019) where Reed et al. join the code to z alone, and
D scores a sentence by an inner product (Miyato and Koyama 2018) where they repeat its code over the 4 x 4 cells. Theirs are
here for comparison (`norms=False`, `reading="joined"`).
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from coursekit import runtime, shipped
from coursekit.errors import InputError
from coursekit.models.class_conditional import ConditionalBatchNorm2d

Reading = Literal["projection", "joined"]
"""How D reads the sentence: by an inner product, or joined to each cell."""


class _Plain(nn.Module):
    """Batch norm that ignores the code."""

    def __init__(self, maps: int, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(maps)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        return self.norm(x)


class TextGenerator(nn.Module):
    """z (N, Z), t (N, D) -> pictures (N, 3, size, size) in [-1, 1].

    `width` maps at half the size, doubled with each halving up to four times as many; `fine` maps at full size. `norms`:
    whether z and t set the gains and biases of the batch norms, as well as the first layer.
    """

    def __init__(
        self,
        *,
        text: int = 128,
        latent: int = 64,
        width: int = 32,
        fine: int = 24,
        size: int = 32,
        code: int = 64,
        norms: bool = True,
    ) -> None:
        super().__init__()
        self.latent, self.text = latent, text
        doublings = _doublings(size)
        maps = [width * min(4, 2**i) for i in reversed(range(doublings))] + [fine]
        self.read = nn.Linear(text, code)
        self.first = nn.Linear(latent + code, maps[0] * 16)
        norm = ConditionalBatchNorm2d if norms else _Plain
        self.norms = nn.ModuleList(norm(n, latent + code) for n in maps)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False) for a, b in pairwise(maps))
        self.to_picture = nn.Conv2d(fine, 3, 3, padding=1)
        self.maps = maps

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        code = torch.cat([z, F.leaky_relu(self.read(t * math.sqrt(self.text)), 0.2)], 1)
        h = self.first(code).view(len(z), self.maps[0], 4, 4)
        for i, norm in enumerate(self.norms):
            if i:
                h = self.ups[i - 1](h)
            h = torch.relu(norm(h, code))
        return torch.tanh(self.to_picture(h))


class TextDiscriminator(nn.Module):
    """Pictures (N, 3, size, size), t (N, D) -> scores (N,).

    t may hold several sentences for each picture, (K N, D): the first N are one of each, then come the next; scores are (K N,),
    and the convolutions look at each picture once.
    `spectral`: divide each weight by its largest singular value (Miyato et al. 2018); else batch norm. `twins`: the second half
    of the pictures has the same sentences as the first, and D also looks at how far row i and row N / 2 + i are apart. A
    generator that paints one picture for a sentence, whatever z is, is then found out (packs of two, after Lin et al. 2018).
    """

    def __init__(
        self,
        *,
        text: int = 128,
        width: int = 32,
        fine: int = 24,
        size: int = 32,
        reading: Reading = "projection",
        spectral: bool = True,
        twins: bool = False,
    ) -> None:
        super().__init__()
        if reading not in ("projection", "joined"):
            raise InputError.of("reading", got=reading, expected="projection or joined", do="Pick one of these.")
        wrap = spectral_norm if spectral else lambda layer: layer
        self.text, self.reading = text, reading
        maps = [fine, *(width * min(4, 2**i) for i in range(_doublings(size)))]
        layers: list[nn.Module] = [wrap(nn.Conv2d(3, fine, 3, padding=1)), nn.LeakyReLU(0.2)]
        for before, after in pairwise(maps):
            layers += [wrap(nn.Conv2d(before, after, 4, 2, 1, bias=spectral))]
            layers += [nn.LeakyReLU(0.2)] if spectral else [nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers)
        last = maps[-1]
        if reading == "joined":
            self.read = wrap(nn.Linear(text, last))
            self.join = wrap(nn.Conv2d(2 * last, last, 1))
        else:
            self.look = wrap(nn.Conv2d(last, text, 4))
        self.score = wrap(nn.Conv2d(last, 1, 4))
        self.apart = wrap(nn.Conv2d(last, 1, 4)) if twins else None

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        if len(t) % len(x):
            raise InputError.of(
                "sentences",
                got=len(t),
                expected=f"a multiple of the {len(x)} pictures",
                do="Pass one code for each picture.",
            )
        if self.apart is not None and len(x) % 2 == 0 and not torch.equal(*t[: len(x)].chunk(2)):
            raise InputError.of(
                "sentences",
                got="other ones for the second half of the pictures",
                expected="twins: row N / 2 + i has the sentence of row i",
                do="Take batches of a Lesson with twins=True.",
            )
        h = self.body(x)
        t, repeats = t * math.sqrt(self.text), len(t) // len(x)
        variety = 0.0 if self.apart is None else self._variety(h).repeat(repeats)
        if self.reading == "joined":
            h = h.repeat(repeats, 1, 1, 1)
            told = F.leaky_relu(self.read(t), 0.2)[:, :, None, None].expand(-1, -1, 4, 4)
            h = F.leaky_relu(self.join(torch.cat([h, told], 1)), 0.2)
            return self.score(h).flatten() + variety
        plain = self.score(h).flatten().repeat(repeats) + variety
        return plain + (self.look(h).flatten(1).repeat(repeats, 1) * t).sum(1)

    def _variety(self, h: Tensor) -> Tensor:
        """Features (N, maps, 4, 4) -> (N,): what the distance of twins is worth, the same for both."""
        if len(h) % 2:
            raise InputError.of(
                "pictures", got=len(h), expected="an even number: two for each sentence", do="Add or drop one."
            )
        first, second = h.chunk(2)
        return self.apart((first - second).abs()).flatten().repeat(2)  # type: ignore[misc]


class StyleEncoder(nn.Module):
    """Pictures (N, 3, size, size) -> the noise (N, Z) that they would have been made from: their style.

    Reed et al. (2016b), section 4.4: trained on the generator's own pictures, for which the noise is known.
    """

    def __init__(self, *, latent: int = 64, width: int = 32, size: int = 32) -> None:
        super().__init__()
        maps = [3, *(width * min(4, 2**i) for i in range(_doublings(size)))]
        layers: list[nn.Module] = []
        for before, after in pairwise(maps):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.code = nn.Linear(maps[-1] * 16, latent)

    def forward(self, x: Tensor) -> Tensor:
        return self.code(self.body(x).flatten(1))


def load_text_generator(name: str = "birds64", *, data: Path | None = None) -> TextGenerator:
    """The shipped generator data/text/`name` (benchmarks/train_text.py), in eval mode, its weights frozen."""
    with runtime.seeded(0):
        net = TextGenerator(**shipped.row(f"text/{name}", data)["config"])
    shipped.load(f"text/{name}", net, data=data)
    return net


def load_style_encoder(name: str = "style64", *, data: Path | None = None) -> StyleEncoder:
    """The style encoder of the shipped generator, in eval mode, its weights frozen."""
    with runtime.seeded(0):
        net = StyleEncoder(**shipped.row(f"text/{name}", data)["config"])
    shipped.load(f"text/{name}", net, data=data)
    return net


def _doublings(size: int) -> int:
    doublings = round(math.log2(size / 4)) if size > 0 else 0
    if doublings < 2 or 4 * 2**doublings != size:
        raise InputError.of(
            "size", got=size, expected="16, 32, 64 or a further power of two", do="Render at one of these."
        )
    return doublings

"""Do pictures show what their captions tell, do they vary where captions are silent, and do captions find their pictures?

The world's oracle reads the pictures, so each answer is a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from coursekit import runtime
from coursekit.datasets import birds
from coursekit.metrics.attributes import CaptionAccuracy, caption_accuracy
from coursekit.metrics.sets import diversity, nearest
from coursekit.models.joint_embedding import PictureEncoder, TextEncoder
from coursekit.oracles import oracle
from coursekit.training.captioned import SEEN_FORMS, UNSEEN_FORMS, sample_birds

FRESH_SEED = 1_000_033
"""Birds and captions of the measures are drawn from this seed; training draws from others."""


def accuracy(
    draw: Callable[..., Tensor],
    encoder: TextEncoder,
    *,
    n: int = 1000,
    unseen: bool = False,
    forms: Sequence[str] = UNSEEN_FORMS,
    seed: int = FRESH_SEED,
) -> CaptionAccuracy:
    """How far pictures `draw(z_count, t)` (such as `Gan.sample`) agree with n fresh captions, read by the oracle.

    Captions are worded in a form that training has not seen, and tell two to five facts each. `unseen`: birds of the
    combinations of colours kept from training; their captions tell body, wing and one fact more.
    """
    own = runtime.generator(seed)
    flock = sample_birds(n, generator=own, unseen=unseen)
    if unseen:
        texts = _telling_both(flock, forms, own)
    else:
        texts = birds.caption(flock, forms=forms, generator=own)
    x = torch.cat([draw(len(some), encoder.embed(some), seed=seed + k) for k, some in enumerate(_parts(texts, 250))])
    return caption_accuracy(texts, oracle("birds").read(x), birds.NAMES, birds.parse)


def _telling_both(flock: birds.Attributes, forms: Sequence[str], own: torch.Generator) -> list[str]:
    """Captions that tell body and wing, and one more fact of each bird."""
    others = [name for name in birds.NAMES if name not in ("body", "wing")]
    texts: list[str] = []
    for rows, name in zip(torch.arange(len(flock)).tensor_split(len(others)), others):
        texts += birds.caption(flock.take(rows), facts=["body", "wing", name], forms=forms, generator=own)
    return texts


def _parts(items: Sequence[str], size: int) -> list[Sequence[str]]:
    return [items[i : i + size] for i in range(0, len(items), size)]


class Variety(NamedTuple):
    """Pictures of one caption that tells everything, against renders of that bird; means over four captions."""

    spread: float
    """Mean distance of two pictures over that of two renders: about 1 for a generator that uses z."""
    styles: float
    """Recall of style: of the 15 kinds of renders (5 backgrounds, 3 poses) the share shown at least a quarter as often as by
    renders. The kind of a picture is that of the nearest render."""


def variety(draw: Callable[..., Tensor], encoder: TextEncoder, *, n: int = 200, seed: int = FRESH_SEED) -> Variety:
    """Does the noise matter once the caption is given? Distances are of pictures averaged to 16 x 16 pixels."""
    own, found = runtime.generator(seed), []
    for k in range(4):
        one = birds.sample(1, generator=own)
        flock = birds.Attributes(*one.stack().expand(5 * n, -1).unbind(1))
        code = encoder.embed(birds.caption(one, facts=tuple(birds.NAMES), forms=SEEN_FORMS, generator=own))
        fake = draw(n, code.expand(n, -1), seed=seed + k)
        kinds = birds.styles(5 * n, generator=own) @ torch.tensor([3, 1])
        real = F.adaptive_avg_pool2d(birds.render(flock, size=fake.shape[-1], generator=own), 16)
        fake = F.adaptive_avg_pool2d(fake, 16)
        shown = kinds[nearest(fake, real)[1]]
        shares, expected = (torch.bincount(some, minlength=15) / len(some) for some in (shown, kinds))
        found.append((diversity(fake) / diversity(real[:n]), (shares >= expected / 4).double().mean().item()))
    spread, styles = zip(*found)
    return Variety(sum(spread) / len(spread), sum(styles) / len(styles))


def recall_at_1(text: TextEncoder, picture: PictureEncoder, *, rounds: int = 10, seed: int = FRESH_SEED) -> float:
    """Share of captions whose nearest among 100 pictures is their own; captions tell all seven facts in the unseen form."""
    own, hits = runtime.generator(seed), []
    for _ in range(rounds):
        flock = birds.sample(100, generator=own)
        with torch.no_grad():
            codes = picture(oracle("birds").features(birds.render(flock, generator=own)))
        texts = birds.caption(flock, facts=tuple(birds.NAMES), forms=UNSEEN_FORMS, generator=own)
        hits.append(((text.embed(texts) @ codes.T).argmax(1) == torch.arange(100)).double().mean())
    return float(torch.stack(hits).mean())

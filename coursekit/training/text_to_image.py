"""Pictures from words: the matching-aware loop, and the data that it learns from.

::

    lesson = Lesson.of(encoder, renders=20_000, size=32, seed=0)
    gan = start(Recipe(), size=32, steps=2000, seed=0)
    for record in train_text_gan(gan, lesson.batches(64, seed=0)):
        ...
    pictures = gan.sample(8, encoder.embed(["a small red bird"] * 8))

Shapes: pictures x (N, 3, H, W), codes of true captions t and of false ones w, both (N, D), noise z (N, Z).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from coursekit import losses, runtime
from coursekit.datasets import birds
from coursekit.errors import InputError
from coursekit.metrics.attributes import CaptionAccuracy, caption_accuracy
from coursekit.metrics.sets import diversity, nearest
from coursekit.models.joint_embedding import PictureEncoder, TextEncoder
from coursekit.models.text_to_image import Reading, TextDiscriminator, TextGenerator
from coursekit.oracles import oracle
from coursekit.training.gan import Gan, GanConfig, GanRecord, Turn, frozen
from coursekit.training.joint_embedding import also_true
from coursekit.training.run import descend_once

SEEN_FORMS = tuple(form for form in birds.FORMS if form != "a bird that has")
"""The forms of a sentence that training reads; the fifth is kept for the test of unseen wording."""
UNSEEN_FORMS = ("a bird that has",)


def held_out(labels: Tensor) -> Tensor:
    """(N,) bool: is this combination of body and wing colour kept out of training? Nine of 81 are: one for each body colour.

    labels (N, 7) int64 of birds: the columns body and wing come first.
    """
    return labels[:, 1] == (labels[:, 0] + 4) % 9


def sample_birds(n: int, *, generator: torch.Generator, unseen: bool = False) -> birds.Attributes:
    """n birds of the combinations that training sees, or of those that it does not."""
    found: list[Tensor] = []
    while sum(map(len, found)) < n:
        labels = birds.sample(4 * n, generator=generator).stack()
        found.append(labels[held_out(labels) == unseen])
    return birds.Attributes(*torch.cat(found)[:n].unbind(1))


@dataclass(frozen=True, eq=False)
class Lesson:
    """M pictures, what is true of them, and K captions of each, true and nearly true, as codes."""

    x: Tensor
    """(M, 3, H, W)."""
    labels: Tensor
    """(M, 7) int64."""
    told: Tensor
    """(K, M, 7) int64: what the k-th caption of each picture tells, -1 for what it leaves unsaid."""
    codes: Tensor
    """(K, M, D)."""
    nearly: Tensor
    """(K, M, D): the codes of the same captions with one fact changed, and so false."""
    twins: Tensor
    """(K, M, 3, H, W): other pictures that the captions are true of; what they leave unsaid, and the style, is drawn anew."""
    twin_labels: Tensor
    """(K, M, 7) int64."""

    @classmethod
    def of(cls, encoder: TextEncoder, *, renders: int, size: int, seed: int) -> Lesson:
        """Fresh renders of the combinations seen in training; of each a caption of two to five facts, and one that tells all.

        Both are in the forms seen in training.
        """
        own = runtime.generator(seed)
        flock = sample_birds(renders, generator=own)
        x = birds.render(flock, size=size, generator=own)
        told, codes, nearly, twins, twin_labels = [], [], [], [], []
        for facts in (None, tuple(birds.NAMES)):
            state = own.get_state()
            texts = birds.caption(flock, facts=facts, forms=SEEN_FORMS, generator=own)
            told.append(birds.facts(texts))
            codes.append(encoder.embed(texts))
            changed = _with_one_changed(flock.stack(), told[-1], own)
            own.set_state(state)  # the same dice: the same sentence, but for the word
            nearly.append(encoder.embed(birds.caption(changed, facts=facts, forms=SEEN_FORMS, generator=own)))
            twin_labels.append(_with_the_same_told(flock.stack(), told[-1], own))
            twins.append(birds.render(birds.Attributes(*twin_labels[-1].unbind(1)), size=size, generator=own))
        return cls(x, flock.stack(), *map(torch.stack, (told, codes, nearly, twins, twin_labels)))

    def batches(self, batch: int, *, seed: int) -> Callable[[int], tuple[Tensor, Tensor, Tensor]]:
        """k -> x, t, w of the k-th batch: w is the code of a caption that is false of the picture.

        The second half of x are twins of the first half: the same captions, other pictures. Half of the w are the picture's own
        caption with one fact changed, so that D has to read every word. The others belong to another picture. Another caption is
        not thereby a wrong one, "a red bird" fits many: each is the next in the batch that does not fit.
        """
        if batch < 4 or batch % 2:
            raise InputError.of(
                "batch", got=batch, expected="an even number from 4", do="Half of it are twins of the other half."
            )

        def batches(k: int) -> tuple[Tensor, Tensor, Tensor]:
            own = runtime.generator((seed * 1_000_003 + k) % 2**63)
            n = batch // 2
            rows = torch.randint(len(self.x), (n,), generator=own)
            which = torch.randint(len(self.told), (n,), generator=own)
            told, codes = self.told[which, rows], self.codes[which, rows]
            close = torch.rand(n, 1, generator=own) < 0.5
            wrong = [
                torch.where(close, self.nearly[which, rows], codes[next_false(told, labels)])
                for labels in (self.labels[rows], self.twin_labels[which, rows])
            ]
            return torch.cat([self.x[rows], self.twins[which, rows]]), codes.repeat(2, 1), torch.cat(wrong)

        return batches


def next_false(told: Tensor, labels: Tensor) -> Tensor:
    """(N,) int64: for picture i the first of the captions i + 1, i + 2, ... (round the end) that is false of it.

    told, labels (N, 7). Where every caption fits, its own: then there is no wrong one in the batch.
    """
    n = len(told)
    order = (torch.arange(n).unsqueeze(1) + torch.arange(1, n + 1)) % n  # row i: i + 1, ..., i
    false = ~also_true(told, labels).T.gather(1, order)
    first = torch.where(false.any(1), false.int().argmax(1), n - 1)
    return order[torch.arange(n), first]


def _with_the_same_told(labels: Tensor, told: Tensor, own: torch.Generator) -> Tensor:
    """(M, 7): labels that agree in what is told, the rest drawn anew; of the combinations that training sees."""
    other = birds.sample(len(labels), generator=own).stack()
    other = torch.where(told < 0, other, labels)
    return torch.where(held_out(other).unsqueeze(1), labels, other)


def _with_one_changed(labels: Tensor, told: Tensor, own: torch.Generator) -> birds.Attributes:
    """Birds that differ from (M, 7) labels in one attribute each, one that their caption tells."""
    column = torch.multinomial((told >= 0).float(), 1, generator=own).squeeze(1)
    counts = torch.tensor([len(values) for values in birds.NAMES.values()])[column]
    shift = 1 + (torch.rand(len(labels), generator=own) * (counts - 1)).long()
    rows, changed = torch.arange(len(labels)), labels.clone()
    changed[rows, column] = (labels[rows, column] + shift) % counts
    return birds.Attributes(*changed.unbind(1))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything but the data, the number of steps and the seed."""

    latent: int = 64
    text: int = 128
    g_width: int = 32
    d_width: int = 32
    fine: int = 24
    norms: bool = True
    """Conditional batch norm in G; else the sentence enters the first layer alone."""
    reading: Reading = "projection"
    spectral: bool = True
    twins: bool = False
    """D compares two pictures of each sentence: more variety, at a price (lecture 8.2, section 6)."""
    matching: bool = True
    """D also learns that a render with a false caption is not to be accepted."""
    interpolated: float = 0.0
    """Weight of G's score on means of two captions (GAN-INT, Reed et al. 2016b, equation 5)."""
    lr: float = 4e-4
    betas: tuple[float, float] = (0.0, 0.99)
    ema: float = 0.998
    decay_from: float = 0.5
    batch: int = 32
    fast: bool = True

    def generator(self, size: int) -> dict[str, int | bool]:
        """What `TextGenerator` is built from."""
        return {
            "text": self.text, "latent": self.latent, "width": self.g_width, "fine": self.fine, "size": size, "norms": self.norms
        }  # fmt: skip

    def without(self, part: str) -> Recipe:
        """This recipe without one of its ingredients: a row of the ablation table."""
        return replace(self, **_WITHOUT[part])


_WITHOUT: dict[str, dict[str, object]] = {
    "matching-aware term": {"matching": False},
    "projection": {"reading": "joined"},
    "conditional batch norm": {"norms": False},
    "spectral norm": {"spectral": False},
    "averaged weights": {"ema": 0.0},
}
INGREDIENTS = tuple(_WITHOUT)


RECIPE_32 = Recipe(d_width=24, fine=16)
"""That of a student: four minutes of one core at 32 px."""
RECIPE_64 = Recipe(fine=16)
"""That of the shipped generator at 64 px."""


def start(recipe: Recipe, *, size: int, steps: int, seed: int, on: str | None = None) -> Gan:
    """A run of `recipe` before its first step."""
    with runtime.seeded(seed):
        G = TextGenerator(
            text=recipe.text,
            latent=recipe.latent,
            width=recipe.g_width,
            fine=recipe.fine,
            size=size,
            norms=recipe.norms,
        )
        D = TextDiscriminator(
            text=recipe.text, width=recipe.d_width, fine=recipe.fine, size=size, reading=recipe.reading,
            spectral=recipe.spectral, twins=recipe.twins,
        )  # fmt: skip
    config = GanConfig(
        steps=steps, latent=recipe.latent, lr_d=recipe.lr, lr_g=recipe.lr, betas=recipe.betas, ema=recipe.ema,
        decay_from=recipe.decay_from, fresh_noise=False, channels_last=True, seed=seed,
    )  # fmt: skip
    fabric = runtime.fabric(on=on, precision=runtime.precision(on) if recipe.fast else "32-true")
    return Gan(G, D, config, game=losses.HINGE, fabric=fabric)


def matching_hinge(right: Tensor, wrong: Tensor, fake: Tensor) -> Tensor:
    """Scores (N,) of render and true caption, render and false caption, fake and its caption -> what D descends.

    E max(0, 1 - right) + (E max(0, 1 + wrong) + E max(0, 1 + fake)) / 2: the weights of Reed et al. (2016b), algorithm 1, line 9,
    with hinges in the place of their logarithms.
    """
    false = F.relu(1 + wrong.float()).mean() + F.relu(1 + fake.float()).mean()
    return F.relu(1 - right.float()).mean() + false / 2


def train_text_gan(
    gan: Gan,
    batches: Callable[[int], Sequence[Tensor]],
    *,
    matching: bool = True,
    interpolated: float = 0.0,
    measure: Callable[[Gan], float] | None = None,
) -> Iterator[GanRecord]:
    """Move `gan` on to `config.steps` steps; yield a record after each. One update of D and one of G, on the same fakes.

    `batches(k)` is x, t, w. `matching=False` leaves w out: D then learns about captions from fakes alone. `interpolated`: weight
    of G's loss on means of two captions, for which there is no render (Reed et al. 2016b, equation 5).
    Raises TrainingError at the first loss or gradient that is not finite.
    """
    began = time.monotonic()
    while gan.step < (config := gan.config).steps:
        step = gan.step
        gan.anneal()
        with gan.turn():
            x, t, w = gan.real(batches(step))
            n, z = len(x), gan.latent(len(x))
            fake = gan.G(z, t)
            d = _teach(gan, x, fake.detach(), t, w if matching else None, label=f"step {step}, the discriminator")
            with frozen(gan.D):
                on_fake = gan.D(fake, t)
                loss = gan.game.g(on_fake)
                if interpolated:
                    between = (t + t.roll(1, 0)) / 2
                    loss = loss + interpolated * gan.game.g(gan.D(gan.G(gan.latent(n), between), between))
                g_norm = descend_once(
                    loss, gan.g_optimizer, label=f"step {step}, the generator", backward=gan.fabric.backward
                )
            gan.follow()
        due = gan.step == config.steps or (config.measure_every and gan.step % config.measure_every == 0)
        yield GanRecord(
            step,
            *gan.mean([d.loss, loss, d.real, d.fake, d.grad_norm, g_norm]),
            measure=float(measure(gan)) if measure and due else None,
            seconds=time.monotonic() - began,
        )


def _teach(gan: Gan, x: Tensor, fake: Tensor, t: Tensor, w: Tensor | None, *, label: str) -> Turn:
    """D's update. Renders and fakes go through D by themselves: no norm of D mixes them."""
    if w is None:
        on_real, on_fake = gan.D(x, t), gan.D(fake, t)
        loss = gan.game.d(on_real, on_fake)
    else:
        on_real, on_wrong = gan.D(x, torch.cat([t, w])).chunk(2)
        on_fake = gan.D(fake, t)
        loss = matching_hinge(on_real, on_wrong, on_fake)
    norm = descend_once(loss, gan.d_optimizer, label=label, backward=gan.fabric.backward)
    return Turn(loss.detach(), norm, on_real.detach().float().mean(), on_fake.detach().float().mean())


# ---------------------------------------------------------------- measures

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

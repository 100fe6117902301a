"""Scenes from words: the data that the encoders, the text-conditional and the box-conditional generator learn from.

N scenes in a batch, labels (N, 7) int64 of the world `scenes`, codes of sentences (N, D), maps of layouts (N, 10, 16, 16).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from coursekit import losses, runtime, shipped
from coursekit.datasets import scenes
from coursekit.models.joint_embedding import TextEncoder, characters
from coursekit.models.layout import BoxDiscriminator, BoxGenerator, layout_maps
from coursekit.models.text_to_image import TextGenerator
from coursekit.training.captioned import next_false
from coursekit.training.gan import Gan, GanConfig
from coursekit.training.joint_embedding import also_true
from coursekit.training.text_to_image import Recipe

RECIPE = Recipe(latent=32, g_width=16, d_width=24, fine=16, lr=4e-4)
"""Of the generator that is told sentences, at 32 px."""
_COUNTS = torch.tensor([len(values) for values in scenes.NAMES.values()])


def nearly(labels: Tensor, told: Tensor, own: torch.Generator) -> Tensor:
    """(N, 7) labels that differ from `labels` in one respect that is told: an attribute, the colours exchanged, or the things.

    The last two keep every word of the sentence: whoever counts words and no order cannot tell the two apart.
    """
    n, rows = len(labels), torch.arange(len(labels))
    column = torch.multinomial((told >= 0).float(), 1, generator=own).squeeze(1)
    shift = 1 + (torch.rand(n, generator=own) * (_COUNTS[column] - 1)).long()
    one = labels.clone()
    one[rows, column] = (one[rows, column] + shift) % _COUNTS[column]
    colours = labels[:, [0, 4, 2, 3, 1, 5, 6]]
    things = labels[:, [3, 4, 5, 0, 1, 2, 6]]
    which = torch.randint(4, (n, 1), generator=own)
    return torch.where(which < 2, one, torch.where(which == 2, colours, things))


def sibling_pairs(
    n: int, seed: int, *, see: Callable[[Tensor], Tensor], batch: int = 48
) -> Callable[[int], tuple[Tensor, Tensor, Tensor, Tensor]]:
    """For `train_together`: batches of pairs of scenes (2 i, 2 i + 1) that are nearly alike.

    `see`: pictures (N, 3, 32, 32) -> features (N, F), those of a network that already sees, such as the oracle's.

    k -> features of their pictures (2 batch, F), ids and lengths of their captions, fits (2 batch, 2 batch).
    """
    own = runtime.generator(seed)
    first = scenes.sample(n // 2, own)
    labels = torch.stack([first, nearly(first, first, own)], 1).flatten(0, 1)
    seen = see(scenes.WORLD.render(labels, generator=own))
    texts = [scenes.caption(labels, sizes=sizes, generator=own) for sizes in (None, True)]
    facts = [scenes.facts(some) for some in texts]

    def batches(k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        one = 2 * torch.randint(n // 2, (batch,), generator=runtime.generator((seed * 1_000_003 + k) % 2**63))
        rows, which = torch.cat([one, one + 1]), k % 2
        read = characters([texts[which][row] for row in rows.tolist()])
        return seen[rows], read.ids, read.lengths, also_true(facts[which][rows], labels[rows])

    return batches


@dataclass(frozen=True, eq=False)
class SceneLesson:
    """M pictures; what is told of each in the form that a generator gets, and the same of a nearly alike scene."""

    x: Tensor
    """(M, 3, 32, 32)."""
    labels: Tensor
    """(M, 7) int64."""
    told: Tensor
    """(M, 7) int64, -1 for the unsaid."""
    right: Tensor
    """(M, ...): codes of captions (M, D), or maps of layouts (M, 10, 16, 16)."""
    wrong: Tensor
    """(M, ...): of a scene that differs in one respect."""

    @classmethod
    def of_sentences(cls, encoder: TextEncoder, *, renders: int, seed: int) -> SceneLesson:
        """Fresh renders and the codes of a caption of each."""
        own = runtime.generator(seed)
        labels = scenes.sample(renders, own)
        x = scenes.WORLD.render(labels, generator=own)
        state = own.get_state()
        texts = scenes.caption(labels, generator=own)
        told = scenes.facts(texts)
        other = nearly(labels, told, own)
        own.set_state(state)  # the same dice: the same sentence, but for what is changed
        false = scenes.caption(other, generator=own)
        return cls(x, labels, told, encoder.embed(texts), encoder.embed(false))

    @classmethod
    def of_layouts(cls, *, renders: int, seed: int) -> SceneLesson:
        """Fresh renders and the maps of their layouts. What is nearly alike has the same places, but for what is changed."""
        own = runtime.generator(seed)
        labels = scenes.sample(renders, own)
        other = nearly(labels, labels, own)
        state = own.get_state()
        wrong = scenes.arrange(other, generator=own)
        own.set_state(state)
        layout = scenes.arrange(labels, generator=own)
        x = scenes.paint(layout, generator=own)
        return cls(x, labels, labels, layout_maps(layout), layout_maps(wrong))

    def batches(self, batch: int, *, seed: int) -> Callable[[int], tuple[Tensor, Tensor, Tensor]]:
        """k -> x, t, w for `train_text_gan`: half of the w are nearly right, the others belong to another picture."""

        def batches(k: int) -> tuple[Tensor, Tensor, Tensor]:
            own = runtime.generator((seed * 1_000_003 + k) % 2**63)
            rows = torch.randint(len(self.x), (batch,), generator=own)
            right = self.right[rows]
            others = right[next_false(self.told[rows], self.labels[rows])]
            close = (torch.rand(batch, generator=own) < 0.5).view(-1, *[1] * (right.dim() - 1))
            return self.x[rows], right, torch.where(close, self.wrong[rows], others)

        return batches


def start_boxes(*, steps: int, seed: int, latent: int = 16, width: int = 32, lr: float = 4e-4) -> Gan:
    """A box-conditional run before its first step; `train_text_gan` trains it on `SceneLesson.of_layouts(...).batches(...)`."""
    with runtime.seeded(seed):
        G, D = BoxGenerator(latent=latent, width=width), BoxDiscriminator(width=width)
    config = GanConfig(
        steps=steps, latent=latent, lr_d=lr, lr_g=lr, betas=(0.0, 0.99), ema=0.998, decay_from=0.5, fresh_noise=False,
        channels_last=True, seed=seed,
    )  # fmt: skip
    return Gan(G, D, config, game=losses.HINGE, fabric=runtime.fabric(precision=runtime.precision()))


def load_scene_encoder(*, data: Path | None = None) -> TextEncoder:
    """The shipped encoder of sentences about scenes (benchmarks/train_scenes.py), in eval mode, its weights frozen."""
    with runtime.seeded(0):
        net = TextEncoder(**shipped.row("scenes/text_encoder", data)["config"])
    shipped.load("scenes/text_encoder", net, data=data)
    return net


def load_scene_generator(*, data: Path | None = None) -> TextGenerator:
    """The shipped generator that is told sentences, in eval mode, its weights frozen."""
    with runtime.seeded(0):
        net = TextGenerator(**shipped.row("scenes/sentences", data)["config"])
    shipped.load("scenes/sentences", net, data=data)
    return net

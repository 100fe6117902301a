"""Train what lecture 8.4 ships, and write it to data/scenes/.

    python benchmarks/train_scenes.py encoder          # the sentences' encoder: a minute of one core
    python benchmarks/train_scenes.py sentences        # the generator that is told sentences, at 32 px: two
    python benchmarks/train_scenes.py boxes            # the generator that is told boxes, at 32 px: one and a half
    python benchmarks/train_scenes.py boxes --steps 20 --data /some/folder         # a folder with a manifest.json

The second reads what the first has written. The manifest keeps the figures, by the oracle: attributes, relation, whole captions,
exchanged colours; for the encoder the share of captions nearest to their own among a picture and one nearly alike.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from coursekit import runtime, shipped
from coursekit.datasets import scenes
from coursekit.metrics.scenes import scene_accuracy
from coursekit.models.joint_embedding import PictureEncoder, TextEncoder
from coursekit.models.layout import layout_maps
from coursekit.oracles import oracle
from coursekit.training.gan import Gan
from coursekit.training.joint_embedding import train_together
from coursekit.training.scenes import (
    RECIPE,
    SceneLesson,
    load_scene_encoder,
    nearly,
    sibling_pairs,
    start_boxes,
)
from coursekit.training.text_to_image import start, train_text_gan

STEPS = {"encoder": 1600, "sentences": 1800, "boxes": 900}
BATCH = {"sentences": 32, "boxes": 32}
FRESH_SEED = 1_000_033


def encoder(seed: int, steps: int, data: Path, command: str) -> None:
    began = time.process_time()
    with runtime.seeded(seed):
        text, picture = TextEncoder(width=32), PictureEncoder(width=128)
    batches = sibling_pairs(20_000, seed, see=oracle("scenes").features)
    for record in train_together(text, picture, batches, steps=steps):
        if record.step % 200 == 0:
            print(f"step {record.step}: loss {record.loss:.3f}, hits {record.hits:.3f}, "
                  f"{time.process_time() - began:.0f} CPU s", flush=True)  # fmt: skip
    figures = {"told_apart": told_apart(text, picture)}
    print(figures)
    shipped.save(
        "scenes/text_encoder", text, command=command, seed=seed, seconds=time.process_time() - began, figures=figures,
        config={"features": text.features, "width": 32}, data=data,
    )  # fmt: skip


@torch.no_grad()
def told_apart(text: TextEncoder, picture: PictureEncoder, n: int = 1000) -> float:
    """Share of captions nearer to their own picture than to one that differs in one told respect."""
    own = runtime.generator(FRESH_SEED)
    labels = scenes.sample(n, own)
    texts = scenes.caption(labels, generator=own)
    other = nearly(labels, scenes.facts(texts), own)
    near, far = (picture(oracle("scenes").features(scenes.WORLD.render(y, generator=own))) for y in (labels, other))
    codes = text.embed(texts)
    return float(((codes * near).sum(1) > (codes * far).sum(1)).double().mean())


def sentences(seed: int, steps: int, data: Path, command: str) -> None:
    began = time.process_time()
    text = load_scene_encoder(data=data)
    lesson = SceneLesson.of_sentences(text, renders=min(12_000, 100 * steps), seed=seed)
    gan = start(RECIPE, size=32, steps=steps, seed=seed)
    own = runtime.generator(FRESH_SEED)
    labels = scenes.sample(1000, own)
    texts = scenes.caption(labels, generator=own)
    told, codes = scenes.facts(texts), text.embed(texts)
    for record in train_text_gan(gan, lesson.batches(BATCH["sentences"], seed=seed)):
        if (record.step + 1) % 450 == 0:
            _say(record.step, began, scene_accuracy(told, oracle("scenes").read(gan.sample(1000, codes))))
    figures = scene_accuracy(told, oracle("scenes").read(gan.sample(1000, codes)))._asdict()
    _save(gan, "sentences", RECIPE.generator(32), figures, seed, time.process_time() - began, data, command)


def boxes(seed: int, steps: int, data: Path, command: str) -> None:
    began = time.process_time()
    lesson = SceneLesson.of_layouts(renders=min(10_000, 100 * steps), seed=seed)
    gan = start_boxes(steps=steps, seed=seed, width=24)
    own = runtime.generator(FRESH_SEED)
    labels = scenes.sample(1000, own)
    maps = layout_maps(scenes.arrange(labels, generator=own))
    for record in train_text_gan(gan, lesson.batches(BATCH["boxes"], seed=seed)):
        if (record.step + 1) % 300 == 0:
            _say(record.step, began, scene_accuracy(labels, oracle("scenes").read(gan.sample(1000, maps))))
    figures = scene_accuracy(labels, oracle("scenes").read(gan.sample(1000, maps)))._asdict()
    _save(gan, "boxes", {"latent": 16, "width": 24}, figures, seed, time.process_time() - began, data, command)


def _say(step: int, began: float, accuracy: object) -> None:
    print(f"step {step + 1}, {time.process_time() - began:.0f} CPU s: {accuracy}", flush=True)


def _save(
    gan: Gan,
    name: str,
    config: dict[str, int | bool],
    figures: dict[str, float],
    seed: int,
    spent: float,
    data: Path,
    command: str,
) -> None:
    assert gan.average is not None
    shipped.save(
        f"scenes/{name}", gan.average, command=command, seed=seed, seconds=spent, figures=figures, config=config, data=data,
    )  # fmt: skip
    print(figures, f"{spent:.0f} CPU s")


PARTS = {"encoder": encoder, "sentences": sentences, "boxes": boxes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--data", type=Path, default=None)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    steps = asked.steps or STEPS[asked.part]
    changed = "".join(f" --{name} {value}" for name, value in (("seed", asked.seed), ("steps", asked.steps)) if value)
    command = f"python benchmarks/train_scenes.py {asked.part}{changed}"
    PARTS[asked.part](asked.seed, steps, asked.data or shipped.folder(), command)


if __name__ == "__main__":
    main()

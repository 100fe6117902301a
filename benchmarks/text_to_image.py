"""How well do pictures agree with their captions? The shipped model, one trained here, and what each ingredient is worth.

    python benchmarks/text_to_image.py                      # about ten minutes: two trainings of 4 CPU-minutes, side by side
    python benchmarks/text_to_image.py --json
    python benchmarks/text_to_image.py --ablation           # 10 recipes x 3 seeds, a quarter of --seconds each, to data/results/
    python benchmarks/text_to_image.py --picture docs/img/birds64.png

Captions are fresh and worded in a form that neither encoder nor generator has read; facts are read from the pictures by the
world's oracle, and only what a caption tells is counted.

caption_accuracy       of the shipped 64 px model: share of all facts told that the pictures show
held_out_combinations  the same on birds whose colours of body and wing never met in training
trained_32px           of a 32 px model trained here within --seconds of CPU time on one core (the encoder is the shipped one)
without_matching       of the same recipe and time without the matching-aware term
recall_at_1            caption to picture among 100 pictures, captions that tell everything
spread, styles         at one caption: distance of two pictures over that of two renders; share of the kinds of style shown
copies, nearest_ratio  share of pictures that are near copies of a render; median distance to the nearest, in typical ones
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import statistics
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from coursekit import files, plots, runtime, shipped
from coursekit.datasets import birds
from coursekit.metrics.sets import memorisation
from coursekit.models.joint_embedding import load_picture_encoder, load_text_encoder
from coursekit.models.text_to_image import load_text_generator
from coursekit.training.captioned import Lesson, sample_birds
from coursekit.training.gan import within
from coursekit.training.text_measures import accuracy, recall_at_1, variety
from coursekit.training.text_to_image import INGREDIENTS, RECIPE_32, start, train_text_gan

SEEDS = (0, 1, 2)
ADDED: dict[str, dict[str, Any]] = {
    "with interpolated captions": {"interpolated": 1.0},
    "with interpolated captions, without matching-aware term": {"interpolated": 1.0, "matching": False},
    "with twins": {"twins": True},
}
"""What may be added to RECIPE_32: GAN-INT-CLS, GAN-INT and pairs of pictures."""
ARMS = ("", *INGREDIENTS, *ADDED)
CAPTION = "a small red bird with black wings and a short beak"


def trained(change: str, seconds: float, seed: int, *, prepared: bool = False) -> dict[str, float]:
    """RECIPE_32 (without an ingredient or with something added, where one is named) after `seconds` of CPU time.

    Rendering the lesson and reading its captions count, unless `prepared`.
    """
    torch.set_num_threads(1)
    began = time.process_time()
    if change in INGREDIENTS:
        recipe = RECIPE_32.without(change)
    else:
        recipe = dataclasses.replace(RECIPE_32, **ADDED.get(change, {}))
    encoder = load_text_encoder()
    lesson = Lesson.of(encoder, renders=4000 if prepared else 8000, size=32, seed=seed, twins=recipe.twins)
    if prepared:
        began = time.process_time()
    gan = start(recipe, size=32, steps=10**6, seed=seed, on="cpu")
    records = train_text_gan(
        gan,
        lesson.batches(recipe.batch, seed=seed),
        matching=recipe.matching,
        interpolated=recipe.interpolated,
        r1=recipe.r1,
    )
    for _ in within(gan, records, seconds - (time.process_time() - began)):
        pass
    spent = time.process_time() - began
    judged = 400 if prepared else 1000
    seen, unseen = (accuracy(gan.sample, encoder, n=judged, unseen=flag) for flag in (False, True))
    spread = variety(gan.sample, encoder)
    return {
        "facts": seen.facts, "captions": seen.captions, "held_out": unseen.facts, "spread": spread.spread,
        "styles": spread.styles, "steps": gan.step, "cpu_seconds": spent,
    }  # fmt: skip


def draw(n: int, t: Tensor, *, seed: int) -> Tensor:
    """Pictures by the shipped model."""
    G = load_text_generator()
    with torch.no_grad():
        return G(torch.randn(n, G.latent, generator=runtime.generator(seed)), t)


def copies(n: int = 500) -> dict[str, float]:
    """Are pictures copies of renders? (By `memorisation` in coarse pixels, against 4,000 renders of the lesson's seed.)"""
    own = runtime.generator(5)
    fake = draw(n, load_text_encoder().embed([CAPTION]).expand(n, -1), seed=6)
    seen = birds.render(sample_birds(4000, generator=own), size=64, generator=own)
    found = memorisation(small(fake), small(seen))
    return {"copies": found.share, "nearest_ratio": found.ratio}


def small(x: Tensor) -> Tensor:
    """Pixels at a quarter of the size: distances that do not hang on a shift by one."""
    return torch.nn.functional.avg_pool2d(x, 4).flatten(1)


def shipped_model() -> dict[str, Any]:
    text, picture = load_text_encoder(), load_picture_encoder()
    return {
        "caption_accuracy": accuracy(draw, text, n=2000).facts,
        "whole_captions": accuracy(draw, text, n=2000).captions,
        "held_out_combinations": accuracy(draw, text, n=2000, unseen=True).facts,
        "recall_at_1": recall_at_1(text, picture),
        **variety(draw, text)._asdict(),
        **copies(),
    }


def ablation(pool: ProcessPoolExecutor, seconds: float) -> dict[str, Any]:
    """Each ingredient left out, three seeds, equal CPU time."""
    jobs: dict[tuple[str, int], Future[dict[str, float]]] = {
        (name, seed): pool.submit(trained, name, seconds, seed, prepared=True) for seed in SEEDS for name in ARMS
    }
    rows: dict[str, Any] = {}
    for name in ARMS:
        found = [jobs[name, seed].result() for seed in SEEDS]
        rows[name or "everything"] = {
            key: [round(f[key], 4) for f in found] for key in ("facts", "held_out", "spread", "styles", "steps")
        }
    return {"seconds": seconds, "seeds": list(SEEDS), "rows": rows}


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(some) for key, some in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=240, help="CPU seconds of each training")
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--picture", type=Path, help="where to write pictures of eight captions, as PNG")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.picture:
        grid(options.picture)
        return 0
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        if options.ablation:
            table = ablation(pool, options.seconds / 4)
            path = shipped.folder() / "results" / "text_to_image.json"
            files.replace(path, json.dumps(table, indent=1) + "\n")
            for name, row in table["rows"].items():
                mean, low, high = statistics.mean(row["facts"]), min(row["facts"]), max(row["facts"])
                print(f"{'without ' * (name in INGREDIENTS) + name:56} {mean:.3f} ({low:.3f} to {high:.3f})")
            return 0
        arms = {name: pool.submit(trained, name, options.seconds, 0) for name in ("", "matching-aware term")}
        result = shipped_model()
        result["trained_32px"] = arms[""].result()["facts"]
        result["without_matching"] = arms["matching-aware term"].result()["facts"]
        result["trained"] = {name or "everything": arm.result() for name, arm in arms.items()}
    result = rounded(result)
    print(json.dumps(result) if options.json else json.dumps(result, indent=1))
    return 0


def grid(path: Path, columns: int = 8) -> None:
    """Eight captions, one row each."""
    captions = [
        CAPTION,
        "this bird is red with white and has a very short beak",
        "a large bird that has a blue body, yellow wings and a long beak",
        "this small bird has a pink breast and crown, and black primaries",
        "looking to the left, a green bird that has a white head",
        "a big grey bird with a red crown, facing right",
    ]
    codes = load_text_encoder().embed(captions)
    x = torch.cat([draw(columns, t.expand(columns, -1), seed=k) for k, t in enumerate(codes)])
    files.replace(path, plots.png(plots.pictures(x, cols=columns, width=8), colours=256))


if __name__ == "__main__":
    sys.exit(main())

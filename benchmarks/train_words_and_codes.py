"""Train what lecture 8.3 loads, and write it to data/text/.

    python benchmarks/train_words_and_codes.py                     # everything, with the settings of the shipped files
    python benchmarks/train_words_and_codes.py matcher --seed 1    # words and regions, by the matching loss; seeds 0, 1, 2
    python benchmarks/train_words_and_codes.py --steps 20 --data /some/folder      # a folder with a manifest.json

One thread of one core. Figures of the manifest are measured with fresh renders and captions.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from coursekit import runtime, shipped
from coursekit.datasets import birds, worlds
from coursekit.datasets.text import Vocabulary
from coursekit.datasets.world import PictureWorld, Sample
from coursekit.losses import HINGE
from coursekit.metrics.attributes import attribute_accuracy, caption_accuracy
from coursekit.models.vq import CodePrior, VQAutoencoder, load_autoencoder, perplexity
from coursekit.models.word_attention import SentenceDiscriminator, WordGenerator, WordMatcher, load_matcher, told
from coursekit.oracles import oracle
from coursekit.runtime import generator, seeded, threads
from coursekit.training.classify import shuffled
from coursekit.training.gan import Gan, GanConfig
from coursekit.training.text_to_image import train_text_gan
from coursekit.training.vq import prior_loss, train_autoencoder, train_prior
from coursekit.training.word_attention import fitting, sentence_scores, train_matcher, word_scores

POOL = 12_000
HELD_OUT_SEED = 1_000_003
MATCHER_STEPS, MATCHER_BATCH = 1000, 32
VQ_STEPS, PRIOR_STEPS = 3000, 2000


def world() -> PictureWorld:
    found = worlds.world("birds")
    assert isinstance(found, PictureWorld)
    return found


def draw(n: int, seed: int) -> tuple[Sample, list[str], Tensor, Tensor]:
    """A sample of birds, its captions, pictures and labels."""
    sample = world().draw(n, generator=generator(seed))
    assert sample.captions is not None and sample.labels is not None and isinstance(sample.x, Tensor)
    return sample, sample.captions, sample.x, sample.labels


def words() -> tuple[str, ...]:
    return Vocabulary.of(draw(4000, HELD_OUT_SEED + 1)[1]).tokens[4:]


Made = tuple[nn.Module, dict[str, float], dict[str, Any]]


def matcher(seed: int, steps: int | None) -> Made:
    _, captions, x, labels = draw(POOL, seed)
    facts = [birds.parse(text) for text in captions]
    pick = generator(seed + 1)

    def lesson(k: int) -> tuple[Tensor, list[str], Tensor]:
        at = torch.randint(POOL, (MATCHER_BATCH,), generator=pick)
        rows = at.tolist()
        also = fitting([facts[n] for n in rows], labels[at], world().names)
        return x[at], [captions[n] for n in rows], also

    with seeded(seed):
        net = WordMatcher(words())
    for record in train_matcher(net, lesson, steps=steps or MATCHER_STEPS):
        if (record.step + 1) % 250 == 0:
            print(f"matcher, seed {seed}, step {record.step + 1}: loss {record.loss:.2f}", flush=True)
    net.half().float()
    return net, {"recall_at_1": recall(net)}, {"words": list(words()), "features": 48, "width": 24}


@torch.no_grad()
def recall(net: WordMatcher) -> float:
    """Caption to picture among 100: how often the best picture has all that the caption tells; 1,000 captions."""
    _, captions, x, labels = draw(1000, HELD_OUT_SEED)
    right = 0
    for part in torch.arange(1000).split(100):
        texts = [captions[n] for n in part.tolist()]
        text, batch = net.read(texts)
        picture = net.picture(x[part])
        best = (word_scores(text, picture, batch.mask) + sentence_scores(text, picture)).argmax(1)
        fits = fitting([birds.parse(text) for text in texts], labels[part], world().names)
        right += int(fits[torch.arange(100), best].sum())
    return right / 1000


def vq(seed: int, steps: int | None) -> Made:
    """The autoencoder; the shipped matcher of seed 0 says which copies look alike."""
    _, _, x, _ = draw(POOL, seed)
    batches = shuffled(x, batch=32, seed=seed)
    perceive = load_matcher(0).picture
    config = {"k": 256, "features": 16, "width": 24}
    with seeded(seed):
        net = VQAutoencoder(**config)
    for record in train_autoencoder(
        net, lambda k: batches(k)[0], steps=steps or VQ_STEPS, perceive=lambda x: perceive(x).parts, seed=seed
    ):
        if (record.step + 1) % 250 == 0:
            print(f"autoencoder, step {record.step + 1}: loss {record.loss:.4f}", flush=True)
    net.half().float()
    _, _, x, labels = draw(2000, HELD_OUT_SEED)
    codes = net.codes(x)
    copies = torch.cat([net.paint(part) for part in codes.split(500)]).detach()
    figures = {
        "psnr": 10 * math.log10(4 / float((copies - x).square().mean())),
        "perplexity": perplexity(codes, net.book.k),
        "attributes": float(attribute_accuracy(oracle("birds").read(copies), labels).mean()),
    }
    return net, figures, config


PAINTER_STEPS = {"painter_sentence": 2800, "painter_words": 2600}
"""As many as each takes in the same CPU time, about three minutes each."""
PAINTER_LR = 9e-4


def painter(seed: int, steps: int | None, *, attend: bool) -> Made:
    """A generator of the shipped matcher's sentences, with or without attention to its words."""
    reader = load_matcher(0)
    sample, captions, x, labels = draw(POOL, seed)
    facts = [birds.parse(text) for text in captions]
    codes = torch.cat([told(reader, captions[k : k + 500]) for k in range(0, POOL, 500)])
    pick = generator(seed + 1)

    def batches(k: int) -> tuple[Tensor, Tensor, Tensor]:
        at = torch.randint(POOL, (32,), generator=pick)
        fits = fitting([facts[n] for n in at.tolist()], labels[at], world().names)
        # The wrong text of a picture: of those in the batch that do not fit it, one by lot (each batch of 32 has some).
        return x[at], codes[at], codes[at[torch.multinomial((~fits).float().T, 1, generator=pick)[:, 0]]]

    config = {"attend": attend, "text": 48, "latent": 24, "width": 16, "fine": 16, "code": 24}
    with seeded(seed):
        G, D = WordGenerator(**config), SentenceDiscriminator(text=48, width=24, fine=16)
    run = GanConfig(
        steps=steps or PAINTER_STEPS["painter_words" if attend else "painter_sentence"], latent=24,
        lr_d=PAINTER_LR, lr_g=PAINTER_LR, betas=(0.0, 0.99), ema=0.998, decay_from=0.5, fresh_noise=False,
        channels_last=True, measure_every=0, seed=seed,
    )  # fmt: skip
    gan = Gan(G, D, run, game=HINGE, fabric=runtime.fabric(on="cpu", precision=runtime.precision("cpu")))
    start = time.process_time()
    for record in train_text_gan(gan, batches, r1=1.0, measure=lambda gan: paint_accuracy(gan.sample, reader)):
        if record.measure is not None:
            print(
                f"attend={attend}, step {record.step + 1}: facts {record.measure:.3f}, {time.process_time() - start:.1f} CPU s",
                flush=True,
            )
    best = gan.average
    assert isinstance(best, WordGenerator)
    best.eval().half().float()
    figures = {"facts": paint_accuracy(lambda z, t, seed: best(noise(z, 24, seed), t).detach(), reader)}
    return best, figures, config


def noise(n: int, latent: int, seed: int) -> Tensor:
    return torch.randn(n, latent, generator=generator(seed))


def paint_accuracy(sample: Callable[..., Tensor], reader: WordMatcher) -> float:
    """Share of the facts of 1,000 fresh captions that the oracle reads from their pictures."""
    captions = draw(1000, HELD_OUT_SEED)[1]
    x = torch.cat([
        sample(250, told(reader, captions[k : k + 250]).detach(), seed=HELD_OUT_SEED + k) for k in range(0, 1000, 250)
    ])  # fmt: skip
    return caption_accuracy(captions, oracle("birds").read(x), birds.NAMES, birds.parse).facts


def prior(seed: int, steps: int | None) -> Made:
    """The writer of the shipped autoencoder's codes."""
    painter = load_autoencoder()
    _, captions, x, labels = draw(2 * POOL, seed)
    codes = painter.codes(x).flatten(1)
    again = world().captions(labels, generator=generator(seed + 7))
    pick = generator(seed + 1)

    def batches(k: int) -> tuple[Tensor, list[str]]:
        at = torch.randint(len(codes), (32,), generator=pick)
        return codes[at], [(captions, again)[k % 2][n] for n in at.tolist()]

    config = {"words": list(words()), "k": painter.book.k, "features": 56, "layers": 3, "heads": 4}
    with seeded(seed):
        net = CodePrior(**config)
    for record in train_prior(net, batches, steps=steps or PRIOR_STEPS):
        if (record.step + 1) % 250 == 0:
            print(f"prior, step {record.step + 1}: {record.loss:.3f} nats a code", flush=True)
    net.half().float()
    _, captions, x, _ = draw(1000, HELD_OUT_SEED)
    with torch.no_grad():
        held = torch.stack([
            prior_loss(net, painter.codes(x[k : k + 100]).flatten(1), captions[k : k + 100]) for k in range(0, 1000, 100)
        ])  # fmt: skip
        written = painter.paint(net.write(captions, generator=generator(seed + 2)))
    read = oracle("birds").read(written)
    figures = {
        "nats_a_code": float(held.mean()),
        "facts": caption_accuracy(captions, read, birds.NAMES, birds.parse).facts,
    }
    return net, figures, config


MAKE: dict[str, Callable[[int, int | None], Made]] = {
    "matcher": matcher, "vq": vq, "prior": prior,
    "painter_sentence": lambda seed, steps: painter(seed, steps, attend=False),
    "painter_words": lambda seed, steps: painter(seed, steps, attend=True),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", choices=[*MAKE, []], help="default: all")
    parser.add_argument("--seed", type=int, help="default: 0; of the matcher 0, 1 and 2")
    parser.add_argument("--steps", type=int, help="default: as this file says")
    parser.add_argument("--data", type=Path, default=None, help="default: the repository's data/")
    options = parser.parse_args()
    for name in options.networks or MAKE:
        seeds = [options.seed] if options.seed is not None else [0, 1, 2] if name == "matcher" else [0]
        for seed in seeds:
            start = time.process_time()
            with threads(1):
                net, figures, config = MAKE[name](seed, options.steps)
            command = f"python benchmarks/train_words_and_codes.py {name} --seed {seed}"
            command += f" --steps {options.steps}" if options.steps else ""
            file = f"text/{name}_{seed}" if name == "matcher" else f"text/{name}"
            path = shipped.save(
                file, net, command=command, seed=seed, seconds=time.process_time() - start, figures=figures,
                config=config, data=options.data,
            )  # fmt: skip
            print(f"{path.name}: {path.stat().st_size} bytes", {k: round(v, 4) for k, v in figures.items()}, flush=True)


if __name__ == "__main__":
    main()

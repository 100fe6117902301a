"""Train what unit 08 ships, and write it to data/text/.

    python benchmarks/train_text.py encoders            # text and picture encoder of birds: about four minutes of one core
    python benchmarks/train_text.py words               # the text encoder learns words beyond the grammar: one minute
    python benchmarks/train_text.py birds64             # the text-conditional generator at 64 px: about thirty
    python benchmarks/train_text.py style64             # its style encoder: four
    python benchmarks/train_text.py encoders --steps 20 --data /some/folder        # a folder with a manifest.json

In this order: each reads what the one before has written. The manifest keeps the figures: retrieval among 100 pictures in the
wording kept from training, caption accuracy by the oracle in that wording on seen and on held-out combinations of colours.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from coursekit import runtime, shipped
from coursekit.datasets import birds
from coursekit.models.joint_embedding import (
    PictureEncoder,
    TextEncoder,
    characters,
    load_picture_encoder,
    load_text_encoder,
)  # fmt: skip
from coursekit.models.text_to_image import StyleEncoder, load_text_generator
from coursekit.oracles import oracle
from coursekit.training.captioned import SEEN_FORMS, Lesson, held_out, sample_birds
from coursekit.training.joint_embedding import also_true, train_together
from coursekit.training.loop import train
from coursekit.training.text_measures import accuracy, recall_at_1, variety
from coursekit.training.text_to_image import RECIPE_64, start, train_text_gan

STEPS = {"encoders": 4000, "words": 800, "birds64": 6000, "style64": 1500}
COMMAND = "python benchmarks/train_text.py"


FILLERS = ("that", "has", "the", "this", "it", "which", "there", "also", "very", "quite")
"""Words that say nothing by themselves. Strewn over captions, they teach the encoder not to count on their places."""


def siblings(n: int, own: torch.Generator) -> birds.Attributes:
    """n birds in pairs (2 i, 2 i + 1) that differ in one attribute: what a caption must tell for the two to be told apart."""
    first = sample_birds(n // 2, generator=own).stack()
    second = first.clone()
    counts = torch.tensor([len(values) for values in birds.NAMES.values()])
    column = torch.randint(len(counts), (len(first),), generator=own)
    rows = torch.arange(len(first))
    shift = 1 + (torch.rand(len(first), generator=own) * (counts[column] - 1)).long()
    second[rows, column] = (second[rows, column] + shift) % counts[column]
    kept = ~held_out(second)  # else the sibling is the bird itself
    second = torch.where(kept.unsqueeze(1), second, first)
    return birds.Attributes(*torch.stack([first, second], 1).flatten(0, 1).unbind(1))


def strewn(text: str, own: random.Random) -> str:
    """Half of the captions as they are; else with a clause moved to the front and up to two fillers put in.

    By chance one in a thousand becomes "... bird that has ...", as in the form kept for the test.
    """
    if own.random() < 0.5:
        return text
    clauses = text.split(", ")
    if len(clauses) > 1 and clauses[-1].split()[0] in ("facing", "looking", "turned"):
        clauses = [clauses[-1], *clauses[:-1]]
    words = ", ".join(clauses).split()
    for _ in range(own.choice((0, 1, 2))):
        words.insert(own.randrange(len(words) + 1), own.choice(FILLERS))
    return " ".join(words)


def pairs(n: int, seed: int) -> Callable[[int], tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Batches of 64 pairs of siblings: features, ids, lengths, fits.

    Three captions of each bird tell two to five facts, a fourth tells one.
    """
    own, dice = runtime.generator(seed), random.Random(seed)
    flock = siblings(n, own)
    labels, seen = flock.stack(), oracle("birds").features(birds.render(flock, generator=own))
    texts = [birds.caption(flock, forms=SEEN_FORMS, generator=own) for _ in range(3)]
    single = [""] * n
    for rows, name in zip(torch.randperm(n, generator=own).tensor_split(len(birds.NAMES)), birds.NAMES):
        told = birds.caption(flock.take(rows), facts=[name], forms=SEEN_FORMS, generator=own)
        for row, text in zip(rows.tolist(), told):
            single[row] = text
    texts.append(single)
    facts = [birds.facts(some) for some in texts]
    texts = [[strewn(text, dice) for text in some] for some in texts]

    def batches(k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        first = 2 * torch.randint(n // 2, (64,), generator=runtime.generator(seed * 1_000_003 + k))
        rows, which = torch.cat([first, first + 1]), k % len(texts)
        read = characters([texts[which][row] for row in rows.tolist()])
        return seen[rows], read.ids, read.lengths, also_true(facts[which][rows], labels[rows])

    return batches


def encoders(seed: int, steps: int, data: Path, command: str) -> None:
    began = time.process_time()
    with runtime.seeded(seed):
        text, picture = TextEncoder(), PictureEncoder()
    for record in train_together(text, picture, pairs(20_000, seed), steps=steps):
        if record.step % 250 == 0:
            print(f"step {record.step}: loss {record.loss:.3f}, hits {record.hits:.3f}", flush=True)
    figures = {"recall_at_1": recall_at_1(text, picture)}
    spent = time.process_time() - began
    about = {"command": command, "seed": seed, "seconds": spent, "data": data}
    shipped.save("text/text_encoder", text, config={"features": text.features}, figures=figures, **about)
    shipped.save("text/picture_encoder", picture, config={"features": picture.features}, figures=figures, **about)
    print(figures, f"{spent:.0f} CPU s")


SYNONYMS = {
    r"\bwing feathers\b": ("primaries", "wings", "secondaries"),
    r"\bwings\b": ("primaries", "primaries and secondaries", "wings"),
    r"\b(?:head|crown)\b": ("crest", "cap", "head"),
    r"\b(?:belly|breast|underside)\b": ("chest", "breast", "belly"),
    r"\bbird\b": ("fellow", "bird"),
    r"\bis (?=[a-z]+ and has)": ("is almost all ", "is mostly ", "is "),
}
"""Words that the parser of captions knows and the grammar does not write; as people write them."""


STRANGE = ("cheek patch", "cheek patches", "eye ring", "tarsus", "superciliary", "eyebrow")
"""Parts that the world has no picture for: what is said of them is to be passed over."""


def reworded(text: str, dice: random.Random) -> str:
    """The same facts in words that the grammar does not use."""
    # "a pink crown and a pink breast" becomes "a pink crown and breast"
    shared = r"\ba (\w+) (head|crown|belly|breast|underside)(?: and|,) a \1 (head|crown|belly|breast|underside)\b"
    text = re.sub(shared, r"a \1 \2 and \3", text)
    for pattern, words in SYNONYMS.items():
        if dice.random() < 0.5:
            text = re.sub(pattern, dice.choice(words), text)
    if dice.random() < 0.3:
        link = dice.choice((", and", " and", ", with", ", and a", " and has a"))
        text = f"{text}{link} {dice.choice(list(birds.COLOURS))} {dice.choice(STRANGE)}"
    return text


def words(seed: int, steps: int, data: Path, command: str) -> None:
    """The text encoder learns more words: reworded captions get the codes that it gave to the plain ones."""
    began = time.process_time()
    teacher, text = load_text_encoder(data=data), load_text_encoder(data=data)
    text.requires_grad_(True)
    own, dice = runtime.generator(seed), random.Random(seed)
    labels = sample_birds(12_000, generator=own).stack()
    labels[::3, 3] = labels[::3, 2]  # shared colours are rare otherwise
    flock = birds.Attributes(*labels.unbind(1))
    plain = birds.caption(flock, forms=SEEN_FORMS, generator=own)
    others = [strewn(reworded(some, dice), dice) for some in plain]
    goal = teacher.embed(plain)

    def loss(step: int) -> Tensor:
        rows = torch.randint(len(plain), (64,), generator=own)
        read = characters([(others if k % 4 else plain)[row] for k, row in enumerate(rows.tolist())])
        return (text(read.ids, read.lengths) - goal[rows]).square().sum(1).mean()

    records = train(text.parameters(), loss, steps=steps, lr=1e-3, label="words", every=100)
    print(", ".join(f"{record.loss:.3f}" for record in records))
    figures = {"recall_at_1": recall_at_1(text.eval(), load_picture_encoder(data=data))}
    shipped.save(
        "text/text_encoder", text, config={"features": text.features}, figures=figures, command=command, seed=seed,
        seconds=time.process_time() - began, data=data,
    )  # fmt: skip
    print(figures)


def birds64(seed: int, steps: int, data: Path, command: str) -> None:
    began = time.process_time()
    encoder = load_text_encoder(data=data)
    lesson = Lesson.of(encoder, renders=min(12_000, 100 * steps), size=64, seed=seed)
    gan = start(RECIPE_64, size=64, steps=steps, seed=seed)
    for record in train_text_gan(gan, lesson.batches(RECIPE_64.batch, seed=seed), r1=RECIPE_64.r1):
        if (record.step + 1) % 500 == 0:
            facts = accuracy(gan.sample, encoder, n=300).facts
            found, spent = variety(gan.sample, encoder), time.process_time() - began
            print(
                f"step {record.step + 1}: {facts:.3f}, variety {found.spread:.2f}, styles {found.styles:.2f}, {spent:.0f} CPU s",
                flush=True,
            )
    figures = {
        "caption_accuracy": accuracy(gan.sample, encoder).facts,
        "held_out_combinations": accuracy(gan.sample, encoder, unseen=True).facts,
        **variety(gan.sample, encoder)._asdict(),
    }
    assert gan.average is not None
    shipped.save(
        "text/birds64", gan.average, command=command, seed=seed, seconds=time.process_time() - began, figures=figures,
        config=RECIPE_64.generator(64), data=data,
    )  # fmt: skip
    print(figures)


def style64(seed: int, steps: int, data: Path, command: str) -> None:
    """S descends E |z - S(G(z, t))|^2 (Reed et al. 2016b, section 4.4)."""
    began = time.process_time()
    G, encoder = load_text_generator(data=data), load_text_encoder(data=data)
    with runtime.seeded(seed):
        S = StyleEncoder(latent=G.latent, size=64)
    own = runtime.generator(seed)
    codes = encoder.embed(birds.caption(sample_birds(4000, generator=own), generator=own))

    def loss(step: int) -> Tensor:
        z = torch.randn(32, G.latent, generator=own)
        with torch.no_grad():
            x = G(z, codes[torch.randint(len(codes), (32,), generator=own)])
        return (z - S(x)).square().mean()

    records = train(S.parameters(), loss, steps=steps, lr=1e-3, label="style64", every=100)
    figures = {"error": sum(r.loss for r in records[-3:]) / 3}
    shipped.save(
        "text/style64", S.eval(), command=command, seed=seed, seconds=time.process_time() - began, figures=figures,
        config={"latent": G.latent, "size": 64}, data=data,
    )  # fmt: skip
    print(figures)


PARTS = {"encoders": encoders, "words": words, "birds64": birds64, "style64": style64}


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
    PARTS[asked.part](asked.seed, steps, asked.data or shipped.folder(), f"{COMMAND} {asked.part}{changed}")


if __name__ == "__main__":
    main()

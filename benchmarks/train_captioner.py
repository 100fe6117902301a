"""Train the networks that the lecture "Language and captions" loads, and write them to data/unit01/.

    python benchmarks/train_captioner.py                 # all three, with the seeds and steps of the shipped files
    python benchmarks/train_captioner.py tell            # one of: tell, attend, xml
    python benchmarks/train_captioner.py tell --steps 50 --out /some/folder

- ``tell``: captioner whose writer is given one summary of the picture (after Vinyals et al. 2015);
- ``attend``: captioner whose writer looks at a 4 x 4 grid before each word (after Xu et al. 2015);
- ``xml``: a character model of tags nested at most three deep (after Jozefowicz et al. 2015).

Weights are stored as float16 (they are loaded as float32). Each file's metadata holds its vocabulary, seed, steps and
command. One thread, so that a run is repeatable; a quiet core needs about 2 minutes for each
captioner and less than one for the tags.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit import shipped
from coursekit.datasets import birds
from coursekit.datasets.sequences import xml
from coursekit.datasets.text import Vocabulary
from coursekit.models.captioner import Captioner
from coursekit.models.language import LanguageModel
from coursekit.runtime import generator, seeded, threads

FACTS = ("body", "wing", "head", "belly")
"""What every training caption names: the colours of the four parts."""

STEPS = {"tell": 5000, "attend": 2500, "xml": 4000}
FILES = {"tell": "captioner_tell", "attend": "captioner_attend", "xml": "xml_model"}
DEFAULT_OUT = Path(__file__).resolve().parents[1] / "data" / "unit01"


def descend(net: nn.Module, loss_of: Callable[[], Tensor], *, steps: int, lr: float, label: str) -> None:
    """Adam, clipped at norm 1, the rate falling to 0 along half a cosine."""
    optimiser = torch.optim.Adam(net.parameters(), lr=lr, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: 0.5 * (1 + math.cos(math.pi * s / steps)))
    start = time.monotonic()
    for step in range(1, steps + 1):
        loss = loss_of()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % max(1, steps // 10) == 0:
            print(
                f"{label}: step {step} of {steps}, loss {loss.item():.3f} nats, {time.monotonic() - start:.0f} s",
                flush=True,
            )


def next_token_loss(logits: Tensor, ids: Tensor) -> Tensor:
    """Mean cross-entropy in nats of the tokens after the first; padding does not count."""
    return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=Vocabulary.pad)


def captioner(attention: bool, *, seed: int, steps: int) -> tuple[Captioner, Vocabulary]:
    """Fresh birds in every batch: no picture is seen twice."""
    draw = generator(seed)
    words = Vocabulary.of(birds.caption(birds.sample(5000, generator=draw), facts=FACTS, generator=draw))
    with seeded(seed):
        net = Captioner(len(words), attention=attention)

    def loss() -> Tensor:
        flock = birds.sample(64, generator=draw)
        pictures = birds.render(flock, generator=draw)
        ids = words.batch(birds.caption(flock, facts=FACTS, generator=draw), bos=True, eos=True).ids
        return next_token_loss(net(pictures, ids[:, :-1]), ids)

    descend(net, loss, steps=steps, lr=4e-3 if attention else 3e-3, label="attend" if attention else "tell")
    return net, words


def tags(*, seed: int, steps: int) -> tuple[LanguageModel, Vocabulary]:
    """20,000 documents, in batches of 32."""
    draw = generator(seed)
    documents = xml(20_000, 3, generator=draw)
    characters = Vocabulary.of(documents, level="char")
    ids, lengths, _ = characters.batch(documents, bos=True, eos=True)
    with seeded(seed):
        net = LanguageModel(len(characters))

    def loss() -> Tensor:
        rows = torch.randint(0, len(ids), (32,), generator=draw)
        batch = ids[rows][:, : int(lengths[rows].max())]
        return next_token_loss(net(batch[:, :-1])[0], batch)

    descend(net, loss, steps=steps, lr=1e-2, label="xml")
    return net, characters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", nargs="?", choices=("tell", "attend", "xml", "all"), default="all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help=f"default: {STEPS}")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for which in STEPS if options.which == "all" else (options.which,):
        steps, begun = options.steps or STEPS[which], time.process_time()
        with threads(1):
            if which == "xml":
                net, vocabulary = tags(seed=options.seed, steps=steps)
            else:
                net, vocabulary = captioner(which == "attend", seed=options.seed, steps=steps)
        about = {
            "tokens": json.dumps(vocabulary.tokens[4:]),
            "level": vocabulary.level,
            "seed": str(options.seed),
            "steps": str(steps),
            "command": f"python benchmarks/train_captioner.py {which} --seed {options.seed} --steps {steps}",
        }
        path = options.out / f"{FILES[which]}.safetensors"
        save_file({name: weight.half().contiguous() for name, weight in net.state_dict().items()}, path, metadata=about)
        path.chmod(0o644)  # safetensors writes for the owner only
        if options.out == DEFAULT_OUT:
            seconds = time.process_time() - begun
            shipped.record(path, command=about["command"], seed=options.seed, seconds=seconds, config={"steps": steps})
        print(f"{path.name}: {path.stat().st_size} bytes, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()

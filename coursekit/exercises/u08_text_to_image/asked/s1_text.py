"""## 1. Text as numbers, and one space for both

The encoder of Reed et al. reads a caption character by character, and is trained together with an encoder of pictures until
what belongs together lies together. Retrieval says how well that went.
"""

from __future__ import annotations

from typing import Any

import torch

from coursekit.checks.declare import Findings, Inputs, Law, Part, Question
from coursekit.checks.draws import Rng
from coursekit.exercises.u08_text_to_image.nets import gradient, leaf

# char_one_hot

_COLOURS = ("red", "yellow", "green", "blue", "pink", "brown", "black", "white")


def _draw_chars(rng: Rng) -> Inputs:
    # Without two letters, so that unknown ones occur within words too; shuffled, so that no position is special.
    letters = [c for c in "abcdefghijklmnopqrstuvwxyz ,-" if c not in "kp"]
    alphabet = "".join(letters[int(i)] for i in rng.permutation(len(letters)))
    first, second = rng.choice(_COLOURS[:4]), rng.choice(_COLOURS[:4])
    return {
        "alphabet": alphabet,
        "plain": [f"a {first} bird", f"{second} belly", "beak"[:3]],
        "capitals": [f"A {first.title()} BIRD", f"{second.upper()} Belly"],
        "unknown": [f"a {rng.choice(_COLOURS[4:])} bird, 2", f"dar{rng.integer(2, 9)}k ö {second}"],
        "long": [
            f"this {first} bird has a {second} head",
            "a bird",
            "",
            f"the {second} bird has a {first} crown and tail",
        ],
        "length": 16 + rng.integer(2, 6),
    }


def _one_hot_of(name: str) -> Any:
    def probe(answer: Any, inputs: Inputs) -> Findings:
        codes = answer(inputs[name], inputs["alphabet"], inputs["length"])
        return {"codes": codes}

    return probe


CHAR_ONE_HOT = Question(
    unit="08",
    name="char_one_hot",
    title="A caption, character by character",
    difficulty=2,
    minutes=12,
    task="""
A reader of characters knows no unknown words: "yelow" shares five of six letters with "yellow", where a vocabulary of words
has nothing. The price is that the encoding has to be right to the letter, for a shift by one place changes every window that
the convolution sees.

`char_one_hot(captions, alphabet, length)` takes a list of N strings, the `alphabet` as one string of A different characters
(small letters and signs), and the number of places, `length` = T. It returns **(N, A, T)**, dtype `torch.float32` always:
channels before places, as `nn.Conv1d` wants it. The entry is 1 where the character at place $t$ of caption $n$ is number $a$
of the alphabet, and 0 elsewhere.

- Capitals count as the small letter.
- A character that is not in the alphabet keeps its place, as a column of zeros.
- A caption of more than T characters is cut: its first T are read. A shorter one (there are empty ones) ends in zeros.
""",
    answers=("char_one_hot",),
    draw=_draw_chars,
    parts=(
        Part(name="plain", points=0.5, tests="captions that fit, small letters only", probe=_one_hot_of("plain")),
        Part(name="capitals", points=0.5, tests="captions with capitals", probe=_one_hot_of("capitals")),
        Part(name="unknown", points=0.5, tests="unknown letters and signs", probe=_one_hot_of("unknown")),
        Part(name="long", points=0.5, tests="captions too long, short, and empty", probe=_one_hot_of("long")),
    ),
    hints=(
        "What does your look-up give for a character that is not there? `str.find` gives -1, which is a valid index.",
        "Begin with `torch.zeros(N, A, T)` of the right dtype and set ones; characters that are unknown are passed over.",
        "Two loops, `for n, caption in enumerate(captions)` and `for t, c in enumerate(caption.lower()[:length])`, with "
        "`if c in alphabet: codes[n, alphabet.index(c), t] = 1`.",
    ),
)

# structured_hinge


def _draw_hinge(rng: Rng) -> Inputs:
    D = 5
    names = [int(k) for k in rng.permutation(12)[:4]]
    y = torch.tensor([names[k] for k in (0, 0, 0, 1, 1, 2, 3)])[rng.permutation(7)]
    centres = {k: rng.normal(D) for k in names}
    near = torch.stack([centres[int(k)] for k in y])
    axes = torch.eye(D, dtype=rng.dtype)[rng.permutation(D)]
    far = 3 * torch.stack([axes[names.index(int(k))] for k in y])
    images, texts = 0.6 * near + 0.7 * rng.normal(7, D), 0.6 * near + 0.7 * rng.normal(7, D)
    # One caption is worse than its class's mean by more than any margin: there the own class is the maximum.
    kin = (y == names[0]).nonzero()[:, 0]
    images[kin[0]] = 3 * axes[0]
    texts[kin[1:]] += 3 * axes[0]
    texts[kin[0]] -= 2 * axes[0]
    return {
        "images": images,
        "texts": texts,
        "y": y,
        "apart_images": far + 0.3 * rng.normal(7, D),
        "apart_texts": far + 0.3 * rng.normal(7, D),
        "each": 20 + rng.permutation(5),
        "scale": rng.number(1.0, 1.5),
    }


def _hinge_classes(answer: Any, inputs: Inputs) -> Findings:
    return {"loss": answer(inputs["images"], inputs["texts"], inputs["y"])}


def _hinge_single(answer: Any, inputs: Inputs) -> Findings:
    images, texts = inputs["images"][:5] * inputs["scale"], inputs["texts"][:5]
    return {"loss, a class each": answer(images, texts, inputs["each"])}


def _hinge_apart(answer: Any, inputs: Inputs) -> Findings:
    loss = answer(inputs["apart_images"], inputs["apart_texts"], inputs["y"])
    _, once = torch.unique(inputs["y"], return_inverse=True)
    first = [int((once == k).nonzero()[0]) for k in range(4)]
    alone = answer(inputs["apart_images"][first], inputs["apart_texts"][first], inputs["y"][first])
    return {"loss, classes far apart": loss, "loss, one pair of each": alone}


def _hinge_gradients(answer: Any, inputs: Inputs) -> Findings:
    images, texts = leaf(inputs["images"]), leaf(inputs["texts"])
    by_image, by_text = gradient(answer(images, texts, inputs["y"]), images, texts)
    return {"gradient of the images": by_image, "gradient of the texts": by_text}


_PERFECT = Law(
    "perfect pairs cost something",
    "With one pair of each class and the classes far apart, every margin is kept: the loss must be 0.",
    lambda inputs, found: abs(float(found["loss, one pair of each"])) < 1e-4,
)

STRUCTURED_HINGE = Question(
    unit="08",
    name="structured_hinge",
    title="One space for pictures and captions, by a margin",
    difficulty=4,
    minutes=30,
    task="""
A caption of one red bird fits every other red bird: to push it away from them, as a softmax over the batch does, teaches
the encoder that two truths contradict each other. The loss of Reed et al. (2016, *Learning deep representations of
fine-grained visual descriptions*, equations 2 to 6) therefore compares **classes**, and it has a margin: a pair that is well
apart from all others no longer pulls at the weights.

Pair $n$ is a picture $v_n$ with a caption $t_n$, both encoded, of class $y_n$; $F(v, t) = v \\cdot t$ is their compatibility.
With $\\mathcal T(y)$ the captions of class $y$ **in the batch**, and $\\Delta(y_n, y) = 0$ for $y = y_n$ and 1 otherwise,

$$\\ell_v(n) = \\max_y \\Big(0,\\; \\Delta(y_n, y) + \\tfrac{1}{|\\mathcal T(y)|} \\textstyle\\sum_{t \\in
\\mathcal T(y)} F(v_n, t) - F(v_n, t_n)\\Big)$$

where $y$ runs over all classes of the batch, $y_n$ among them. $\\ell_t(n)$ is the same with the parts exchanged: caption
$t_n$ against the mean over the **pictures** of each class, $\\tfrac{1}{|\\mathcal V(y)|}\\sum_{v \\in \\mathcal V(y)}
F(v, t_n)$. The loss is symmetric:

$$\\mathcal L = \\tfrac1N \\textstyle\\sum_n \\ell_v(n) + \\ell_t(n)$$

Write `structured_hinge(images, texts, y)` for `images` (N, D), `texts` (N, D), `y` (N,) int64, any whole numbers. It returns a
scalar. The embeddings are used as they are, not normalised. How to know that it works: with every class a class of its own and
all far apart it is exactly 0.
""",
    answers=("structured_hinge",),
    draw=_draw_hinge,
    parts=(
        Part(name="classes", points=1.0, tests="seven pairs of four classes", probe=_hinge_classes),
        Part(name="single", points=0.5, tests="five pairs, each a class of its own", probe=_hinge_single),
        Part(name="apart", points=0.5, tests="classes that are far apart", probe=_hinge_apart, laws=(_PERFECT,)),
        Part(name="gradients", points=0.5, tests="gradients of both sides", probe=_hinge_gradients),
    ),
    hints=(
        "All F at once are one product, (N, N): rows are pictures, columns captions. Where does each pair's own F stand?",
        "`same = y[:, None] == y` says which pairs share a class. A column of `F @ same / same.sum(0)` holds, for each "
        "picture, the mean "
        "over the captions of one class; a class that stands in several columns does no harm to a maximum.",
        "`(1 - same) + means - F.diagonal()[:, None]`, then `.amax(1).clamp(min=0).mean()`. The other side: the same "
        "with `F.T`. "
        "`same` needs the dtype of F.",
    ),
)

# recall_at_k


def _draw_recall(rng: Rng) -> Inputs:
    N = 12
    smooth = rng.normal(N, N) + 0.9 * torch.eye(N, dtype=rng.dtype)
    # Harder one way than the other: some pictures fit everything.
    smooth = smooth + 1.5 * rng.uniform(1, N)
    rows = rng.permutation(N)
    tied = rng.integers(0, 5, N, N).to(rng.dtype)
    tied[torch.arange(N), torch.arange(N)] = 3.0
    tied[rows[0]] = 0.0
    tied[rows[0], rows[0]] = 5.0  # one that is first both ways
    tied[:, rows[0]] = 1.0
    tied[rows[0], rows[0]] = 5.0
    return {"smooth": smooth, "tied": tied, "constant": torch.full((N, N), rng.number(-1, 1), dtype=rng.dtype), "N": N}


def _recall(answer: Any, scores: Any, k: int) -> list[float]:
    return [float(share) for share in answer(scores, k)]


def _recall_smooth(answer: Any, inputs: Inputs) -> Findings:
    return {f"recall@{k}, both ways": _recall(answer, inputs["smooth"], k) for k in (1, 3, 5)}


def _recall_tied(answer: Any, inputs: Inputs) -> Findings:
    return {f"recall@{k}, both ways": _recall(answer, inputs["tied"], k) for k in (1, 2, 4, 6)}


def _recall_constant(answer: Any, inputs: Inputs) -> Findings:
    found: Findings = {f"recall@{k} of one score": _recall(answer, inputs["constant"], k) for k in (1, 11)}
    found["recall@12 of one score"] = _recall(answer, inputs["constant"], 12)
    return found


RECALL_AT_K = Question(
    unit="08",
    name="recall_at_k",
    title="How often is the right one among the first k?",
    difficulty=2,
    minutes=15,
    task="""
Retrieval is the honest test of a shared space: a hundred pictures, one caption, is the right picture among the first k? It has
a trap that many evaluation scripts fall into. An encoder that has collapsed gives **every** pair the same score; with ties
broken by position, or in one's favour, it scores anything up to 100 %.

`recall_at_k(scores, k)` takes `scores` (N, N), rows being captions and columns pictures, the right ones on the diagonal, and a
whole number k from 1 to N. It returns two numbers, the recall from **caption to picture** and that from **picture to
caption**. Each is the share of the N queries, from 0 to 1, whose right answer is among the first k, where **ties count
against it**: the rank of the right answer is 1 plus the number of *other* candidates with a score at least as large.

Plain numbers or tensors of one element both do.
""",
    answers=("recall_at_k",),
    draw=_draw_recall,
    parts=(
        Part(name="smooth", points=0.5, tests="scores without ties, k = 1, 3, 5", probe=_recall_smooth),
        Part(name="ties", points=1.0, tests="scores with many ties, k = 1, 2, 4, 6", probe=_recall_tied),
        Part(name="constant", points=0.5, tests="a collapsed encoder", probe=_recall_constant),
    ),
    hints=(
        "No sorting is needed: what decides is a count. Of what?",
        "`scores >= own`, summed over the candidates, counts the right answer as well. That is its rank.",
        "`own = scores.diagonal()`; for captions `(scores >= own[:, None]).sum(1) <= k`, for pictures `(scores >= "
        "own).sum(0) <= k`; "
        "the mean of each, in a floating dtype.",
    ),
)

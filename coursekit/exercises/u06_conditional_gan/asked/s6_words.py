"""## 6. Words as vectors, and words for a picture

A generator can be conditioned on a picture and make a *word*: a point in a space of word vectors. First the vectors, learnt from
which words stand together, then the way back from points to words.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng

# skipgram_gradients


def _draw_skipgram(rng: Rng) -> Inputs:
    """Four pairs out of seven words: word 1 is twice a centre, word 2 twice a context, 3 and 5 negatives more than once."""
    names = rng.permutation(7)
    return {
        "inner": rng.normal(7, 3, scale=0.9),
        "outer": rng.normal(7, 3, scale=0.9),
        "centres": names[torch.tensor([1, 4, 1, 6])],
        "contexts": names[torch.tensor([2, 2, 5, 0])],
        "negatives": names[torch.tensor([[3, 3], [0, 5], [4, 3], [5, 1]])],
        "far": rng.number(250.0, 300.0),
    }


def _skipgram(answer: Any, inputs: Inputs, pairs: slice, scale: float = 1.0) -> Any:
    tables = inputs["inner"] * scale, inputs["outer"]
    with torch.inference_mode():
        return answer(*tables, *(inputs[name][pairs] for name in ("centres", "contexts", "negatives")))


def _skipgram_one(answer: Any, inputs: Inputs) -> Findings:
    inner, outer = _skipgram(answer, inputs, slice(1, 2))
    return {"gradient of the inner table": inner, "gradient of the outer table": outer}


def _skipgram_all(answer: Any, inputs: Inputs) -> Findings:
    inner, outer = _skipgram(answer, inputs, slice(None))
    return {"gradient of the inner table": inner, "gradient of the outer table": outer}


def _skipgram_far(answer: Any, inputs: Inputs) -> Findings:
    inner, outer = _skipgram(answer, inputs, slice(None), inputs["far"])
    return {"gradient of the inner table": inner, "gradient of the outer table": outer}


SKIPGRAM_GRADIENTS = Question(
    unit="06",
    name="skipgram_gradients",
    title="What a word learns from its neighbours",
    difficulty=3,
    minutes=20,
    task="""
Skip-gram (Mikolov et al. 2013, equation 4) has two vectors for every word: $u_w$ for the word in the centre, $v_w$ for the
word beside it. For a pair (centre c, context o) from the captions and M words $w_1, \\dots, w_M$ drawn at random the loss is

$$L = -\\log \\sigma(u_c \\cdot v_o) - \\sum_m \\log \\sigma(-u_c \\cdot v_{w_m})$$

which says: next to o, not next to those. Only 2 + M rows of the two tables get a gradient, and it is short enough to be written
down. That was why the first program could train on billions of words.

`skipgram_gradients(inner, outer, centres, contexts, negatives)` takes the tables `inner` (V, D) of the $u$ and `outer` (V, D)
of the $v$, and N pairs: `centres` (N,), `contexts` (N,) and `negatives` (N, M), word numbers in int64. It returns the
gradients of the **sum** of the N losses by both tables, two tensors (V, D). A word may occur several times, also twice in a
row of `negatives`, or as context here and negative there: its gradients **add up**.

By hand: the check calls you under `torch.inference_mode()`, where autograd records nothing. Products of vectors may be in
the thousands, and all results are finite.
""",
    answers=("skipgram_gradients",),
    draw=_draw_skipgram,
    parts=(
        Part(
            name="one pair", points=0.5, tests="one pair with two negatives, all words different", probe=_skipgram_one
        ),
        Part(
            name="four pairs", points=1.0, tests="four pairs, with words that occur several times", probe=_skipgram_all
        ),
        Part(name="far out", points=0.5, tests="the same with large products", probe=_skipgram_far),
    ),
    hints=(
        "Differentiate −log σ(a) by a, and −log σ(−a). How does a depend on the two vectors?",
        "The slopes are σ(a) − 1 for the context and σ(a) for a negative: label them 1 and 0 and both are σ(a) − label.",
        "Join context and negatives to words (N, 1 + M); `a = einsum('nd,nmd->nm', u, v)`; slope; u's gradient is the slopes "
        "times v, v's the slopes times u. `zeros_like(inner).index_add_(0, centres, ...)` adds rows that occur twice; `+=` "
        "with an index does not.",
    ),
)

# common_tags

_WORDS = {"A": 12, "B": 32, "C": 95, "D": 110, "E": -15, "F": 180, "G": 250, "H": 75, "I": 300}
"""Directions of nine words in degrees. Vectors at 0, 20, 40 and 100 degrees name A three times, B twice, C, D and E once."""
_ORDERS = ("GDAECHBFI", "HDEICAFGB", "ADFHEGCIB")
"""Among C, D and E, E is on the whole nearest and D farthest, B is nearer than C: by their numbers each comes out otherwise."""


def _draw_tags(rng: Rng) -> Inputs:
    order = rng.choice(_ORDERS)
    jitter = rng.uniform(13, low=-0.5, high=0.5).double()
    lengths = torch.tensor(
        [6.0 if name == "H" else 0.4 if name in "AB" else 1.0 for name in order], dtype=torch.float64
    )
    plane = torch.linalg.qr(torch.randn(4, 2, generator=rng.generator, dtype=torch.float64))[0]

    def points(degrees: Tensor, lengths: Tensor) -> Tensor:
        angle = degrees * math.pi / 180
        flat: Tensor = torch.stack([angle.cos(), angle.sin()], 1) * lengths[:, None]
        return (flat @ plane.T).to(rng.dtype)

    words = torch.tensor([float(_WORDS[name]) for name in order], dtype=torch.float64)
    vectors = torch.tensor([0.0, 20.0, 40.0, 100.0], dtype=torch.float64)
    return {
        "vectors": points(vectors + jitter[9:], torch.tensor([1.0, 0.5, 3.0, 2.5], dtype=torch.float64)),
        "words": points(words + jitter[:9], lengths),
    }


def _tags(near: int, count: int) -> Any:
    def probe(answer: Any, inputs: Inputs) -> Findings:
        return {f"tags, near = {near}, count = {count}": answer(inputs["vectors"], inputs["words"], near, count)}

    return probe


COMMON_TAGS = Question(
    unit="06",
    name="common_tags",
    title="Several draws, one list of tags",
    difficulty=3,
    minutes=20,
    task="""
Mirza and Osindero (2014, section 4.2) condition a generator on a picture and let it make word vectors. One noise vector gives one
vector, and one vector is a poor description. So they draw many, look up the nearest words of each, and keep the words that
come up **most often**. Averaging the vectors first would be shorter and is not the same: between "red" and "long" there is no
word.

`common_tags(vectors, words, near, count)` takes generated `vectors` (S, D), the table `words` (V, D) of all word vectors, and two
whole numbers of at least 1 (`near` is at most V). Each of the S vectors names its `near` nearest words by **cosine**
similarity. The function returns a **list of ints**: the numbers of the `count` words that were named by most vectors, most
frequent first.

- Of two words named equally often the one comes first whose cosines with **all** S vectors have the larger sum.
- A word that no vector named is never returned, also if the list then has fewer than `count` entries.

Vectors and words have any length, and none is 0.
""",
    answers=("common_tags",),
    draw=_draw_tags,
    parts=(
        Part(name="four tags", points=1.0, tests="two words for each of four vectors, four tags", probe=_tags(2, 4)),
        Part(name="two tags", points=0.5, tests="one word for each vector, two tags", probe=_tags(1, 2)),
        Part(name="short list", points=0.5, tests="one word for each vector, five tags at most", probe=_tags(1, 5)),
    ),
    hints=(
        "Two things are counted for each word: how many vectors name it, and, for ties, a sum. Which comes first in a sort?",
        "`F.normalize(vectors, dim=1) @ F.normalize(words, dim=1).T` are all cosines (S, V); `topk(near, dim=1).indices` names; "
        "`torch.bincount(..., minlength=len(words))` counts.",
        "`sorted(named, key=lambda w: (votes[w], total[w]), reverse=True)[:count]`, where `named` are the words with a vote "
        "and both lists hold Python numbers.",
    ),
)

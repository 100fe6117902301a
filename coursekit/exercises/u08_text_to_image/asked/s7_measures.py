"""## 7. Drawn, and true?

Which noise to draw from, how to count what is right, and a caption that says where things are.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch

from coursekit.checks.declare import Findings, Inputs, Law, Part, Question
from coursekit.checks.draws import Rng

# caption_score


def _draw_score(rng: Rng) -> Inputs:
    N, A = 9, 4
    read = rng.integers(0, 3, N, A)
    facts = read.clone()
    wrong = torch.zeros(N, A, dtype=torch.bool)
    # Attribute 0: named by 5, of which 2 are wrong; 1: by 7, 1 wrong; 2: by 3, all right; 3: never. Caption 8 names nothing.
    named = torch.zeros(N, A, dtype=torch.bool)
    named[:5, 0] = True
    named[1:8, 1] = True
    named[[0, 2, 5], 2] = True
    wrong[[1, 3], 0] = True
    wrong[3, 1] = True
    facts = torch.where(wrong, (facts + 1) % 3, facts)
    facts[~named] = -1
    order = rng.permutation(N)
    return {"read": read[order], "facts": facts[order], "silent": torch.full((2, A), -1)}


def _score(answer: Any, inputs: Inputs) -> Findings:
    shares, whole = answer(inputs["read"], inputs["facts"])
    return {"share of each attribute": shares, "captions wholly true": float(whole)}


def _score_full(answer: Any, inputs: Inputs) -> Findings:
    shares, whole = answer(inputs["read"], inputs["read"])
    return {"all named, all right": shares, "captions wholly true": float(whole)}


def _score_silent(answer: Any, inputs: Inputs) -> Findings:
    shares, whole = answer(inputs["read"][:2], inputs["silent"])
    return {"nothing named": shares, "captions wholly true": float(whole)}


CAPTION_SCORE = Question(
    unit="08",
    name="caption_score",
    title="Only what was asked for",
    difficulty=2,
    minutes=15,
    task="""
"A small bird" was asked for and a small blue bird came: is that right? It is, whatever its colour. A measure that counts the
attributes nobody named punishes a generator for deciding, or rewards it for guessing, and the number says less about text than
about luck.

`caption_score(read, facts)` takes what an oracle read from N pictures, `read` (N, A) int64, and what their captions ask for,
`facts` (N, A) int64, with **−1 where the caption does not name the attribute**. It returns two things:

- for each attribute the share of pictures that have the value asked for, **among the captions that name it**: (A,) float64, and
  NaN for an attribute that no caption names;
- the share of captions that are wholly true, **among those that name at least one attribute**: every fact that it names is
  read from its picture. A number, plain or as a tensor of one element; NaN if no caption names anything.
""",
    answers=("caption_score",),
    draw=_draw_score,
    parts=(
        Part(
            name="score",
            points=1.0,
            tests="nine captions; one attribute is never named, one caption is silent",
            probe=_score,
        ),
        Part(name="full", points=0.5, tests="captions that name everything", probe=_score_full),
        Part(name="silent", points=0.5, tests="captions that name nothing", probe=_score_silent),
    ),
    hints=(
        "Two tables of truth values decide everything: named, and right.",
        "`(named & right).sum(0) / named.sum(0)`: 0 divided by 0 is NaN in floating numbers, which is what is wanted.",
        "A caption is wholly true where `(right | ~named).all(1)`; keep the rows with `named.any(1)`. Convert to "
        "`.double()` before "
        "taking means: the mean of an empty tensor is NaN.",
    ),
)

# truncated_normal


_SHAPE = (40_000, 1)


def _draw_truncated(rng: Rng) -> Inputs:
    return {"seed": rng.integer(1, 1_000_000), "limit": rng.choice((1.375, 1.5, 1.625))}


def _truncated_noise(answer: Any, inputs: Inputs, limit: float, *shape: int) -> Any:
    return answer(*shape, limit, torch.Generator().manual_seed(inputs["seed"]))


def _noise_shares(answer: Any, inputs: Inputs) -> Findings:
    """Shares of the numbers in ten intervals of equal width within the limit, and outside."""
    limit = inputs["limit"]
    z = _truncated_noise(answer, inputs, limit, *_SHAPE)
    scaled = z.double() / limit
    edges = torch.linspace(-1, 1, 11, dtype=torch.float64)
    shares = [float(((scaled >= a) & (scaled < b)).double().mean()) for a, b in itertools.pairwise(edges)]
    return {
        "shape": list(z.shape),
        "any outside": bool((scaled.abs() > 1 + 1e-6).any()),  # float32 rounds
        "share outside": float((scaled.abs() > 1 + 1e-6).double().mean()),
        "piled up at the limit": bool((scaled.abs() - 1).abs().lt(1e-7).sum() > 20),
        "mean square, in units of the limit": float(scaled.square().mean()),
        "shares of ten intervals": shares,
    }


def _noise_wide(answer: Any, inputs: Inputs) -> Findings:
    """With a wide limit hardly anything is cut off: the spread is that of a normal variable."""
    z = _truncated_noise(answer, inputs, 5.0, *_SHAPE).double()
    return {"mean": float(z.mean()), "mean square": float(z.square().mean()), "largest": bool(z.abs().max() > 3)}


def _noise_rows(answer: Any, inputs: Inputs) -> Findings:
    """Each number is drawn by itself: neither rows nor columns repeat."""
    z = _truncated_noise(answer, inputs, inputs["limit"], 40, 6)
    return {"different numbers": len(z.unique()), "dtype": str(z.dtype)}


def _noise_generator(answer: Any, inputs: Inputs) -> Findings:
    before = torch.random.get_rng_state()
    one, again = (torch.Generator().manual_seed(inputs["seed"]) for _ in range(2))
    first = answer(8, 5, inputs["limit"], one)
    later = answer(8, 5, inputs["limit"], one)
    return {
        "one seed, one outcome": torch.equal(first, answer(8, 5, inputs["limit"], again)),
        "later calls draw anew": not torch.equal(first, later),
        "global generator untouched": torch.equal(before, torch.random.get_rng_state()),
    }


TRUNCATED_NOISE = Question(
    unit="08",
    name="truncated_noise",
    title="Cut off, not clamped",
    difficulty=3,
    minutes=15,
    task="""
Pictures from noise near 0 look better and resemble each other more: BigGAN (Brock et al. 2019, section 3.1) draws z from a
normal distribution **cut off** at a limit, which trades variety for fidelity with one knob. The two short ways are wrong:
clamping piles numbers up at the limit itself, and scaling makes another distribution.

`truncated_noise(n, Z, limit, generator)` returns `n` × `Z` numbers, (n, Z) float32, each drawn independently from $N(0, 1)$
**given that** $|z| \\le$ `limit`, for any limit above 0.3. All randomness comes from `generator`, a `torch.Generator`; the
global one stays untouched.

Shares of ten intervals of equal width are counted over 40000 numbers, and may be off by 0.02, as may the mean of $(z /$
`limit`$)^2$; mean and mean square for a limit of 5 by 0.08. A right answer fails this less than once in a million checks.
""",
    answers=("truncated_noise",),
    draw=_draw_truncated,
    parts=(
        # The difference of two shares of 40000 (at most 0.16) has a standard deviation of at most 0.0026: 0.02 is 7.7 of them.
        Part(
            name="shares",
            points=1.5,
            tests="shares of ten intervals; nothing outside, nothing piled up at the limit",
            probe=_noise_shares,
            rtol=0.0,
            atol=0.02,
        ),
        # Mean and mean square: standard deviations of the difference 0.007 and 0.010, so that 0.08 is 8. The largest of 40000
        # normal numbers is below 3 once in 1e46.
        Part(name="wide", points=0.5, tests="a limit of 5", probe=_noise_wide, rtol=0.0, atol=0.08),
        Part(name="each", points=0.5, tests="each number is drawn by itself; dtype", probe=_noise_rows),
        Part(name="generator", points=0.5, tests="the given generator and no other", probe=_noise_generator),
    ),
    hints=(
        "There are two good ways: draw again what lies outside until nothing does, or turn uniform numbers into these.",
        "Again: `bad = z.abs() > limit`, and `z[bad] = torch.randn(int(bad.sum()), generator=generator)` as long as "
        "there are any. Only the "
        "bad **numbers**, not their whole rows.",
        "The other way: uniform numbers from $\\Phi(-L)$ to $\\Phi(L)$, L being the limit, and `torch.special.ndtri` of them.",
    ),
)

# caption_boxes

_SHAPES, _TINTS = ("circle", "square", "star"), ("red", "green", "blue", "white")
_RELATIONS = ("above", "below", "left of", "right of")


def _thing(rng: Rng) -> str:
    return f"a {rng.choice(_TINTS)} {rng.choice(_SHAPES)}"


def _draw_captions_of_scenes(rng: Rng) -> Inputs:
    return {
        "single": [_thing(rng)],
        "pairs": [f"{_thing(rng)} {relation} {_thing(rng)}" for relation in _RELATIONS],
        "wordy": [f"{_thing(rng)} to the {side} of {_thing(rng)}" for side in ("left", "right")],
        "capitals": [f"{_thing(rng).capitalize()} Above {_thing(rng)}.", f"{_thing(rng).upper()} BELOW {_thing(rng)}"],
        "wrong": ["", "a red bird", f"{_thing(rng)} beside {_thing(rng)}", f"{_thing(rng)} above"],
        "size": rng.choice((32, 48, 64)),
    }


def _boxes_of(name: str) -> Any:
    def probe(answer: Any, inputs: Inputs) -> Findings:
        found: Findings = {}
        for k, text in enumerate(inputs[name]):
            for item, thing in enumerate(answer(text, inputs["size"])):
                colour, shape, box = thing
                found[f"caption {k}, thing {item}"] = [colour, shape]
                found[f"caption {k}, box {item}"] = [float(edge) for edge in box]
        return found

    return probe


def _boxes_refused(answer: Any, inputs: Inputs) -> Findings:
    found = {}
    for k, text in enumerate(inputs["wrong"]):
        try:
            answer(text, inputs["size"])
            found[f"caption {k}"] = "no error"
        except ValueError:
            found[f"caption {k}"] = "ValueError"
    return found


_INSIDE = Law(
    "outside the picture",
    "A box leaves the picture, or its corners are exchanged: 0 ≤ left < right ≤ size, and likewise for top and bottom.",
    lambda inputs, found: all(
        0 <= box[0] < box[2] <= inputs["size"] and 0 <= box[1] < box[3] <= inputs["size"]
        for name, box in found.items()
        if "box" in name
    ),
)

CAPTION_BOXES = Question(
    unit="08",
    name="caption_boxes",
    title="From a caption to a layout",
    difficulty=3,
    minutes=25,
    task="""
A scene is more than its words: "a red circle above a blue square" and "a blue square above a red circle" hold the same ones. So
a text-to-scene system reads a **layout** first, things with boxes, and draws then. One deck has it in its title; here it is
in small.

The captions are "a COLOUR SHAPE" or "a COLOUR SHAPE RELATION a COLOUR SHAPE", with the shapes circle, square, star, the
colours red, green, blue, white, and the relations *above*, *below*, *left of*, *right of*, where the latter two may also be
written *to the left of*, *to the right of*. Capitals do not matter, nor does a full stop at the end. The **first** thing
stands in the relation to the second.

`caption_boxes(text, size)` returns a list of the things in the order in which they are named, each a tuple `(colour, shape,
box)`, all words in small letters. `box` is (left, top, right, bottom), four numbers in pixels, x to the right and **y
downwards**, as pictures are stored. The picture is a square with edges of `size`.

- One thing has the whole picture as its cell. Two things share it in halves: an upper and a lower one, or a left and a right
  one.
- The box is a square in the **middle** of the cell, with edges of half of `size`, $0.5 \\times$ `size`, for a single thing,
  and $0.4 \\times$ `size` for each of two.
- Any other caption raises a `ValueError`.
""",
    answers=("caption_boxes",),
    draw=_draw_captions_of_scenes,
    parts=(
        Part(name="single", points=0.5, tests="one thing", probe=_boxes_of("single"), laws=(_INSIDE,)),
        Part(
            name="pairs",
            points=1.5,
            tests="two things in all four relations",
            probe=_boxes_of("pairs"),
            laws=(_INSIDE,),
        ),
        Part(name="wordy", points=0.5, tests="“to the left of”, “to the right of”", probe=_boxes_of("wordy")),
        Part(name="capitals", points=0.5, tests="capitals, a full stop", probe=_boxes_of("capitals")),
        Part(name="refused", points=0.5, tests="captions of another kind", probe=_boxes_refused),
    ),
    hints=(
        "`re.fullmatch` (after `import re`) refuses everything that does not fit the pattern as a whole.",
        "A thing is `a (red|green|blue|white) (circle|square|star)`; the relation and the second thing are an optional group "
        "`(?: ... )?`. Each relation is a pair of centres, as shares of the size: above is (0.5, 0.25) for the first and (0.5, "
        "0.75) for the second.",
        "A box from its centre (x, y) and its edge e: `(x - e / 2, y - e / 2, x + e / 2, y + e / 2)`.",
    ),
)

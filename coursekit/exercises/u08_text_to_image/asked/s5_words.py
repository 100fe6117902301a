"""## 5. Words, not sentences

One vector for the sentence has to remember everything at once. AttnGAN lets every place of the picture look for the words that
concern it.
"""

from __future__ import annotations

from typing import Any

import torch

from coursekit.checks.declare import Findings, Inputs, Law, Part, Question
from coursekit.checks.draws import Rng
from coursekit.exercises.u08_text_to_image.nets import gradient, leaf

# word_context


def _draw_words(rng: Rng) -> Inputs:
    N, C, H, W, T, D = 3, 4, 2, 3, 5, 6
    lengths = [5, 3, 1]
    order = rng.permutation(N)
    mask = torch.stack([torch.arange(T) < lengths[int(k)] for k in order])
    h = rng.normal(N, C, H, W)
    large = h * rng.number(400, 600)
    large[:, :, 0, 1] = h[:, :, 0, 1]  # one place where silence and words are of one size
    return {
        "h": h,
        "large": large,
        "words": rng.normal(N, T, D),
        "U": rng.normal(C, D, scale=0.5),
        "mask": mask,
        "empty": torch.stack([mask[0], torch.zeros(T, dtype=torch.bool), mask[1]]),
    }


def _context(answer: Any, inputs: Inputs, maps: str = "h", mask: str = "mask") -> Findings:
    context, weights = answer(inputs[maps], inputs["words"], inputs["U"], inputs[mask])
    return {"context": context, "weights": weights}


def _context_values(answer: Any, inputs: Inputs) -> Findings:
    return _context(answer, inputs)


def _context_padding(answer: Any, inputs: Inputs) -> Findings:
    """What stands behind the end must not matter."""
    context, weights = answer(inputs["h"], inputs["words"], inputs["U"], inputs["mask"])
    other = inputs["words"].clone()
    other[~inputs["mask"]] = 7.0
    again, _ = answer(inputs["h"], other, inputs["U"], inputs["mask"])
    hidden = weights.movedim(1, -1)[~inputs["mask"][:, None, None].expand(-1, 2, 3, -1)]
    return {
        "weights of the padding": hidden,
        "other padding, the same context": bool((context - again).abs().max() < 1e-4),
    }


def _context_empty(answer: Any, inputs: Inputs) -> Findings:
    return _context(answer, inputs, mask="empty")


def _context_large(answer: Any, inputs: Inputs) -> Findings:
    return _context(answer, inputs, maps="large")


def _context_gradients(answer: Any, inputs: Inputs) -> Findings:
    given = {name: leaf(inputs[name]) for name in ("h", "words", "U")}
    context, _ = answer(*given.values(), inputs["mask"])
    top = torch.linspace(-1, 2, context.numel(), dtype=context.dtype).view(context.shape)
    return dict(zip((f"gradient of {name}" for name in given), gradient((context * top).sum(), *given.values())))


_AT_MOST_ONE = Law(
    "weights above one",
    "The weights of a place sum to at most 1: what is left belongs to silence.",
    lambda inputs, found: bool((found["weights"].sum(1) <= 1 + 1e-5).all()),
)

WORD_CONTEXT = Question(
    unit="08",
    name="word_context",
    title="Each place looks for its words, or for none",
    difficulty=4,
    minutes=25,
    task="""
In AttnGAN (Xu et al. 2018, section 3.1) each place of the feature maps gets a mixture of the words, weighted by how much they
concern it. The weights of a softmax sum to 1, so that the sky, too, has to pick from "a red bird", and a caption that is all
padding gives NaN. Here every place has a way out: besides the words there is **silence**, with the score 0 and the vector 0.

`word_context(h, words, U, mask)` takes maps `h` (N, C, H, W), word features `words` (N, T, D), the matrix `U` (C, D) that
carries words to the width of the maps, and `mask` (N, T) bool, True for a word, False for padding. With $e'_i = U e_i$ for word
$i$, $h_j$ the vector of C features at place $j$, and $s_{ji} = h_j \\cdot e'_i$,

$$\\beta_{ji} = \\frac{\\exp s_{ji}}{1 + \\sum_k \\exp s_{jk}}, \\qquad c_j = \\sum_i \\beta_{ji}\\, e'_i$$

where $i$ and $k$ run over the words of that caption **without** the padding. It returns the context (N, C, H, W) and the
weights (N, T, H, W), which are 0 for padding. A caption without any word has context and weights 0. Scores may be of the
size of several thousand, of either sign.
""",
    answers=("word_context",),
    draw=_draw_words,
    parts=(
        Part(
            name="values", points=1.0, tests="captions of 5, 3 and 1 words", probe=_context_values, laws=(_AT_MOST_ONE,)
        ),
        Part(
            name="padding",
            points=0.5,
            tests="padding has no weight, and what stands there does not matter",
            probe=_context_padding,
        ),
        Part(name="empty", points=0.5, tests="a caption that is all padding", probe=_context_empty),
        Part(name="large", points=0.5, tests="scores of several thousand", probe=_context_large),
        Part(name="gradients", points=0.5, tests="gradients of maps, words and U", probe=_context_gradients),
    ),
    hints=(
        "The 1 in the denominator is exp 0: silence is one more word. What does that make of the softmax?",
        "`torch.einsum` keeps the axes apart: words carried over (N, T, C), scores (N, T, H, W). Padding gets the score "
        "−∞, which is fine as "
        "long as something else in the row is finite: silence always is.",
        "Put a score of zeros in front, `torch.cat([zeros, scores], dim=1).softmax(dim=1)[:, 1:]`, and mix: "
        "`torch.einsum('nthw,ntc->nchw', weights, carried)`.",
    ),
)

"""## 1. The layer that makes pictures larger

A transposed convolution, three times by hand: as stamps that add up, as an ordinary convolution of a stretched picture, and
as a count of who reaches where.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import weighted_sum
from coursekit.exercises.u05_dcgan.nets import OperationDiary

# stamp_conv


def _draw_stamps(rng: Rng) -> Inputs:
    N, C, D = 2, 3, 2
    return {
        "x": rng.normal(N, C, 3, 4),
        "weight": rng.normal(C, D, 4, 3),
        "x_gaps": rng.normal(N, C, 3, 2),
        "weight_gaps": rng.normal(C, D, 2, 2),
        "bias": rng.uniform(D, low=0.5, high=1.5) * torch.tensor([1.0, -1.0], dtype=rng.dtype),
    }


def _stamps(answer: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Findings:
    with OperationDiary() as diary:
        out = answer(x, weight, bias, stride, padding)
    return {"pictures": out, "torch's convolutions called": diary.convolutions > 0}


def _stamp_values(answer: Any, inputs: Inputs) -> Findings:
    return _stamps(answer, inputs["x"], inputs["weight"], inputs["bias"], 2, 1)


def _stamp_gaps(answer: Any, inputs: Inputs) -> Findings:
    return _stamps(answer, inputs["x_gaps"], inputs["weight_gaps"], inputs["bias"], 3, 0)


def _stamp_gradients(answer: Any, inputs: Inputs) -> Findings:
    leaves = [inputs[name].requires_grad_() for name in ("x", "weight", "bias")]
    found = _stamps(answer, *leaves, 2, 1)
    grads = torch.autograd.grad(weighted_sum(found.pop("pictures")), leaves, allow_unused=True)
    return found | {f"gradient of {name}": grad for name, grad in zip(("x", "weight", "bias"), grads)}


STAMP_CONV = Question(
    unit="05",
    name="stamp_conv",
    title="A transposed convolution, stamp by stamp",
    difficulty=3,
    minutes=20,
    task="""
An ordinary convolution reads a window and writes one number. Its transpose reads one number and writes a window: each entry
of the input is a stamp, the kernel times that entry, set down every $s$ pixels; where stamps overlap they **add up**. Of the
canvas, $p$ rows and columns are cut off on each side, and the bias comes last, once for each pixel:

$$y_{n,d,\\,hs+i-p,\\;ws+j-p} \\mathrel{+}= \\sum_c x_{n,c,h,w}\\; k_{c,d,i,j}, \\qquad y_{n,d} \\mathrel{+}= b_d$$

Write `stamp_conv(x, weight, bias, stride, padding)` for `x` (N, C, H, W), `weight` $k$ (C, D, K, L) (input channels first, as in
`nn.ConvTranspose2d`), `bias` (D,), and whole numbers `stride` $s \\ge 1$ and `padding` $p \\ge 0$. It returns
(N, D, (H − 1)s − 2p + K, (W − 1)s − 2p + L). Gradients reach `x`, `weight` and `bias`.

By hand: torch's convolutions, transposed or not, may not be called. The check records which operations ran, and a part in which
a convolution was called earns nothing.
""",
    answers=("stamp_conv",),
    draw=_draw_stamps,
    parts=(
        Part(name="values", points=1.0, tests="kernel (4, 3), stride 2, padding 1", probe=_stamp_values),
        Part(name="gaps", points=0.5, tests="kernel (2, 2), stride 3, padding 0: gaps", probe=_stamp_gaps),
        Part(name="gradients", points=1.0, tests="gradients of x, weight and bias", probe=_stamp_gradients),
    ),
    hints=(
        "Draw it on paper for one channel: input 1 x 3, kernel 1 x 4, stride 2. Which pixels get two contributions?",
        '`torch.einsum("nchw,cdij->nhwdij", x, weight)` makes all stamps at once. Two loops, over h and w, set them down.',
        "Start with zeros of the uncut size, add each stamp to `canvas[:, :, h * s : h * s + K, w * s : w * s + L]`, cut the "
        "edge (beware of `[p:-p]` when p is 0), and add `bias[:, None, None]`.",
    ),
)

# stretched_conv


def _draw_stretched(rng: Rng) -> Inputs:
    N, C, D = 2, 3, 2
    return {
        "x": rng.normal(N, C, 3, 4),
        "weight": rng.normal(C, D, 4, 3),
    }


def _stretched(answer: Any, x: Tensor, weight: Tensor, stride: int, padding: int, extra: int) -> Findings:
    with OperationDiary() as diary:
        out = answer(x, weight, stride, padding, extra)
    return {"pictures": out, "transposed convolutions called": diary.transposed > 0}


def _stretched_by(stride: int, padding: int, extra: int) -> Any:
    def probe(answer: Any, inputs: Inputs) -> Findings:
        return _stretched(answer, inputs["x"], inputs["weight"], stride, padding, extra)

    return probe


def _stretched_gradients(answer: Any, inputs: Inputs) -> Findings:
    leaves = [inputs[name].requires_grad_() for name in ("x", "weight")]
    found = _stretched(answer, *leaves, 2, 1, 1)
    grads = torch.autograd.grad(weighted_sum(found.pop("pictures")), leaves, allow_unused=True)
    return found | {f"gradient of {name}": grad for name, grad in zip(("x", "weight"), grads)}


STRETCHED_CONV = Question(
    unit="05",
    name="stretched_conv",
    title="The same layer, with an ordinary convolution",
    difficulty=3,
    minutes=20,
    task="""
The name *fractionally strided* comes from another view: stretch the picture by putting $s - 1$ zeros **between** neighbouring
pixels, give it a border of zeros, and run an ordinary convolution of stride 1 over it. Four things have to be found: the
stretched size, the border, which way round the kernel lies, and which of its axes comes first.

Write `stretched_conv(x, weight, stride, padding, output_padding)` for `x` (N, C, H, W), `weight` (C, D, K, L), input channels
first as in `nn.ConvTranspose2d`, and whole numbers `stride` at least 1, `padding` $p$ from 0 to the smaller of K and L less 1,
and `output_padding` $o$ from 0 to `stride` − 1. It returns what `F.conv_transpose2d(x, weight, None, stride, padding,
output_padding)` would, of shape (N, D, (H − 1)s − 2p + K + o, (W − 1)s − 2p + L + o): the $o$ additional rows and columns are
at the **bottom and right**, and kernels may reach into them.

Ordinary convolutions (`F.conv2d`) are allowed. Transposed ones, and the gradients of convolutions, are not: a part in which
one was called earns nothing.
""",
    answers=("stretched_conv",),
    draw=_draw_stretched,
    parts=(
        Part(name="doubling", points=1.0, tests="stride 2, padding 1", probe=_stretched_by(2, 1, 0)),
        Part(name="extra", points=0.5, tests="stride 3, padding 2, output padding 2", probe=_stretched_by(3, 2, 2)),
        Part(name="plain", points=0.5, tests="stride 1, padding 0", probe=_stretched_by(1, 0, 0)),
        Part(name="gradients", points=0.5, tests="gradients of x and weight", probe=_stretched_gradients),
    ),
    hints=(
        "With stride 1 and padding 0 the output is larger than the input by K − 1: how wide must the border be?",
        "The stretched picture has (H − 1)s + 1 rows. The kernel is turned by 180 degrees and its first two axes change places.",
        "Fill `stretched[:, :, ::s, ::s]`, pad by K − 1 − p above and K − 1 − p + o below (and so on with L), and use "
        "`weight.flip(2, 3).transpose(0, 1)`.",
    ),
)

# size_rules

_SETTINGS = [(k, s, d) for k in (2, 3, 4, 5, 6) for s in (1, 2, 3, 4) for d in (1, 2)]


def _draw_sizes(rng: Rng) -> Inputs:
    """Rows n, kernel, stride, padding, output padding, dilation; the first few keep every rule apart."""
    rows = [[5, 4, 2, 1, 0, 1], [6, 3, 2, 1, 1, 1], [7, 3, 3, 2, 1, 2]]
    for _ in range(8):
        stride = rng.integer(2, 5)
        rows.append(
            [
                rng.integer(4, 30),
                rng.integer(2, 7),
                stride,
                rng.integer(0, 3),
                rng.integer(0, stride),
                rng.integer(1, 4),
            ]
        )
    return {"rows": rows}


def _sizes(answer: Any, inputs: Inputs) -> Findings:
    return {f"size for {row}": answer.transposed_size(*row) for row in inputs["rows"]}


def _settings(answer: Any, inputs: Inputs) -> Findings:
    return {f"settings for {list(setting)}": list(answer.scale_settings(*setting)) for setting in _SETTINGS}


SIZE_RULES = Question(
    unit="05",
    name="size_rules",
    title="How large it gets, and how to make it fit",
    difficulty=2,
    minutes=15,
    task="""
Along one axis, a transposed convolution of $n$ pixels with kernel size $k$, stride $s$, padding $p$, output padding $o$ and
dilation $d$ (the taps of the kernel lie $d$ pixels apart) makes

$$m = (n - 1)\\,s - 2p + d\\,(k - 1) + o + 1$$

pixels. Write two functions of whole numbers.

- `transposed_size(n, k, s, p, o, d)` returns $m$, an `int`.
- `scale_settings(k, s, d)` answers the question that one really has: which padding and output padding make $m = s\\,n$ for
  **every** $n$? It returns the pair `(p, o)` of `int`s with $p, o \\ge 0$ and the **smallest possible** $o$. There is always
  one; the kernel may be smaller than the stride.
""",
    answers=("transposed_size", "scale_settings"),
    draw=_draw_sizes,
    parts=(
        Part(name="size", points=1.0, tests="sizes for eleven settings", probe=_sizes),
        Part(name="inverse", points=1.0, tests="settings for k = 2..6, s = 1..4, d = 1, 2", probe=_settings),
    ),
    hints=(
        "Set $m = s\\,n$ in the rule: $n$ drops out. What is left for $2p - o$?",
        "$2p - o = d(k - 1) + 1 - s$. If the right side is even and not negative, $o$ is 0. If it is odd?",
        "With `gap = d * (k - 1) + 1 - s`: a negative gap is filled by output padding alone; otherwise `p = (gap + 1) // 2`, and "
        "`o` makes up for the rounding.",
    ),
)

# overlap_map


def _draw_overlap(rng: Rng) -> Inputs:
    # Unequal in every respect; the second kernel is always wider than its stride and no multiple of it.
    return {
        "cases": [
            [[4, 5], [3, 4], [2, 2]],
            [[3, 6], [2, rng.choice((5, 7))], [3, 3]],
            [[rng.integer(3, 6), 4], [rng.choice((4, 6)), 3], [2, 1]],
        ]
    }


def _overlap_maps(answer: Any, inputs: Inputs) -> Findings:
    return {f"map for {case}": answer.overlap_map(*map(tuple, case)) for case in inputs["cases"]}


_KERNELS = [((k, l), (s, t)) for k in (2, 3, 4, 6) for l in (3, 4) for s in (1, 2, 4) for t in (1, 2, 3)]


def _overlap_verdicts(answer: Any, inputs: Inputs) -> Findings:
    return {f"even, kernel {k}, stride {s}": bool(answer.is_even(k, s)) for k, s in _KERNELS}


OVERLAP_MAP = Question(
    unit="05",
    name="overlap_map",
    title="Where the checkerboard comes from",
    difficulty=2,
    minutes=15,
    task="""
Where many stamps overlap a pixel is written to more often than its neighbours, and an untrained generator paints a
checkerboard (Odena, Dumoulin and Olah 2016). Count, for one channel without padding.

- `overlap_map(size, kernel, stride)` takes three pairs of whole numbers (rows, columns): the size of the input, the kernel and
  the stride. It returns an int64 tensor, ((H − 1)s + K, (W − 1)t + L) for size (H, W), kernel (K, L) and stride (s, t): how many
  kernel taps reach each pixel of the output.
- `is_even(kernel, stride)` returns `True` if for large inputs all pixels far from the edge are reached equally often, else
  `False`.
""",
    answers=("overlap_map", "is_even"),
    draw=_draw_overlap,
    parts=(
        Part(name="counts", points=1.0, tests="three maps, one with gaps, all with edges", probe=_overlap_maps),
        Part(name="even", points=0.5, tests="72 pairs of kernel and stride", probe=_overlap_verdicts),
    ),
    hints=(
        "Which pixels does the first input pixel reach? Which the second?",
        "The count is that of the rows times that of the columns: both axes can be counted alone.",
        "For each input pixel add 1 to `counts[h * s : h * s + K, w * t : w * t + L]`. As for evenness: in one axis, a pixel is "
        "reached by either the rounded-down or the rounded-up K / s stamps.",
    ),
)

"""## 6. Generators that grow, and generators that are styled

Three pieces of larger GANs, each from the side that the lecture left out: the discriminator's, the older form, the later
layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import weighted_sum

# faded_logits


def _draw_faded(rng: Rng) -> Inputs:
    return {
        "x": rng.uniform(3, 2, 8, 12, low=-1.0),
        "small": rng.normal(4, 2, 1, 1),
        "large": rng.normal(3, 2, 1, 1),
        "kernel": rng.normal(4, 3, 3, 3, scale=0.4),
        "rest": rng.normal(4 * 4 * 6, scale=0.3),
        "alpha": rng.choice((0.2, 0.3, 0.7)),
    }


_LAYERS = ("small", "large", "kernel", "rest")


def _pieces(inputs: Inputs, ran: list[str]) -> dict[str, Callable[[Tensor], Tensor]]:
    """The four pieces of D, all of them curved, so that none can change places with another; `ran` notes their calls."""

    def noted(name: str, function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def call(x: Tensor) -> Tensor:
            ran.append(f"{name} {list(x.shape)}")
            return function(x)

        return call

    return {
        "from_small": noted("from_small", lambda x: torch.tanh(F.conv2d(x, inputs["small"]))),
        "from_large": noted("from_large", lambda x: torch.tanh(F.conv2d(x, inputs["large"]))),
        "block": noted("block", lambda h: torch.tanh(F.conv2d(h, inputs["kernel"], stride=2, padding=1))),
        "rest": noted("rest", lambda h: (torch.tanh(h).flatten(1) @ inputs["rest"]) + h.square().mean((1, 2, 3))),
    }


def _faded(answer: Any, inputs: Inputs, alpha: float, ran: list[str] | None = None) -> Tensor:
    logits: Tensor = answer(inputs["x"], alpha, **_pieces(inputs, [] if ran is None else ran))
    return logits


def _faded_values(answer: Any, inputs: Inputs) -> Findings:
    ran: list[str] = []
    logits = _faded(answer, inputs, inputs["alpha"], ran)
    return {"logits halfway": logits, "calls of the pieces": sorted(ran)}


def _faded_edges(answer: Any, inputs: Inputs) -> Findings:
    return {"logits at alpha = 0": _faded(answer, inputs, 0.0), "logits at alpha = 1": _faded(answer, inputs, 1.0)}


def _faded_gradients(answer: Any, inputs: Inputs) -> Findings:
    leaves = [inputs[name].requires_grad_() for name in ("x", *_LAYERS)]
    grads = torch.autograd.grad(weighted_sum(_faded(answer, inputs, inputs["alpha"])), leaves, allow_unused=True)
    return {f"gradient of {name}": grad for name, grad in zip(("x", *_LAYERS), grads)}


FADED_LOGITS = Question(
    unit="05",
    name="faded_logits",
    title="Fading in, seen from the discriminator",
    difficulty=3,
    minutes=15,
    task="""
When a progressive GAN doubles its resolution (Karras et al. 2018, section 2 and figure 2), the new layers are faded in on
**both** sides. The generator mixes two pictures. The discriminator cannot: it has one picture, and two ways to read it. The
old way halves the picture and reads it with the old input layer; the new way reads it with the new input layer and halves
the *features* in the new block. Mixed are the features, before the layers that both ways share:

$$D(x) = \\text{rest}\\big(\\alpha\\; \\text{block}(\\text{from}_{large}(x))
+ (1 - \\alpha)\\; \\text{from}_{small}(\\text{half}(x))\\big)$$

`faded_logits(x, alpha, from_small, from_large, block, rest)` takes pictures `x` (N, C, H, W) with even H and W, the number
`alpha` from 0 to 1, and four functions of tensors: `from_small`, (N, C, H/2, W/2) to features (N, M, H/2, W/2); `from_large`,
(N, C, H, W) to (N, M', H, W); `block`, which makes (N, M, H/2, W/2) of these; and `rest`, features to logits (N,). half is the
**mean** of 2 x 2 pixels.

At $0 < \\alpha < 1$ each function is called exactly once. At 0 the result is that of the small discriminator, to the bit or
nearly; at 1 the old input layer is out.
""",
    answers=("faded_logits",),
    draw=_draw_faded,
    parts=(
        Part(name="halfway", points=1.0, tests="logits between 0 and 1; what was called", probe=_faded_values),
        Part(name="edges", points=0.5, tests="alpha = 0 and alpha = 1", probe=_faded_edges),
        Part(name="gradients", points=0.5, tests="gradients of x and of every layer", probe=_faded_gradients),
    ),
    hints=(
        "Which of the four functions appears in the formula twice? None. So where is the sum?",
        "`F.avg_pool2d(x, 2)` halves a picture.",
        "`old = from_small(F.avg_pool2d(x, 2))`, `new = block(from_large(x))`, and `rest` of the mixture.",
    ),
)

# adain


def _draw_adain(rng: Rng) -> Inputs:
    N, C = 3, 2
    contrast = torch.tensor([0.02, 1.0, 3.0], dtype=rng.dtype)[rng.permutation(N)][:, None, None, None]
    return {
        "content": rng.normal(N, C, 3, 5) * contrast + rng.normal(N, C, 1, 1),
        "style": rng.normal(N, C, 4, 2) * rng.uniform(N, C, 1, 1, low=0.3, high=2.0) + rng.normal(N, C, 1, 1),
        "eps": rng.number(1e-3, 4e-3),
        "strength": rng.choice((0.3, 0.4, 0.75)),
    }


def _adain_full(answer: Any, inputs: Inputs) -> Findings:
    return {"strength 1": answer(inputs["content"], inputs["style"], inputs["eps"], 1.0)}


def _adain_partial(answer: Any, inputs: Inputs) -> Findings:
    args = inputs["content"], inputs["style"], inputs["eps"]
    return {"strength between 0 and 1": answer(*args, inputs["strength"]), "strength 0": answer(*args, 0.0)}


def _adain_single(answer: Any, inputs: Inputs) -> Findings:
    """One pair alone, and content without any contrast."""
    args = inputs["content"][:1], inputs["style"][:1], inputs["eps"], 1.0
    flat = torch.ones_like(inputs["content"]) * inputs["style"][:, :, :1, :1]
    return {"one pair": answer(*args), "flat content": answer(flat, inputs["style"], inputs["eps"], 1.0)}


def _adain_gradients(answer: Any, inputs: Inputs) -> Findings:
    leaves = [inputs[name].requires_grad_() for name in ("content", "style")]
    out = answer(*leaves, inputs["eps"], inputs["strength"])
    grads = torch.autograd.grad(weighted_sum(out), leaves, allow_unused=True)
    return {f"gradient of {name}": grad for name, grad in zip(("content", "style"), grads)}


ADAIN = Question(
    unit="05",
    name="adain",
    title="Adaptive instance norm, with a picture for a style",
    difficulty=2,
    minutes=15,
    task="""
StyleGAN computes scale and shift of a layer from a vector, with learnt weights. In the form in which AdaIN was first published
(Huang and Belongie 2017, equations 5 to 8, 14) nothing is learnt: the style is **another picture's features**, and its mean
and deviation are put in place of the content's, map by map:

$$\\text{AdaIN}(c, s) = \\sigma(s)\\; \\frac{c - \\mu(c)}{\\sigma(c)} + \\mu(s), \\qquad
\\sigma(x)_{nm} = \\sqrt{\\tfrac1{HW} \\textstyle\\sum_{hw} (x_{nmhw} - \\mu(x)_{nm})^2 + \\epsilon}$$

`adain(content, style, eps, strength)` takes features `content` (N, C, H, W) and `style` (N, C, H', W'), whose size
**differs**, and two numbers. Means and deviations belong to each map of each picture, the variance is divided by HW, and `eps`
$= \\epsilon$ stands under the root, for content and style alike. With `strength` $= \\lambda$ in [0, 1] it returns, of the
shape of `content`,

$$(1 - \\lambda)\\, c + \\lambda\\, \\text{AdaIN}(c, s)$$

Gradients reach both.
""",
    answers=("adain",),
    draw=_draw_adain,
    parts=(
        Part(name="full", points=1.0, tests="strength 1", probe=_adain_full),
        Part(name="partial", points=0.5, tests="strength 0 and between", probe=_adain_partial),
        Part(name="single", points=0.5, tests="one pair alone; content without contrast", probe=_adain_single),
        Part(name="gradients", points=0.5, tests="gradients of content and style", probe=_adain_gradients),
    ),
    hints=(
        "Which axes does a mean run over that belongs to each map of each picture?",
        "`x.mean(dim=(2, 3), keepdim=True)`, and `x.var(dim=(2, 3), keepdim=True, correction=0)` divides by HW.",
        "Four statistics, (N, C, 1, 1) each, the deviations as `(variance + eps).sqrt()`; then the formula, then the mixture.",
    ),
)

# truncate_w


def _draw_truncate(rng: Rng) -> Inputs:
    N, Z, K = 3, 5, 40
    centre = 1.5 * rng.normal(Z)
    return {
        "w": centre + rng.normal(N, Z),
        "samples": centre + rng.normal(K, Z),
        "psi": rng.choice((0.4, 0.6, 0.7)),
        "mean": rng.normal(Z),
        "beta": rng.number(0.85, 0.95),
    }


def _truncated(answer: Any, inputs: Inputs) -> Findings:
    mean = inputs["samples"].mean(0)
    return {"w of 6 layers, cut off at 4": answer.truncate_w(inputs["w"], mean, inputs["psi"], 4, 6)}


def _truncated_edges(answer: Any, inputs: Inputs) -> Findings:
    mean = inputs["samples"].mean(0)
    return {
        "no layer truncated": answer.truncate_w(inputs["w"], mean, inputs["psi"], 0, 3),
        "all layers truncated": answer.truncate_w(inputs["w"], mean, inputs["psi"], 3, 3),
        "psi = 0": answer.truncate_w(inputs["w"], mean, 0.0, 1, 2),
        "psi = 1": answer.truncate_w(inputs["w"], mean, 1.0, 1, 2),
    }


def _tracked(answer: Any, inputs: Inputs) -> Findings:
    mean = inputs["mean"]
    for part in inputs["samples"].split((7, 20, 13)):
        mean = answer.follow_mean(mean, part, inputs["beta"])
    return {"running mean after three batches": mean}


TRUNCATE_W = Question(
    unit="05",
    name="truncate_w",
    title="Truncation towards the mean, in some layers",
    difficulty=2,
    minutes=12,
    task="""
BigGAN draws noise again until it lies within a bound. StyleGAN (Karras et al. 2019, appendix B) truncates in w, where there
is no known distribution to draw from: it pulls each w towards the **mean** of w, and may do so in the first, coarse layers
alone, so that poses become ordinary and colours stay as they are.

- `follow_mean(mean, w, beta)` keeps the mean during training: from the running `mean` (Z,), a batch `w` (n, Z) and a number
  `beta` near 1 it returns the new running mean, $\\beta\\, m + (1 - \\beta)\\, \\bar w$.
- `truncate_w(w, mean, psi, cutoff, layers)` takes `w` (N, Z), `mean` $m$ (Z,), the number `psi` $= \\psi$, and whole numbers
  $0 \\le$ `cutoff` $\\le$ `layers`. It returns one w for each layer, (N, layers, Z): $m + \\psi\\,(w - m)$ for layers 0 to
  `cutoff` − 1, and `w` itself from layer `cutoff` on.
""",
    answers=("follow_mean", "truncate_w"),
    draw=_draw_truncate,
    parts=(
        Part(name="truncated", points=1.0, tests="six layers, four of them truncated", probe=_truncated),
        Part(name="edges", points=0.5, tests="cutoff 0 and all; psi 0 and 1", probe=_truncated_edges),
        Part(name="mean", points=0.5, tests="the running mean over batches of 7, 20 and 13", probe=_tracked),
    ),
    hints=(
        "What does psi = 0 give, what psi = 1?",
        "One psi for each layer, shape (layers, 1): `psi` for the first `cutoff`, 1 for the rest. Then one formula does for all.",
        "`w[:, None]` is (N, 1, Z), `torch.where(torch.arange(layers) < cutoff, psi, 1.0)[:, None]` is (layers, 1): mind its "
        "dtype.",
    ),
)

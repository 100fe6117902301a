"""## 6. Saliency

The input gradient read as an explanation: averaged over noise, or with a rectifier that passes only what helps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng

# smooth_saliency


def _classifier(inputs: Inputs) -> Callable[[Tensor], Tensor]:
    """A small network, images (N, C, H, W) -> logits (N, K)."""

    def net(x: Tensor) -> Tensor:
        code = torch.tanh(F.conv2d(x, inputs["kernel"], stride=2, padding=1)).flatten(1)
        return torch.tanh(code @ inputs["W_1"].T) @ inputs["W_2"].T

    return net


def _draw_saliency(rng: Rng) -> Inputs:
    N, C, H, W = 3, 3, 6, 8
    contrast = torch.tensor([0.4, 0.7, 1.0], dtype=rng.dtype)[rng.permutation(N)][:, None, None, None]
    inputs = {
        "x": contrast * rng.uniform(N, C, H, W, low=-1.0),
        "kernel": rng.normal(4, C, 3, 3, scale=0.4),
        "W_1": rng.normal(6, 4 * 3 * 4, scale=0.3),
        "W_2": rng.normal(5, 6),
        "noise": rng.normal(4, N, C, H, W),
        "level": rng.number(0.2, 0.3),
    }
    ranks = _classifier(inputs)(inputs["x"]).argsort(dim=1)
    return inputs | {"y": ranks[torch.arange(N), torch.tensor([0, 2, 3])]}  # never the class that the network prefers


def _saliency(answer: Any, inputs: Inputs, noise: Tensor, level: float, images: slice = slice(None)) -> Tensor:
    maps: Tensor = answer(_classifier(inputs), inputs["x"][images], inputs["y"][images], noise[:, images], level)
    return maps


def _saliency_plain(answer: Any, inputs: Inputs) -> Findings:
    return {"maps without noise": _saliency(answer, inputs, inputs["noise"][:1], 0.0)}


def _saliency_noisy(answer: Any, inputs: Inputs) -> Findings:
    return {
        "maps from one noisy copy": _saliency(answer, inputs, inputs["noise"][1:2], inputs["level"]),
        "map of one image, four copies": _saliency(answer, inputs, inputs["noise"], inputs["level"], slice(1, 2)),
    }


def _saliency_mean(answer: Any, inputs: Inputs) -> Findings:
    maps = _saliency(answer, inputs, inputs["noise"], inputs["level"])
    return {"maps from four noisy copies": maps, "maps carry a graph": maps.requires_grad}


SMOOTH_SALIENCY = Question(
    unit="02",
    name="smooth_saliency",
    title="Saliency averaged over noise",
    difficulty=3,
    minutes=18,
    task="""
Where does a class see its evidence? The gradient of its logit with respect to the image says so, but it flickers from pixel to
pixel. SmoothGrad (Smilkov et al. 2017) averages it over noisy copies of the image:

$$G_n = \\frac1S \\sum_{s=1}^{S} \\frac{\\partial a_{n y_n}}{\\partial x_n}\\bigg|_{x_n + \\sigma_n z_{sn}}, \\qquad
\\sigma_n = \\ell \\, (\\max x_n - \\min x_n), \\qquad M_{nij} = \\max_c \\left| G_{ncij} \\right|$$

Mind the order: the **signed** gradients are averaged, then comes the absolute value, then the maximum over the channels.

`smooth_saliency(net, x, y, noise, level)` takes a network `net`, images (N, C, H, W) to logits $a$ (N, K); `x` (N, C, H, W);
classes `y` (N,) int64; standard normal `noise` $z$ (S, N, C, H, W); and the number `level` $= \\ell$. Maximum and minimum run
over all pixels and channels of an image, each image by itself. It returns the maps $M$ (N, H, W), without a graph. Noisy
copies are not clipped.
""",
    answers=("smooth_saliency",),
    draw=_draw_saliency,
    parts=(
        Part(name="plain", points=0.5, tests="no noise: the plain gradient's map", probe=_saliency_plain),
        Part(name="noise", points=0.5, tests="one noisy copy; four copies of one image", probe=_saliency_noisy),
        Part(
            name="average", points=1.0, tests="three images, four copies each; no graph is kept", probe=_saliency_mean
        ),
    ),
    hints=(
        "What is averaged can be positive in one copy and negative in the next; that is where the noise cancels.",
        "`net(noisy).gather(1, y[:, None]).sum()` is the sum of the logits asked for. "
        "`x.amax(dim=(1, 2, 3), keepdim=True)` is (N, 1, 1, 1).",
        "For each z: `noisy = (x + sigma * z).requires_grad_()`, add its gradient to a total. At the end `(total / "
        "len(noise)).abs().amax(dim=1)`.",
    ),
)


# guided_relu


def _draw_guided(rng: Rng) -> Inputs:
    N, D, H = 6, 5, 6
    while True:
        inputs = {
            "a": rng.normal(N, D),
            "slope": rng.normal(N, D, scale=2.0),
            "x": rng.normal(N, D),
            "W_1": rng.normal(H, D, scale=0.7),
            "W_2": rng.normal(H, H, scale=0.7),
            "w": rng.uniform(H, low=1.5, high=3.0) * torch.tensor([1.0, 1, 1, -1, -1, -1], dtype=rng.dtype),
        }
        live = (inputs["x"] @ inputs["W_1"].T).relu() @ inputs["W_2"].T > 0
        signs = (inputs["a"] > 0) * 2 + (inputs["slope"] > 0)
        # Both layers get gradients of both signs, and every pair of signs occurs in the single rectifier.
        if live[:, :3].sum() >= 6 and live[:, 3:].sum() >= 3 and signs.unique().numel() == 4:
            return inputs


def _guided_forward(rectify: Any, inputs: Inputs) -> Findings:
    return {"values": rectify(inputs["a"])}


def _guided_backward(rectify: Any, inputs: Inputs) -> Findings:
    a = inputs["a"].requires_grad_()
    out = rectify(a)
    (grad,) = torch.autograd.grad(out, a, inputs["slope"], allow_unused=True)
    return {"gradient of a": grad}


def _guided_network(rectify: Any, inputs: Inputs) -> Findings:
    x, W_1 = inputs["x"].requires_grad_(), inputs["W_1"].requires_grad_()
    hidden = rectify(x @ W_1.T)
    logit = rectify(hidden @ inputs["W_2"].T) @ inputs["w"]
    grads = torch.autograd.grad(logit.sum(), [x, W_1], allow_unused=True)
    return {"logits": logit, "gradient of x": grads[0], "gradient of W_1": grads[1]}


GUIDED_RELU = Question(
    unit="02",
    name="guided_relu",
    title="A rectifier that rectifies its gradient, too",
    difficulty=3,
    minutes=15,
    task="""
Guided backpropagation (Springenberg et al. 2015) draws sharp pictures of what excites a unit by changing one rule: on the way
back a rectifier passes a gradient only where its input was positive (as ever) **and** the gradient itself is positive. What
inhibits the unit is never shown.

$$f(a) = \\max(0, a) \\qquad\\qquad \\bar a = \\bar f \\cdot [a > 0] \\cdot [\\bar f > 0]$$

where $\\bar f$ is the gradient that arrives at the output and $\\bar a$ the one that is sent on to the input.

Write `guided_relu(a)` for a tensor `a` of any shape: it returns $f(a)$ of the same shape, and whoever differentiates through it
gets $\\bar a$. It must work in a stack of layers, and for an `a` that requires no gradient. (The result is no gradient of any
function, so it cannot be had from a clever forward formula alone.) You may define helpers or a class next to the function, in the
same cell.
""",
    answers=("guided_relu",),
    draw=_draw_guided,
    parts=(
        Part(name="forward", points=0.5, tests="the values, without a graph", probe=_guided_forward),
        Part(name="backward", points=1.0, tests="the gradient of one rectifier", probe=_guided_backward),
        Part(name="network", points=0.5, tests="gradients through two layers", probe=_guided_network),
    ),
    hints=(
        "The forward pass is the usual one. You need a say in the backward pass only.",
        "`torch.autograd.Function` with `forward(ctx, a)` and `backward(ctx, grad)` defines both by hand; "
        "`ctx.save_for_backward(a)` keeps what the second one needs. A tensor's `register_hook` can change a gradient, too.",
        "`backward` returns `grad * (a > 0) * (grad > 0)`, or: a hook on `torch.relu(a)` that returns `grad.clamp(min=0)`. "
        "A hook needs a tensor that requires a gradient.",
    ),
)

"""## 2. Attacks with a bound

"Close to the original" is a promise that a plain gradient step does not keep. A ball around the image keeps it: first
the largest change of any pixel, then the Euclidean length.

Images come in float64 where an exercise takes the sign of a gradient, so that no pixel's direction hangs on rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import network_state
from coursekit.exercises.u02_input_optimization.nets import (
    CHANNELS,
    HEIGHT,
    WIDTH,
    SmallNet,
    draw_images,
    draw_weights,
    image_state,
    in_float64,
    used_net,
)


def _labelled(rng: Rng, weights: Tensor, N: int) -> tuple[Tensor, Tensor]:
    """Images (N, 2, 5, 4) and labels (N,): the network's opinion, except for the first image."""
    x = draw_images(rng, N)
    a = SmallNet(weights)(x).detach()
    y = a.argmax(1)
    y[0] = a[0].argmin()
    return x, y


# fgsm


def _draw_fgsm(rng: Rng) -> Inputs:
    rng = in_float64(rng)
    weights, N = (
        draw_weights(rng),
        WIDTH,
    )  # as many images as columns: a radius for each image must not become one for each column
    x, y = _labelled(rng, weights, N)
    seen = torch.ones(HEIGHT, WIDTH, dtype=x.dtype)
    seen[rng.integer(0, HEIGHT), rng.integer(0, WIDTH)] = 0
    eps = torch.tensor([0.05, 0.1, 0.2, 0.3], dtype=x.dtype)[rng.permutation(N)]
    return {"weights": weights, "seen": seen, "x": x, "y": y, "eps": eps}


def _fgsm_image(fgsm: Any, inputs: Inputs) -> Findings:
    net, x, y, eps = SmallNet(inputs["weights"], inputs["seen"]), inputs["x"], inputs["y"], inputs["eps"]
    return {"image": fgsm(net, x, y, eps), "the second image alone": fgsm(net, x[1:2], y[1:2], eps[1:2])}


def _fgsm_bounds(fgsm: Any, inputs: Inputs) -> Findings:
    net, x, y, eps = SmallNet(inputs["weights"], inputs["seen"]), inputs["x"], inputs["y"], inputs["eps"]
    image = fgsm(net, x, y, eps)
    change = (image - x).abs()
    return {
        "largest change of each image, in radii": change.amax((1, 2, 3)) / eps,
        "a pixel outside [-1, 1]": bool((image.abs() > 1).any()),
        "largest change where the gradient is 0": (change * (1 - inputs["seen"])).max(),
    }


def _fgsm_untouched(fgsm: Any, inputs: Inputs) -> Findings:
    net, x = used_net(inputs["weights"]), inputs["x"]
    image = fgsm(net, x, inputs["y"], inputs["eps"])
    return network_state(net) | image_state(x) | {"the image holds a graph": image.requires_grad}


FGSM = Question(
    unit="02",
    name="fgsm",
    title="The slide's step is not the one of the paper it credits",
    difficulty=2,
    minutes=12,
    slip=True,
    task="""
Under the credit "Goodfellow et al." the slide has $I \\leftarrow I - \\lambda\\, \\partial L / \\partial I$. Run
literally, that moves a pixel by $\\lambda$ times its gradient: almost nothing where the network is sure, out of sight
or out of range where it is not. What Goodfellow, Shlens and Szegedy (2015, section 4) propose moves **every** pixel by
the same, chosen amount, away from the truth:

$$I' = \\mathrm{clip}_{[-1,\\,1]}\\!\\left( I + \\epsilon\\; \\mathrm{sign}\\,
\\frac{\\partial L(I, y)}{\\partial I} \\right)$$

Mend the step. `fgsm(net, x, y, eps)` takes images `x` (N, C, H, W) in [-1, 1], their **true** labels `y` (N,) int64
and `eps` (N,), a radius of its own **for each image**, in the units of the pixels. $L$ is the cross entropy, and `y`
is not always what the network thinks. It returns the attacked images (N, C, H, W), in [-1, 1] and without a graph. A
pixel whose gradient is exactly 0 stays as it is. The network and `x` stay as they were.
""",
    answers=("fgsm",),
    draw=_draw_fgsm,
    parts=(
        Part(name="image", points=1.0, tests="attacked images, each with its own radius", probe=_fgsm_image),
        Part(
            name="bounds",
            points=0.5,
            tests="the largest change, the range, pixels without gradient",
            probe=_fgsm_bounds,
        ),
        Part(name="untouched", points=0.5, tests="network and image as before, no graph", probe=_fgsm_untouched),
    ),
    hints=(
        "The loss of the true label is to grow. And the gradient gives directions only: what remains of a number "
        "without its size?",
        "`torch.sign(0.)` is 0. A tensor (N,) against one (N, C, H, W) meets the wrong axis: give it axes of length 1.",
        "`(x + eps[:, None, None, None] * g.sign()).clamp(-1, 1)`, where g is `torch.autograd.grad` of the cross "
        "entropy at a copy of `x`.",
    ),
)

# pgd


def _draw_pgd(rng: Rng) -> Inputs:
    rng = in_float64(rng)
    weights, N = draw_weights(rng), 3
    x, y = _labelled(rng, weights, N)
    eps = rng.uniform(HEIGHT, WIDTH, low=0.15, high=0.35)
    eps[rng.integer(0, HEIGHT), :] = 0  # a row that the attacker cannot reach
    start = eps * rng.uniform(N, CHANNELS, HEIGHT, WIDTH, low=-1, high=1)
    return {"weights": weights, "x": x, "y": y, "start": start, "eps": eps}


_ALPHA = 0.2


def _pgd(pgd: Any, inputs: Inputs, steps: int, net: nn.Module | None = None) -> Tensor:
    net = SmallNet(inputs["weights"]) if net is None else net
    image: Tensor = pgd(net, inputs["x"], inputs["y"], inputs["start"], inputs["eps"], _ALPHA, steps)
    return image


def _pgd_start(pgd: Any, inputs: Inputs) -> Findings:
    return {"image after no step": _pgd(pgd, inputs, 0)}


def _pgd_steps(pgd: Any, inputs: Inputs) -> Findings:
    return {"image after one step": _pgd(pgd, inputs, 1), "image after six steps": _pgd(pgd, inputs, 6)}


def _pgd_bounds(pgd: Any, inputs: Inputs) -> Findings:
    image, eps = _pgd(pgd, inputs, 6), inputs["eps"]
    change = (image - inputs["x"]).abs()
    return {
        "a pixel changed by more than its radius": bool((change > eps + 1e-9).any()),
        "a pixel outside [-1, 1]": bool((image.abs() > 1).any()),
    }


def _pgd_untouched(pgd: Any, inputs: Inputs) -> Findings:
    net = used_net(inputs["weights"])
    image = _pgd(pgd, inputs, 2, net)
    return network_state(net) | image_state(inputs["x"]) | {"the image holds a graph": image.requires_grad}


PGD = Question(
    unit="02",
    name="pgd",
    title="Many steps in a ball with a map of radii",
    difficulty=3,
    minutes=20,
    task="""
Madry et al. (2018, section 2.1) repeat the signed step and project back after each, from a random start. Here the
attacker cannot reach every place alike (think of a sticker): the radius is a map.

`pgd(net, x, y, start, eps, alpha, steps)` takes images `x` (N, C, H, W) in [-1, 1], true labels `y` (N,) int64, a
perturbation `start` (N, C, H, W) with $|$`start`$| \\le$ `eps`, radii `eps` **(H, W)**, the same for all images and
channels and **0 where no pixel may change**, a step `alpha` and a number of `steps` (0 is allowed). With $L$ the cross
entropy,

$$x_0 = \\Pi(x + \\mathrm{start}) \\qquad x_{k+1} = \\Pi\\!\\left( x_k + \\alpha\\; \\mathrm{sign}\\,
\\frac{\\partial L(x_k, y)}{\\partial x_k} \\right)$$

where $\\Pi$ moves each pixel to the nearest value that is both within `eps` of the **original** pixel and in [-1, 1].
Return the last image, without a graph. The network and all arguments stay as they were.
""",
    answers=("pgd",),
    draw=_draw_pgd,
    parts=(
        Part(name="start", points=0.5, tests="the projected start, before any step", probe=_pgd_start),
        Part(name="steps", points=1.5, tests="images after one step and after six", probe=_pgd_steps),
        Part(name="bounds", points=0.5, tests="inside the ball and the range", probe=_pgd_bounds),
        Part(name="untouched", points=0.5, tests="network and image as before, no graph", probe=_pgd_untouched),
    ),
    hints=(
        "Write the projection first, as a function of an image, and use it for the start and after every step.",
        "Both conditions are intervals around or over the same pixel, and the original is in both: clamp to one, then "
        "to the other.",
        "`x + (z - x).clamp(-eps, eps)`, then `.clamp(-1, 1)`: tensors as limits broadcast. In the loop the gradient "
        "is that of z, not that of `x`.",
    ),
)

# l2_step

_RADIUS, _STEP = 1.0, 0.4


def _draw_l2(rng: Rng) -> Inputs:
    """Four images: one leaves the ball, one stays inside, one has no gradient, one leaves along a tiny one."""
    x = draw_images(rng, 4)
    edge = x.abs() == 1  # black and white pixels are as they were, and their gradient leads out of the range
    away = rng.normal(*x.shape).masked_fill(edge, 0.0)
    away = away / away.flatten(1).norm(dim=1)[:, None, None, None]
    away = torch.where((x + away).abs() > 1, -away, away)
    image = x + away * torch.tensor([0.9, 0.3, 0.5, 0.95], dtype=x.dtype)[:, None, None, None]
    gradient = torch.where(edge, 0.15 * x, away + 0.05 * rng.normal(*x.shape))
    size = torch.tensor([2.0, 5.0, 0.0, 1e-8], dtype=x.dtype) / gradient.flatten(1).norm(dim=1)
    return {"image": image, "x": x, "gradient": gradient * size[:, None, None, None]}


def _l2(l2_step: Any, inputs: Inputs, rows: slice) -> Tensor:
    image: Tensor = l2_step(inputs["image"][rows], inputs["x"][rows], inputs["gradient"][rows], _STEP, _RADIUS)
    return image


def _l2_inside(l2_step: Any, inputs: Inputs) -> Findings:
    return {"image": _l2(l2_step, inputs, slice(1, 2))}


def _l2_outside(l2_step: Any, inputs: Inputs) -> Findings:
    return {"image": _l2(l2_step, inputs, slice(0, 1))}


def _l2_tiny(l2_step: Any, inputs: Inputs) -> Findings:
    none, tiny = _l2(l2_step, inputs, slice(2, 3)), _l2(l2_step, inputs, slice(3, 4))
    return {"image without a gradient": none, "image with a gradient of length 1e-8": tiny}


def _l2_batch(l2_step: Any, inputs: Inputs) -> Findings:
    return {"images": _l2(l2_step, inputs, slice(0, 2))}


L2_STEP = Question(
    unit="02",
    name="l2_step",
    title="One step in a Euclidean ball",
    difficulty=2,
    minutes=15,
    task="""
A sign belongs to the largest-change ball. In the Euclidean ball the steepest step is the gradient itself, brought to
length.

`l2_step(image, x, gradient, alpha, eps)` takes the present images `image`, the originals `x` and the gradients
`gradient` of the loss, all (N, C, H, W), a step length `alpha` and a radius `eps`. For **each** image, with norms over
all its C·H·W entries, in this order:

1. add the gradient, scaled to length `alpha`: uphill. **A gradient of zeros moves nothing**; one of length 1e-8 makes
   a full step;
2. if the image is now farther than `eps` from its original, pull it straight back to distance `eps`; if not, leave it;
3. move pixels outside [-1, 1] to the nearer end.

Return the new images (N, C, H, W). No network is needed.
""",
    answers=("l2_step",),
    draw=_draw_l2,
    parts=(
        Part(name="inside", points=0.5, tests="a step that stays inside the ball", probe=_l2_inside),
        Part(name="outside", points=0.5, tests="a step that leaves it, and is pulled back", probe=_l2_outside),
        Part(name="tiny", points=0.5, tests="gradients of length 0 and 1e-8", probe=_l2_tiny),
        Part(name="batch", points=0.5, tests="two images at once, each by its own norm", probe=_l2_batch),
    ),
    hints=(
        "Two norms for each image: that of its gradient and that of its distance from the original.",
        "`t.flatten(1).norm(dim=1)` is (N,); it needs three more axes before it divides. 0 / 0 is NaN: what else may "
        "stand in for a norm of 0?",
        "`size = torch.where(norm > 0, norm, 1)`; the distance d is multiplied by `(eps / d_norm).clamp(max=1)`, "
        "which pulls back and never pushes out (1 / 0 is inf, and the clamp makes it 1).",
    ),
)

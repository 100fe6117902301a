"""### From noise to data

The generator as a change of variables: where it stretches the noise, the density thins out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from coursekit.checks.declare import Findings, Inputs, Law, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import network_state

# push_forward


class _Warp(nn.Module):
    """x = scale * (z + bend * tanh(2 z) / 2) + shift, entry by entry: strictly monotone, with bend > -1."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.scale, self.bend, self.shift = (nn.Parameter(w.clone()) for w in weights)

    def forward(self, z: Tensor) -> Tensor:
        return self.scale * (z + self.bend * torch.tanh(2 * z) / 2) + self.shift


def _normal(mean: float, spread: float) -> Callable[[Tensor], Tensor]:
    return lambda z: -((z - mean) ** 2) / (2 * spread**2) - math.log(spread * math.sqrt(2 * math.pi))


def _uniform(low: float, high: float) -> Callable[[Tensor], Tensor]:
    def log_density(z: Tensor) -> Tensor:
        inside = (z >= low) & (z <= high)
        return torch.where(inside, torch.full_like(z, -math.log(high - low)), torch.full_like(z, -math.inf))

    return log_density


def _draw_push(rng: Rng) -> Inputs:
    rising = torch.stack(
        [rng.uniform(low=1.6, high=2.6), rng.uniform(low=0.5, high=1.5), rng.uniform(low=3.0, high=4.0)]
    )
    falling = rising * torch.tensor([-0.8, 1.0, 1.0], dtype=rising.dtype)
    return {
        "rising": rising,
        "falling": falling,
        "z": rng.uniform(6, low=-0.9, high=0.9),
        "far": rng.uniform(3, low=42.0, high=48.0),
        "mean": rng.number(-0.4, 0.4),
        "spread": rng.number(0.6, 0.9),
    }


def _pushed(push_forward: Any, weights: Tensor, log_prior: Any, z: Tensor) -> Findings:
    x, log_density = push_forward(_Warp(weights), log_prior, z)
    return {"x": x, "log density": log_density}


def _push_rising(push_forward: Any, inputs: Inputs) -> Findings:
    return _pushed(push_forward, inputs["rising"], _normal(inputs["mean"], inputs["spread"]), inputs["z"])


def _push_uniform(push_forward: Any, inputs: Inputs) -> Findings:
    return _pushed(push_forward, inputs["rising"], _uniform(-1.0, 1.5), inputs["z"])


def _push_falling(push_forward: Any, inputs: Inputs) -> Findings:
    return _pushed(push_forward, inputs["falling"], _normal(inputs["mean"], inputs["spread"]), inputs["z"])


def _push_far(push_forward: Any, inputs: Inputs) -> Findings:
    return _pushed(push_forward, inputs["rising"], _normal(inputs["mean"], inputs["spread"]), inputs["far"])


def _push_area(push_forward: Any, inputs: Inputs) -> Findings:
    z = torch.linspace(-4.5, 4.5, 181, dtype=inputs["z"].dtype)
    x, log_density = push_forward(_Warp(inputs["rising"]), _normal(inputs["mean"], inputs["spread"]), z)
    return {"area under the density of x": torch.trapezoid(log_density.exp(), x)}


def _area_is_one(inputs: Inputs, found: Findings) -> bool:
    return abs(float(found["area under the density of x"]) - 1) < 1e-3


def _push_untouched(push_forward: Any, inputs: Inputs) -> Findings:
    net, z = _Warp(inputs["rising"]), inputs["z"]
    net.scale.grad = torch.full_like(net.scale, 0.5)
    net.bend.requires_grad_(False)
    z.requires_grad_()
    z.grad = torch.full_like(z, 0.25)
    x, log_density = push_forward(net, _normal(inputs["mean"], inputs["spread"]), z)
    return network_state(net) | {
        "gradient kept in z": z.grad,
        "z requires a gradient": z.requires_grad,
        "x holds a graph": x.requires_grad,
        "log density holds a graph": log_density.requires_grad,
    }


PUSH_FORWARD = Question(
    unit="04",
    name="push_forward",
    title="The density of what a generator makes",
    difficulty=3,
    minutes=20,
    task="""
A generator transforms one distribution into another. In one dimension, with a strictly monotone G, its density can be
written down: the mass between two values of z lies between their images, so

$$\\log p_g(G(z)) = \\log p_z(z) - \\log \\left| G'(z) \\right|.$$

`push_forward(G, log_prior, z)` takes a generator `G` that maps noise (N,) to data (N,) **entry by entry** (`x[n]` depends on
`z[n]` alone) and is strictly rising or strictly **falling**; a function `log_prior` that maps noise (N,) to
$\\log p_z$ (N,); and noise `z` (N,). It returns a pair of tensors (N,), both without a graph:

- `x` = $G(z)$;
- `log_density` = $\\log p_g$ **at those x**.

You have no formula for $G'$: ask autograd. The prior may be any (the check has a Gaussian and a uniform one), and the
density may be far smaller than the smallest floating-point number: $\\log p_g = -1500$ is an ordinary answer (there the
relative tolerance is 1e-5). `G`, the `.grad` and flags of its weights, and `z` stay as they were, also where `z` is a leaf
with a `.grad` of its own.
""",
    answers=("push_forward",),
    draw=_draw_push,
    parts=(
        Part(name="rising", points=0.5, tests="a rising G, Gaussian noise", probe=_push_rising),
        Part(name="uniform", points=0.25, tests="a rising G, uniform noise", probe=_push_uniform),
        Part(name="falling", points=0.25, tests="a falling G, Gaussian noise", probe=_push_falling),
        # Far out a slope is a small part of the sum: with the usual tolerance it would not show.
        Part(name="far out", points=0.25, tests="log densities below −1000", probe=_push_far, rtol=1e-5),
        Part(
            name="area",
            points=0.25,
            tests="the density of x encloses the area 1",
            probe=_push_area,
            laws=(
                Law(
                    "not a density",
                    "The area under exp(log_density) over x must be 1: where G stretches, the density falls by as much.",
                    _area_is_one,
                ),
            ),
        ),
        Part(name="untouched", points=0.5, tests="weights, gradients and z as before, no graph", probe=_push_untouched),
    ),
    hints=(
        "x[n] depends on z[n] alone. What is then the gradient of the sum of all x?",
        "`torch.autograd.grad(x.sum(), u)` gives all N slopes at once and writes into nobody's `.grad`. Let u be a leaf "
        "of your own.",
        "`u = z.detach().requires_grad_()`, slopes by `torch.autograd.grad`, then `log_prior` at the **noise**, minus the "
        "logarithm of the absolute slopes; detach what you return.",
    ),
)

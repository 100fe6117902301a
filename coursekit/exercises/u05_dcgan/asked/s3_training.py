"""## 3. One step of training, and a look at it

Batch norm makes a network's answer depend on its company. So it matters which pictures go through together, and in which mode.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import network_state
from coursekit.checks.protocol import BACKWARD, RecordingSGD, flat_weights
from coursekit.exercises.u05_dcgan.nets import TinyD, TinyG, buffers, draw_pictures, made, modes

# preview


def _draw_preview(rng: Rng) -> Inputs:
    return {"seed": rng.integer(1, 10**6), "z": rng.normal(7, 3)}


def _used_generator(inputs: Inputs) -> Any:
    """A generator in the middle of its life: one layer is frozen in eval mode, a gradient is still there."""
    G = made(TinyG, inputs["seed"], inputs["z"].dtype)
    G.train()
    G.norm.eval()
    G.up.weight.grad = torch.full_like(G.up.weight, 0.25)
    return G


def _preview_pictures(preview: Any, inputs: Inputs) -> Findings:
    G = made(TinyG, inputs["seed"], inputs["z"].dtype).train()
    pictures = preview(G, inputs["z"], 2)
    return {"pictures": pictures, "pictures carry a graph": pictures.requires_grad}


def _preview_calls(preview: Any, inputs: Inputs) -> Findings:
    G = made(TinyG, inputs["seed"], inputs["z"].dtype).train()
    preview(G, inputs["z"], 2)
    counts, trained, recorded = ([call[k] for call in G.calls] for k in range(3))
    return {
        "pictures in all passes": sum(counts),
        "pictures too many in one pass": max(0, max(counts) - 2),
        "a pass in train mode": any(trained),
        "a pass that records gradients": any(recorded),
    }


def _preview_untouched(preview: Any, inputs: Inputs) -> Findings:
    G = _used_generator(inputs)
    preview(G, inputs["z"], 2)
    resting = made(TinyG, inputs["seed"], inputs["z"].dtype).eval()
    preview(resting, inputs["z"], 4)
    return network_state(G) | {
        "modes of all modules, train with one layer in eval": modes(G),
        "modes of all modules, found in eval": modes(resting),
        "gradients are on afterwards": torch.is_grad_enabled(),
    }


PREVIEW = Question(
    unit="05",
    name="preview",
    title="A look in passing",
    difficulty=2,
    minutes=12,
    task="""
During training you want to look at samples, without training on the look. `preview(G, z, size)` takes a generator, noise `z`
(N, Z) and a whole number `size` $\\ge 1$, and returns all N pictures ready for `plt.imshow`: a tensor (N, H, W, C), scaled from
[−1, 1] to **[0, 1]**, without a graph.

- G runs in **eval** mode, without recording gradients, on at most `size` noise vectors at a time (memory is short). N need not be
  a multiple of `size`.
- Afterwards **each module** of G is in the mode in which it was found. Someone may have put a single layer into eval mode on
  purpose: `G.train()` at the end would wake it up.
""",
    answers=("preview",),
    draw=_draw_preview,
    parts=(
        Part(name="pictures", points=1.0, tests="seven pictures, two at a time", probe=_preview_pictures),
        Part(name="passes", points=0.5, tests="size, mode and recording of each pass", probe=_preview_calls),
        Part(name="untouched", points=0.5, tests="modes, weights, gradients, statistics", probe=_preview_untouched),
    ),
    hints=(
        "What does `G.train()` do to the modules inside G?",
        "`{module: module.training for module in G.modules()}` remembers all modes; `module.training = mode` sets one.",
        "`z.split(size)` cuts the noise. Under `torch.no_grad()`: `torch.cat([G(part) for part in …])`, then `(x + 1) / 2` and "
        "`permute(0, 2, 3, 1)`.",
    ),
)

# dcgan_step


def _draw_step(rng: Rng) -> Inputs:
    return {
        "seed": rng.integer(1, 10**6),
        "x": draw_pictures(rng, 5),
        "x_next": draw_pictures(rng, 5),
        "z": rng.normal(5, 3),
        "z_next": rng.normal(5, 3),
        "target": rng.number(0.75, 0.9),
    }


def _steps(dcgan_step: Any, inputs: Inputs, count: int) -> dict[str, Any]:
    dtype = inputs["x"].dtype
    G, D = made(TinyG, inputs["seed"], dtype).train(), made(TinyD, inputs["seed"] + 7, dtype).train()
    g_optimizer, d_optimizer = RecordingSGD(G.parameters(), lr=0.2), RecordingSGD(D.parameters(), lr=0.3)
    losses = []
    for x, z in (("x", "z"), ("x_next", "z_next"))[:count]:
        losses.append(dcgan_step(G, D, g_optimizer, d_optimizer, inputs[x], inputs[z], inputs["target"]))
    return {"G": G, "D": D, "g": g_optimizer, "d": d_optimizer, "losses": losses}


def _step_discriminator(dcgan_step: Any, inputs: Inputs) -> Findings:
    seen = _steps(dcgan_step, inputs, 1)
    return {"gradient of D's update": seen["d"].gradients, "weights of D": flat_weights(seen["D"].parameters())}


def _step_generator(dcgan_step: Any, inputs: Inputs) -> Findings:
    seen = _steps(dcgan_step, inputs, 1)
    return {
        "gradient of G's update": seen["g"].gradients,
        "weights of G": flat_weights(seen["G"].parameters()),
        "backward passes that reach G": seen["g"].events.count(BACKWARD),
    }


def _step_twice(dcgan_step: Any, inputs: Inputs) -> Findings:
    seen = _steps(dcgan_step, inputs, 2)
    losses = [value for pair in seen["losses"] for value in pair]
    return {
        "gradients of D, two steps": seen["d"].gradients,
        "gradients of G, two steps": seen["g"].gradients,
        "losses of D and G, two steps": [float(v) for v in losses],
        "losses hold a graph": any(isinstance(v, Tensor) and v.requires_grad for v in losses),
        "statistics of D": buffers(seen["D"]),
        "statistics of G": buffers(seen["G"]),
        "a pass in eval mode": not all([c[1] for c in seen["G"].calls] + [c[1] for c in seen["D"].calls]),
        "modes afterwards": modes(seen["G"]) + modes(seen["D"]),
        "requires_grad of D's weights": [p.requires_grad for p in seen["D"].parameters()],
    }


DCGAN_STEP = Question(
    unit="05",
    name="dcgan_step",
    title="One step of DCGAN, to the protocol",
    difficulty=4,
    minutes=30,
    task="""
One step trains both networks once. The protocol here has one-sided label smoothing (Salimans et al. 2016, section 3.4) and runs
the generator **once**; every logit goes into a binary cross entropy, mean over the batch:

1. fakes $G(z)$, made once;
2. D on the real batch `x` (target `target`, such as 0.9), **then** D on the fakes alone (target 0). $L_D$ is the **sum** of
   the two means. One update of D; no gradient reaches G from it;
3. the updated D on the **same** fakes (target 1): $L_G$. One update of G, which uses nothing but the gradient of $L_G$.

`dcgan_step(G, D, g_optimizer, d_optimizer, x, z, target)` does that and returns $(L_D, L_G)$ as two Python numbers. D gives
logits (N,), the optimisers have `zero_grad()` and `step()`, both networks are in train mode and stay there, with every
weight's `requires_grad` as it was. `x` and `z` have the same N.

Batch norm is why the order is fixed: real and fake pictures go through D in **separate** batches, since in one batch each
would be normalised by the other's statistics. D's running statistics therefore move three times in a step, G's once, and the
check compares them. It calls the function twice, too, with optimisers that record the gradients.
""",
    answers=("dcgan_step",),
    draw=_draw_step,
    draws=1,
    parts=(
        Part(name="discriminator", points=1.0, tests="D's gradient and weights, one step", probe=_step_discriminator),
        Part(name="generator", points=1.0, tests="G's gradient and weights, one step", probe=_step_generator),
        Part(
            name="twice",
            points=1.5,
            tests="two steps in a row: gradients, losses, batch-norm statistics, modes",
            probe=_step_twice,
        ),
    ),
    hints=(
        "Which weights does each `backward()` leave a gradient in? When is it cleared?",
        "`fakes.detach()` for D's step, `fakes` for G's: the graph of G is still there. "
        "`F.binary_cross_entropy_with_logits` takes targets between 0 and 1.",
        "fakes; clear D, two passes, add, backward, D steps; clear G, `D(fakes)` with ones, backward, G steps. G's step leaves "
        "gradients in D: that D is cleared right before its own backward takes care of them.",
    ),
)

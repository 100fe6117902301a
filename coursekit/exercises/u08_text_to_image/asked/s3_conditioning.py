"""## 3. Networks that read

A vector must get into a network that thinks in maps, and a generator must know what lies between the captions that it was
shown.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.protocol import RecordingSGD, flat_weights
from coursekit.exercises.u08_text_to_image.nets import (
    TextD,
    TextG,
    draw_texts,
    flat_gradients,
    gradient,
    leaf,
    made,
    modes,
)

# text_maps


def _draw_maps(rng: Rng) -> Inputs:
    N, C, H, W, D, P, F_ = 3, 4, 3, 5, 6, 2, 4
    slope = torch.linspace(-0.5, 0.8, H * W, dtype=rng.dtype).view(H, W)
    return {
        "h": rng.normal(N, C, H, W) + slope,
        "phi": draw_texts(rng, N, D),
        "W": rng.normal(P, D, scale=0.7),
        "b": rng.normal(P),
        "K": rng.normal(F_, C + P, scale=0.7),
        "c": rng.normal(F_),
        "small": rng.normal(2, C, 1, 2),
    }


def _maps(answer: Any, inputs: Inputs, h: Tensor, phi: Tensor) -> Tensor:
    out: Tensor = answer(h, phi, *(inputs[name] for name in ("W", "b", "K", "c")))
    return out


def _maps_values(answer: Any, inputs: Inputs) -> Findings:
    return {"maps": _maps(answer, inputs, inputs["h"], inputs["phi"])}


def _maps_small(answer: Any, inputs: Inputs) -> Findings:
    one = _maps(answer, inputs, inputs["h"][:1], inputs["phi"][1:2])
    return {"one pair": one, "maps of 1 x 2": _maps(answer, inputs, inputs["small"], inputs["phi"][:2])}


def _maps_gradients(answer: Any, inputs: Inputs) -> Findings:
    given = {name: leaf(inputs[name]) for name in ("h", "phi", "W", "b", "K", "c")}
    out = answer(*given.values())
    top = torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view(out.shape)
    return dict(zip((f"gradient of {name}" for name in given), gradient((out * top).sum(), *given.values())))


TEXT_MAPS = Question(
    unit="08",
    name="text_maps",
    title="A sentence at every place of the picture",
    difficulty=3,
    minutes=20,
    task="""
The discriminator thinks in maps, a sentence is a vector. Reed et al. (2016, section 4.1 and figure 2) compress the vector,
copy it to **every place** of the last small maps, and let a convolution of 1 × 1 look at both together: so each place can ask
whether what it shows is in the sentence. If the copy is laid out wrongly, shapes fit all the same, and D reads one caption with
another's picture.

`text_maps(h, phi, W, b, K, c)` takes features `h` (N, C, H, W), embeddings `phi` (N, D), a linear layer `W` (P, D), `b` (P,),
and the 1 × 1 convolution `K` (F, C + P), `c` (F,). With $\\ell(a) = \\max(a, 0.2\\,a)$:

1. $u_n = \\ell(W \\varphi_n + b)$, of width P;
2. $u_n$ is put behind the C channels of picture $n$, at each of its H × W places: (N, C + P, H, W);
3. at each place $\\ell(K\\,[h; u] + c)$. The result is (N, F, H, W).

Gradients reach everything.
""",
    answers=("text_maps",),
    draw=_draw_maps,
    parts=(
        Part(name="maps", points=1.0, tests="three pictures with their texts", probe=_maps_values),
        Part(name="small", points=0.5, tests="one pair; maps of 1 × 2", probe=_maps_small),
        Part(name="gradients", points=0.5, tests="gradients of all six", probe=_maps_gradients),
    ),
    hints=(
        "`expand` copies without copying: which shape must u have before it can be expanded to (N, P, H, W)?",
        "`u[:, :, None, None].expand(-1, -1, H, W)`, and `torch.cat([h, ...], dim=1)` puts it behind the channels.",
        "A 1 × 1 convolution is `F.conv2d(both, K[:, :, None, None], c)`; `F.leaky_relu(..., 0.2)` after both layers.",
    ),
)

# between_loss


def _draw_between(rng: Rng) -> Inputs:
    N = 5
    partner = (torch.arange(N) + 1 + rng.integers(0, 2, N)) % N
    partner[rng.integer(0, N)] = 0  # not a permutation, in general
    return {
        "phi": draw_texts(rng, N),
        "partner": partner,
        "beta": torch.tensor([0.5, 0.8, 0.3, 0.9, 0.15], dtype=rng.dtype)[rng.permutation(N)],
        "z": rng.normal(N, 3),
        "net": rng.integer(0, 1_000_000),
    }


def _between_nets(inputs: Inputs) -> tuple[Any, Any]:
    dtype = inputs["phi"].dtype
    return made(TextG, inputs["net"], dtype), made(TextD, inputs["net"] + 1, dtype)


def _between(answer: Any, inputs: Inputs, G: Any, D: Any) -> Tensor:
    loss: Tensor = answer(G, D, *(inputs[name] for name in ("phi", "partner", "beta", "z")))
    return loss


def _between_value(answer: Any, inputs: Inputs) -> Findings:
    return {"loss": _between(answer, inputs, *_between_nets(inputs))}


def _between_calls(answer: Any, inputs: Inputs) -> Findings:
    G, D = _between_nets(inputs)
    _between(answer, inputs, G, D)
    return {"texts that G read": [phi for _, phi in G.calls], "texts that D read": D.texts}


def _between_gradients(answer: Any, inputs: Inputs) -> Findings:
    G, D = _between_nets(inputs)
    loss = _between(answer, inputs, G, D)
    return {"gradients of G": gradient(loss, *G.parameters())}


BETWEEN_LOSS = Question(
    unit="08",
    name="between_loss",
    title="Learn from sentences that nobody wrote",
    difficulty=3,
    minutes=15,
    task="""
A data set has few captions for what could be said, and between them the generator is on its own. Interpolating embeddings
(GAN-INT, Reed et al. 2016, section 4.3, equation 5) gives it texts without pictures: no picture is needed, since G's own term
asks only that D accept what was made **with the text that it was made from**.

`between_loss(G, D, phi, partner, beta, z)` takes `phi` (N, D), `partner` (N,) int64 (for each sentence the index of
another), `beta` (N,), **one number for each pair**, and noise `z` (N, Z). With

$$\\bar\\varphi_n = \\beta_n\\,\\varphi_n + (1 - \\beta_n)\\,\\varphi_{\\text{partner}(n)}$$

it returns the scalar $-\\tfrac1N \\sum_n \\log \\sigma\\big(D(G(z_n, \\bar\\varphi_n), \\bar\\varphi_n)\\big)$, the
non-saturating loss that G descends. D gives logits. `G(z, phi)` and `D(x, phi)` are called **once** each, on the whole batch
(G has batch norm).
""",
    answers=("between_loss",),
    draw=_draw_between,
    parts=(
        Part(name="value", points=1.0, tests="the loss", probe=_between_value),
        Part(name="calls", points=0.5, tests="what G and D were given to read", probe=_between_calls),
        Part(name="gradients", points=0.5, tests="gradients of G's weights", probe=_between_gradients),
    ),
    hints=(
        "`phi[partner]` are the other sentences. Which shape does beta need to weigh rows?",
        "The mixture is what G reads **and** what D compares its picture with.",
        "`mixed = torch.lerp(phi[partner], phi, beta[:, None])`, then `F.softplus(-D(G(z, mixed), mixed)).mean()`.",
    ),
)

# matching_step


def _draw_step(rng: Rng) -> Inputs:
    N = 4
    return {
        "x": rng.uniform(N, 2, 3, 4, low=-0.9, high=0.9),
        "phi": draw_texts(rng, N),
        "wrong": draw_texts(rng, N),
        "z": rng.normal(N, 3),
        "net": rng.integer(0, 1_000_000),
        "lr": rng.number(0.2, 0.4),
    }


def _step(answer: Any, inputs: Inputs) -> tuple[Any, Any, RecordingSGD, Any]:
    G, D = _between_nets({**inputs, "phi": inputs["phi"]})
    for p in D.parameters():
        p.grad = torch.full_like(p, 0.3)  # left over from the generator's turn
    D.texts.clear()
    optimizer = RecordingSGD(D.parameters(), inputs["lr"])
    loss = answer(D, G, optimizer, *(inputs[name] for name in ("x", "phi", "wrong", "z")))
    return G, D, optimizer, loss


def _step_done(answer: Any, inputs: Inputs) -> Findings:
    _, D, optimizer, loss = _step(answer, inputs)
    return {
        "zero_grad before the one step": "zero_grad" in optimizer.events[: optimizer.events.index("step")]
        and optimizer.events.count("step") == 1,
        "gradients of D": optimizer.gradients,
        "weights of D": flat_weights(D.parameters()),
        "loss": float(loss),
    }


def _step_plain(answer: Any, inputs: Inputs) -> Findings:
    return {"a plain number": isinstance(_step(answer, inputs)[3], float)}


def _step_generator(answer: Any, inputs: Inputs) -> Findings:
    G, _, _, _ = _step(answer, inputs)
    return {
        "passes of G": len(G.calls),
        "texts that G read": [phi for _, phi in G.calls],
        "gradients of G": flat_gradients(G.parameters()),
        "weights of G": flat_weights(G.parameters()),
        "modes of G": modes(G),
    }


MATCHING_STEP = Question(
    unit="08",
    name="matching_step",
    title="One step of the discriminator that reads",
    difficulty=3,
    minutes=20,
    task="""
Now the three cases as one step of training, as algorithm 1 of Reed et al. (2016) has it, but with **least squares** (Mao et al.
2017) in place of the logarithms: a score is to be 1 or 0, and beyond its target it is pulled back. Easily mixed up here are
which text goes with which picture, and who may learn.

`matching_step(D, G, optimizer, x, phi, wrong, z)` takes the networks, an optimiser of D's weights, real pictures `x` (N, C,
H, W) with their texts `phi` (N, D), texts that are wrong for them, `wrong` (N, D), and noise `z` (N, Z). It makes **one**
update of D with

$$\\mathcal L = \\tfrac1N \\textstyle\\sum_n (r_n - 1)^2 + \\tfrac12 w_n^2 + \\tfrac12 f_n^2$$

$r$, $w$ and $f$ being D's scores, taken as they are, of the real picture with the right text, of the real picture with the
wrong text, and of a fake made from `phi` and `z`, judged with `phi`. It returns the loss before the update, as a plain `float`.

- G runs once, and no gradient is to reach its weights (their `.grad` stays `None`). Its mode stays as it is.
- D's weights have gradients left over from before: clear them with `optimizer.zero_grad()`.
""",
    answers=("matching_step",),
    draw=_draw_step,
    parts=(
        Part(
            name="step",
            points=1.5,
            tests="one step: the gradients it used, the new weights, the loss",
            probe=_step_done,
        ),
        Part(
            name="generator", points=0.5, tests="G: one pass, its text, no gradient, no change", probe=_step_generator
        ),
        Part(name="number", points=0.5, tests="the loss is a plain number", probe=_step_plain),
    ),
    hints=(
        "Three calls of D. Write beside each which picture and which text it gets, and which sign it should have.",
        "`fake = G(z, phi).detach()`. What D accepts has the target 1, what it rejects the target 0.",
        "`loss = ((D(x, phi) - 1) ** 2).mean() + ((D(x, wrong) ** 2).mean() + (D(fake, phi) ** 2).mean()) / 2`; then "
        "`zero_grad`, `backward`, `step`, and `loss.item()`.",
    ),
)

"""## 4. Two at once

Two generators that share their first layers learn pictures that belong together, without ever seeing a pair (CoGAN). A generator
and an encoder that face one discriminator learn to undo each other (BiGAN).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import weighted_sum
from coursekit.checks.protocol import BACKWARD, RecordingSGD, flat_weights
from coursekit.exercises.u06_conditional_gan.nets import NOISE, JointD, PlainG, Reader, draw_pictures

# couple


def _tower(seed: int, dtype: torch.dtype) -> nn.Sequential:
    """Six layers, some without weights, one with statistics: rows (N, 3) -> (N, 4)."""
    net = nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 4, bias=False), nn.Tanh(), nn.Linear(4, 4)
    ).to(dtype)
    own = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.7 * torch.randn(parameter.shape, generator=own, dtype=torch.float64))
    return net


def _draw_couple(rng: Rng) -> Inputs:
    return {"seed": rng.integer(1, 10**6), "rows": rng.normal(5, 3), "lr": rng.number(0.1, 0.2)}


def _coupled(answer: Any, inputs: Inputs, shared: int, end: str) -> tuple[nn.Sequential, nn.Sequential, list[Any]]:
    first, second = (_tower(inputs["seed"] + k, inputs["rows"].dtype) for k in range(2))
    return first, second, list(answer(first, second, shared, end))


def _look(answer: Any, inputs: Inputs, shared: int, end: str) -> Findings:
    """What is shared, whose weights they are, and what the list holds."""
    twins = [flat_weights(_tower(inputs["seed"] + k, inputs["rows"].dtype).parameters()) for k in range(2)]
    first, second, listed = _coupled(answer, inputs, shared, end)
    names = {id(p): f"second.{name}" for name, p in second.named_parameters()}
    names |= {id(p): f"first.{name}" for name, p in first.named_parameters()}
    where = f"{shared} layers at the {end}: "
    return {
        where + "same module, layer by layer": [a is b for a, b in zip(first, second)],
        where + "parameters in the list": [names.get(id(p), "a tensor of neither network") for p in listed],
        where + "first network as it was": torch.equal(flat_weights(first.parameters()), twins[0]),
        where + "weights of the second": flat_weights(second.parameters()),
    }


def _couple_front(answer: Any, inputs: Inputs) -> Findings:
    return _look(answer, inputs, 3, "front")


def _couple_back(answer: Any, inputs: Inputs) -> Findings:
    return _look(answer, inputs, 2, "back")


def _couple_ends(answer: Any, inputs: Inputs) -> Findings:
    return _look(answer, inputs, 0, "back") | _look(answer, inputs, 6, "front")


def _couple_step(answer: Any, inputs: Inputs) -> Findings:
    first, second, listed = _coupled(answer, inputs, 2, "front")
    optimizer = RecordingSGD(listed, lr=inputs["lr"])
    loss = weighted_sum(first(inputs["rows"])) + weighted_sum(second(inputs["rows"]), top=-3.0)
    loss.backward()
    optimizer.step()
    return {
        "gradient of the step": optimizer.gradients,
        "weights of the first network": flat_weights(first.parameters()),
        "weights of the second network": flat_weights(second.parameters()),
        "statistics of the two": [b.clone() for net in (first, second) for b in net.buffers()],
    }


COUPLE = Question(
    unit="06",
    name="couple",
    title="Layers that two networks share",
    difficulty=3,
    minutes=15,
    task="""
A coupled GAN (Liu and Tuzel 2016) has two generators and two discriminators, one of each for a domain, and is shown unpaired
pictures of both. That the same $z$ gives corresponding pictures comes from one thing alone: the layers that decide *what* is in a
picture are **the same layers**. For generators those are the first, for discriminators the last. Shared is not equal: copies
start alike and part at the first step.

`couple(first, second, shared, end)` takes two `nn.Sequential` of the same layout, a whole number `shared` from 0 to the number of
their layers, and `end`, which is `"front"` or `"back"`. It **changes `second`**: its first (or last) `shared` layers become the
layers of `first`, as the same module objects (so that batch norm's statistics are shared, too). Each entry of the `Sequential`
counts as one layer, also one without weights. `first` stays as it is, and so do the other layers of `second`.

It returns the **list** of all parameters of both networks, each exactly **once**: those of `first` in their order, then those of
`second` that are not shared. An optimiser that is handed a tensor twice moves it twice.
""",
    answers=("couple",),
    draw=_draw_couple,
    draws=1,
    parts=(
        Part(name="front", points=0.5, tests="three layers at the front of six", probe=_couple_front),
        Part(name="back", points=0.5, tests="two layers at the back", probe=_couple_back),
        Part(name="none and all", points=0.5, tests="0 layers at the back; 6 at the front", probe=_couple_ends),
        Part(name="step", points=1.0, tests="one step on both domains: gradients add up", probe=_couple_step),
    ),
    hints=(
        "What makes two names stand for one layer? And which layers are the last `shared`, when `shared` is 0?",
        "`second[k] = first[k]` puts the module itself there. The last ones are k from `len(first) - shared` on.",
        "For the list: `first.parameters()`, then those p of `second.parameters()` with `all(p is not q for q in ...)`; `in` "
        "would compare values.",
    ),
)

# bigan_step


def _draw_bigan(rng: Rng) -> Inputs:
    return {
        "seed": rng.integer(1, 10**6),
        "x": [draw_pictures(rng, 5), draw_pictures(rng, 5)],
        "z": [rng.normal(3, NOISE), rng.normal(3, NOISE)],
    }


def _bigan(answer: Any, inputs: Inputs, count: int) -> dict[str, Any]:
    dtype, seed = inputs["x"][0].dtype, inputs["seed"]
    D, E, G = JointD(seed, dtype), Reader(NOISE, seed + 1, dtype), PlainG(seed + 2, dtype)
    d_optimizer = RecordingSGD(D.parameters(), lr=0.6)
    eg_optimizer = RecordingSGD([*E.parameters(), *G.parameters()], lr=0.4)
    losses = [answer(D, E, G, d_optimizer, eg_optimizer, x, z) for x, z in list(zip(inputs["x"], inputs["z"]))[:count]]
    return {"D": D, "E": E, "G": G, "d": d_optimizer, "eg": eg_optimizer, "losses": losses}


def _bigan_discriminator(answer: Any, inputs: Inputs) -> Findings:
    seen = _bigan(answer, inputs, 1)
    return {"gradient of D's update": seen["d"].gradients, "loss of D": float(seen["losses"][0][0])}


def _bigan_encoder(answer: Any, inputs: Inputs) -> Findings:
    seen = _bigan(answer, inputs, 1)
    width = sum(p.numel() for p in seen["E"].parameters())
    return {
        "gradient of E's update": [g[:width] for g in seen["eg"].gradients],
        "gradient of G's update": [g[width:] for g in seen["eg"].gradients],
        "loss of E and G": float(seen["losses"][0][1]),
        "backward passes that reach E and G": seen["eg"].events.count(BACKWARD),
    }


def _bigan_twice(answer: Any, inputs: Inputs) -> Findings:
    seen = _bigan(answer, inputs, 2)
    values = [v for pair in seen["losses"] for v in pair]
    return {
        "gradients of D, two steps": seen["d"].gradients,
        "gradients of E and G, two steps": seen["eg"].gradients,
        "losses, two steps": [float(v) for v in values],
        "a loss holds a graph": any(isinstance(v, Tensor) and v.requires_grad for v in values),
        "requires_grad of D's weights": [p.requires_grad for p in seen["D"].parameters()],
    }


BIGAN_STEP = Question(
    unit="06",
    name="bigan_step",
    title="Three players, two sides",
    difficulty=4,
    minutes=25,
    task="""
A GAN makes pictures from codes and has no way back. BiGAN (Donahue, Kraehenbuehl and Darrell 2017) and ALI (Dumoulin et al. 2017)
train an encoder E beside G. D is shown **pairs** of a picture and a code: $(x, E(x))$, where the picture is given and the code
was made, and $(G(z), z)$, where it is the other way round. Where D cannot tell the two kinds of pairs apart, E and G undo each
other, although neither was told to.

`bigan_step(D, E, G, d_optimizer, eg_optimizer, x, z)` does one step of D, then one of E **and** G together, and returns the two
losses as Python numbers `(d_loss, eg_loss)`. `D(x, z)` gives logits; large means a pair with a **given picture**, $(x, E(x))$.
`x` has N pictures, `z` M codes, N and M may differ; each mean is over its own batch.

1. $L_D = -\\text{mean} \\log \\sigma(D(x, E(x))) - \\text{mean} \\log(1 - \\sigma(D(G(z), z)))$. One update of D. No gradient
   of it reaches E or G.
2. With the **updated** D, E and G want the opposite of both verdicts, in the non-saturating form, labels exchanged:
   $L_{EG} = -\\text{mean} \\log(1 - \\sigma(D(x, E(x)))) - \\text{mean} \\log \\sigma(D(G(z), z))$. One update of E and G.

`eg_optimizer` holds the weights of both. Each update uses nothing but the gradient of its own loss; the check calls the function
twice. D's weights want gradients afterwards as before.
""",
    answers=("bigan_step",),
    draw=_draw_bigan,
    draws=1,
    parts=(
        Part(name="discriminator", points=1.0, tests="D's gradient and loss", probe=_bigan_discriminator),
        Part(
            name="encoder and generator", points=1.0, tests="gradients of E and of G, their loss", probe=_bigan_encoder
        ),
        Part(name="twice", points=1.0, tests="two steps: all gradients and losses", probe=_bigan_twice),
    ),
    hints=(
        "Which verdict does E see, and which way does it want to move it? In an ordinary GAN the data's term has no gradient for "
        "anybody but D.",
        "`codes, fakes = E(x), G(z)` once; D's step takes both detached. −log σ(a) is `F.softplus(-a)`.",
        "L_D = softplus(−D(x, codes)) + softplus(D(fakes, z)), means; L_EG has the two signs turned. zero_grad each optimiser "
        "right before its own backward.",
    ),
)

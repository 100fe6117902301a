"""## 3. One octave at a time

A picture as a small picture and what each doubling lacks. The pyramid for any two ways down and up, what one level of a LAPGAN is
trained on, and the chain that draws from coarse to fine. Two slides slipped here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Law, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import weighted_sum
from coursekit.exercises.u06_conditional_gan.nets import draw_pictures

# laplacian_pyramid


def _halve(x: Tensor) -> Tensor:
    """Means of 2 x 2 pixels; a last odd row or column counts as it is."""
    return F.avg_pool2d(x, 2, ceil_mode=True)


def _bilinear(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


def _every_third(x: Tensor) -> Tensor:
    return x[:, :, ::3, ::3] ** 2 + 0.3 * x[:, :, ::3, ::3]


def _bent(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Up, and not linear: a pyramid must be exact all the same."""
    return torch.sin(F.interpolate(x, size=tuple(size), mode="nearest") + 0.5)


def _draw_pyramid(rng: Rng) -> Inputs:
    # Contrasts beyond [-1, 1]: a pyramid has no business clamping.
    sizes = [(11, 6), (6, 3), (3, 2), (2, 1)]
    return {
        "x": 1.8 * draw_pictures(rng, 2, 2, 11, 6),
        "levels": [rng.normal(2, 2, *size) for size in sizes],
    }


def _pyramid_built(answer: Any, inputs: Inputs) -> Findings:
    return {"pyramid": list(answer.laplacian_pyramid(inputs["x"], 3, _halve, _bilinear))}


def _pyramid_rebuilt(answer: Any, inputs: Inputs) -> Findings:
    return {"picture": answer.rebuild(inputs["levels"], _bilinear)}


def _pyramid_strange(answer: Any, inputs: Inputs) -> Findings:
    pyramid = list(answer.laplacian_pyramid(inputs["x"], 2, _every_third, _bent))
    return {"pyramid": pyramid, "rebuilt": answer.rebuild(pyramid, _bent), "picture": inputs["x"].clone()}


def _pyramid_flat(answer: Any, inputs: Inputs) -> Findings:
    return {
        "no level": list(answer.laplacian_pyramid(inputs["x"], 0, _halve, _bilinear)),
        "rebuilt from one": answer.rebuild(inputs["levels"][:1], _bilinear),
    }


def _exact(inputs: Inputs, found: Findings) -> bool:
    return bool(torch.allclose(found["rebuilt"], found["picture"], rtol=0, atol=1e-5))


LAPLACIAN_PYRAMID = Question(
    unit="06",
    name="laplacian_pyramid",
    title="A pyramid that is exact for any way down and up",
    difficulty=2,
    minutes=15,
    task="""
Every doubling of a picture's size lacks something. The Laplacian pyramid (Burt and Adelson 1983; Denton et al. 2015, equations
4 and 5) keeps exactly that: with $I_0 = x$ and $I_{k+1} = d(I_k)$,

$$h_k = I_k - u(I_{k+1}), \\qquad I_k = u(I_{k+1}) + h_k .$$

It comes back to the same picture **whatever** $d$ and $u$ are, since what $u$ gets wrong is in $h_k$. Sizes need not be powers
of two: $u$ is told the size it has to reach.

- `laplacian_pyramid(x, levels, down, up)` takes pictures `x` (N, C, H, W), a whole number `levels` $= K \\ge 0$, a function
  `down` of pictures, and a function `up(pictures, size)` with `size` a pair (height, width). It returns the **list**
  $[h_0, \\dots, h_{K-1}, I_K]$, finest first: K differences and one small picture.
- `rebuild(pyramid, up)` takes such a list, which may have been edited in between, and returns the picture of full size.

How to know that it works: the check builds a pyramid with a $d$ and a $u$ that do not suit each other at all.
""",
    answers=("laplacian_pyramid", "rebuild"),
    draw=_draw_pyramid,
    parts=(
        Part(name="built", points=0.5, tests="three levels of pictures of 11 x 6 pixels", probe=_pyramid_built),
        Part(name="rebuilt", points=0.5, tests="a picture from four levels of noise", probe=_pyramid_rebuilt),
        Part(
            name="strange",
            points=0.5,
            tests="there and back with a bent u and a d of every third pixel",
            probe=_pyramid_strange,
            laws=(
                Law(
                    "not exact",
                    "`rebuild` of your own pyramid does not give the picture back: it has to, for any d and u.",
                    _exact,
                ),
            ),
        ),
        Part(name="flat", points=0.5, tests="K = 0, and a list of one", probe=_pyramid_flat),
    ),
    hints=(
        "What do you need at level k, and which of it is needed again at level k + 1?",
        "The size that `up` has to reach is that of $I_k$: `x.shape[2:]` before `x` becomes `down(x)`.",
        "Loop: `small = down(x)`, append `x - up(small, x.shape[2:])`, `x = small`; at the end append `x`. Back: start with "
        "the last entry, go through the others in reverse, `picture = up(picture, h.shape[2:]) + h`.",
    ),
)

# level_pairs


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _draw_level(rng: Rng) -> Inputs:
    return {
        "x": draw_pictures(rng, 3, 2, 6, 8),
        "z": rng.normal(3, 2),
        "kernel": rng.normal(2, 2, 3, 3, scale=0.4),
        "shift": rng.normal(2, 2),
    }


def _level_generator(inputs: Inputs, told: list[Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """G(z, l): a bent filter of l, shifted by the noise; notes what it was told."""

    def G(z: Tensor, l: Tensor) -> Tensor:
        told.append(l.detach().clone())
        return torch.tanh(F.conv2d(l, inputs["kernel"], padding=1) + (z @ inputs["shift"])[:, :, None, None])

    return G


def _level(answer: Any, inputs: Inputs, told: list[Tensor]) -> Any:
    return answer(inputs["x"], inputs["z"], _level_generator(inputs, told), _halve, _double)


def _level_real(answer: Any, inputs: Inputs) -> Findings:
    real, _ = _level(answer, inputs, [])
    return {"real pair": real}


def _level_fake(answer: Any, inputs: Inputs) -> Findings:
    told: list[Tensor] = []
    _, fake = _level(answer, inputs, told)
    return {"fake pair": fake, "conditions that G was told": told}


def _level_gradients(answer: Any, inputs: Inputs) -> Findings:
    kernel = inputs["kernel"].requires_grad_()
    real, fake = _level(answer, inputs, [])
    (of_g,) = torch.autograd.grad(weighted_sum(fake), kernel, allow_unused=True)
    return {"gradient of G's weights": of_g, "the real pair carries a graph": real.requires_grad}


def _something_to_tell(inputs: Inputs, found: Findings) -> bool:
    return bool(found["real pair"][:, :2].abs().mean() > 1e-3)


LEVEL_PAIRS = Question(
    unit="06",
    name="level_pairs",
    title="A high-pass picture that is zero",
    difficulty=2,
    minutes=15,
    slip=True,
    task="""
One lecture tells in four steps what a level of a LAPGAN is trained on. (1) Take the picture $l_0 = I$ and make it smaller, $l_1$.
(2) Make that larger again, "a low-pass version $l_0$ of $l_0$". (3) The real high-pass picture is $h_0 = l_0 - l_0$. (4) G gets
noise and $l_0$, and D is told $l_0$, too.

Run it literally and the real high-pass picture is **0**: G learns to make nothing, and D has nothing to tell it by. One letter
stands for two pictures. Give the low-pass one a name of its own, and find out which of the two is meant each time. One more thing
to mind: nobody may be told $I$ itself. When drawing there is none yet.

`level_pairs(x, z, G, down, up)` takes pictures `x` (N, C, H, W) with even H and W, noise `z` (N, Z), the level's generator
`G(z, l)`, which gives (N, C, H, W), and two functions of pictures: `down` halves, `up` doubles. It returns the two batches that D
is shown, `(real, fake)`, each (N, 2C, H, W): in the first C channels the **high-pass** picture, real or generated, in the last C
channels the **condition**. G runs once, on the condition that D is told. Gradients reach G's weights through `fake`.
""",
    answers=("level_pairs",),
    draw=_draw_level,
    parts=(
        Part(
            name="real",
            points=1.0,
            tests="the real pair",
            probe=_level_real,
            laws=(
                Law(
                    "a high-pass picture of zeros",
                    "Your real high-pass picture is 0 everywhere: it is the picture less its low-pass version.",
                    _something_to_tell,
                ),
            ),
        ),
        Part(name="fake", points=0.5, tests="the fake pair, and what G was told", probe=_level_fake),
        Part(name="gradients", points=0.5, tests="the gradient of G's weights", probe=_level_gradients),
    ),
    hints=(
        "When drawing, what does G have that it can be told? That is what both are told in training.",
        "The condition is `up(down(x))`, of the size of `x`.",
        "`low = up(down(x))`; the real pair is `x - low` joined with `low`, the fake pair `G(z, low)` joined with `low`, both "
        "along axis 1.",
    ),
)

# lapgan_chain


def _draw_chain(rng: Rng) -> Inputs:
    return {
        "z": [rng.normal(2, 2) for _ in range(4)],
        "kernels": [rng.normal(2, 2, 3, 3, scale=0.45) for _ in range(3)],
        "shift": rng.normal(2, 2, scale=0.7),
        "base": rng.normal(2, 2 * 2 * 3, scale=0.9),
    }


def _bend(x: Tensor) -> Tensor:
    """Doubling, with a twist: it is not linear, so that its order with sums matters."""
    return 1.5 * torch.tanh(_double(x))


def _chain_generators(inputs: Inputs, told: list[Any], *, silent: bool = False) -> list[Any]:
    """[G_0, ..., G_3], finest first: G_3 makes the base from noise, the others a difference from noise and condition."""

    def level(k: int) -> Callable[[Tensor, Tensor], Tensor]:
        def G(z: Tensor, l: Tensor) -> Tensor:
            told.append([k, z.clone(), l.clone()])
            if silent:
                return torch.zeros_like(l)
            return torch.tanh(F.conv2d(l, inputs["kernels"][k], padding=1) + (z @ inputs["shift"])[:, :, None, None])

        return G

    def base(z: Tensor) -> Tensor:
        told.append([3, z.clone()])
        return 1.4 * torch.tanh(z @ inputs["base"]).reshape(-1, 2, 2, 3)

    return [level(0), level(1), level(2), base]


def _chain(answer: Any, inputs: Inputs, **options: bool) -> Findings:
    told: list[Any] = []
    pictures = answer(_chain_generators(inputs, told, **options), inputs["z"], _bend)
    return {"pictures": list(pictures), "told": told}


def _chain_pictures(answer: Any, inputs: Inputs) -> Findings:
    return {"pictures": _chain(answer, inputs)["pictures"]}


def _chain_told(answer: Any, inputs: Inputs) -> Findings:
    return {"generator, noise and condition, call by call": _chain(answer, inputs)["told"]}


def _chain_silent(answer: Any, inputs: Inputs) -> Findings:
    return {"pictures with G_0 = G_1 = G_2 = 0": _chain(answer, inputs, silent=True)["pictures"]}


def _chain_alone(answer: Any, inputs: Inputs) -> Findings:
    told: list[Any] = []
    return {"base only": list(answer(_chain_generators(inputs, told)[3:], inputs["z"][3:], _bend))}


LAPGAN_CHAIN = Question(
    unit="06",
    name="lapgan_chain",
    title="From coarse to fine, and what each level is told",
    difficulty=3,
    minutes=18,
    slip=True,
    task="""
Three slides on how a LAPGAN draws, and no two agree. The first has the formula

$$\\tilde l_k = u(\\tilde l_{k+1}) + G_k(z_k,\\, u(\\tilde l_{k+1}))$$

for generators it lists as $G_0, \\dots, G_k$, and does not say where it begins. The second forgets the tilde:
$G_k(z_k, u(l_{k+1}))$ would need a **real** small picture, which nobody has when drawing. The third, in another lecture, has each
$G_k$ "conditioned on the previous small image". G makes a difference at the **new** size; it is told the small picture made
larger. The formula is right. What it leaves out: the last generator $G_K$ has no condition and makes the base from noise.

`lapgan_chain(generators, noises, up)` takes the list $[G_0, \\dots, G_K]$, **finest first**, the list of their noises
$[z_0, \\dots, z_K]$, and the function `up` that doubles pictures. `generators[K](z)` gives the base, `generators[k](z, l)` for
k < K a difference of the size of l. It returns the **list** of pictures in the order in which they are drawn,
$[\\tilde l_K, \\dots, \\tilde l_0]$, K + 1 of them, coarsest first.

Every generator runs once; `up` may bend its input, so call it where the formula does; and nothing is clamped. How to know that it
works: if all differences are 0, the chain is the base made larger again and again.
""",
    answers=("lapgan_chain",),
    draw=_draw_chain,
    parts=(
        Part(name="pictures", points=1.0, tests="a chain of four pictures", probe=_chain_pictures),
        Part(
            name="told", points=0.5, tests="which generator got which noise and condition, in order", probe=_chain_told
        ),
        Part(name="silent", points=0.5, tests="differences of 0: plain upsampling", probe=_chain_silent),
        Part(name="alone", points=0.5, tests="K = 0: the base only", probe=_chain_alone),
    ),
    hints=(
        "Where does the chain begin, and which end of the two lists is that?",
        "At each level the larger version of the last picture is needed twice: as condition, and in the sum.",
        "`chain = [generators[-1](noises[-1])]`; for the other pairs in reverse: `wide = up(chain[-1])`, append `wide + G(z, "
        "wide)`.",
    ),
)

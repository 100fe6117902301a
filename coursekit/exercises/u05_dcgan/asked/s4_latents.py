"""## 4. Walks and sums in the latent space

Codes are points far from the origin, nearly all at one distance: that changes how one walks between them and what one may do
with their sums. No network is needed here.
"""

from __future__ import annotations

from typing import Any

import torch

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng

# great_circle


def _draw_circle(rng: Rng) -> Inputs:
    N, Z = 3, 6
    a, b = rng.normal(N, Z), rng.normal(N, Z) * torch.tensor([[2.0], [0.7], [1.4]], dtype=rng.dtype)
    mixed = b.clone()
    # Parallel to the bit where the factor is a power of two, and nearly so.
    # Along an axis the cosine is 1 to the bit in any arithmetic; elsewhere it may miss 1 by a rounding error.
    level = a.clone()
    level[1] = 0.0
    level[1, rng.integer(0, Z - 1)] = rng.number(1.5, 2.5)
    mixed[1] = 2 * level[1]
    mixed[2] = 1.3 * a[2] + 1e-5 * rng.normal(Z)
    opposite = b.clone()
    opposite[1] = -1.5 * a[1]
    return {
        "a": a,
        "b": b,
        "level": level,
        "mixed": mixed,
        "opposite": opposite,
        "t": torch.tensor([0.0, 0.3, 0.55, 0.8, 1.0], dtype=rng.dtype),
        "unit": torch.nn.functional.normalize(rng.normal(2, N, Z), dim=-1) * rng.number(1.5, 2.5),
    }


def _circle_points(answer: Any, inputs: Inputs) -> Findings:
    return {"points": answer(inputs["a"], inputs["b"], inputs["t"])}


def _circle_length(answer: Any, inputs: Inputs) -> Findings:
    points = answer(*inputs["unit"], inputs["t"])
    return {"points between codes of one length": points, "lengths": points.norm(dim=-1)}


def _circle_parallel(answer: Any, inputs: Inputs) -> Findings:
    return {"points, two of three pairs parallel": answer(inputs["level"], inputs["mixed"], inputs["t"])}


def _circle_opposite(answer: Any, inputs: Inputs) -> Findings:
    found = {}
    for name, b in (("one pair opposite", inputs["opposite"]), ("all pairs opposite", -2 * inputs["a"])):
        try:
            answer(inputs["a"], b, inputs["t"])
            found[name] = "no error"
        except ValueError:
            found[name] = "ValueError"
    return found


GREAT_CIRCLE = Question(
    unit="05",
    name="great_circle",
    title="Along the sphere, for codes of any length",
    difficulty=3,
    minutes=20,
    task="""
Halfway on the straight line between two normal codes lies a code shorter than nearly any that the generator was trained on.
Spherical interpolation goes along the sphere instead. For codes of **different** lengths the usual formula bends the length,
too; here direction and length are kept apart. With $u = a / \\lVert a \\rVert$, $v = b / \\lVert b \\rVert$,
$\\cos \\Omega = u \\cdot v$:

$$c(t) = \\big((1 - t) \\lVert a \\rVert + t \\lVert b \\rVert\\big)\\;
\\frac{\\sin((1 - t)\\,\\Omega)\\, u + \\sin(t\\,\\Omega)\\, v}{\\sin \\Omega}$$

`great_circle(a, b, t)` takes `a` and `b` (N, Z), none of them zero, and `t` (T,) from 0 to 1, and returns the points (N, T,
Z). Each pair has an angle of its own.

- Pairs with $\\cos \\Omega > 1 - 10^{-5}$ count as parallel: the fraction is then replaced by $(1 - t)\\,u + t\\,v$. Other
  pairs of the same batch still go along the sphere. No result may be NaN.
- If **any** pair has $\\cos \\Omega < -1 + 10^{-5}$ there is no shortest way: raise a `ValueError`.
""",
    answers=("great_circle",),
    draw=_draw_circle,
    parts=(
        Part(name="points", points=1.0, tests="three pairs, five points each", probe=_circle_points),
        Part(name="length", points=0.5, tests="two codes of one length: it is kept", probe=_circle_length),
        Part(name="parallel", points=0.5, tests="a batch with two parallel pairs", probe=_circle_parallel),
        Part(name="opposite", points=0.5, tests="one pair opposite; all pairs opposite", probe=_circle_opposite),
    ),
    hints=(
        "Which shapes do the angles, the lengths and t need so that everything broadcasts to (N, T, Z)?",
        "`u[:, None]` is (N, 1, Z), `t[None, :, None]` is (1, T, 1), and the angles are (N, 1, 1). Rounding can make a cosine "
        "exceed 1: clamp it before `acos`.",
        "Compute both formulas for all pairs and choose with `torch.where(cosine > 1 - 1e-5, straight, curved)`: what is NaN in "
        "the other one is not taken.",
    ),
)

# analogy


def _draw_analogy(rng: Rng) -> Inputs:
    Z = 7
    centres = 2 * rng.normal(3, Z)
    sizes = [int(n) for n in torch.tensor([3, 4, 2])[rng.permutation(3)]]
    return {
        "groups": [centre + rng.normal(n, Z) for centre, n in zip(centres, sizes)],
        "single": [centre + rng.normal(1, Z) for centre in centres],
        "noise": rng.uniform(4, Z, low=-1.0),
    }


def _analogy_of(name: str) -> Any:
    def probe(answer: Any, inputs: Inputs) -> Findings:
        codes = answer(*inputs[name], inputs["noise"])
        return {"the sum": codes[0]}

    return probe


def _analogy_all(answer: Any, inputs: Inputs) -> Findings:
    codes = answer(*inputs["groups"], inputs["noise"])
    return {"shape": list(codes.shape), "neighbours": codes[1:]}


ANALOGY = Question(
    unit="05",
    name="analogy",
    title="Sums of concepts, at the right distance",
    difficulty=2,
    minutes=12,
    task="""
*Smiling woman − neutral woman + neutral man* makes a smiling man, if each concept is the **average** of several codes
(Radford et al. 2016, section 6.3.2): single codes are unstable. But a mean is shorter than what goes into it, and a sum of
three has a length of its own. Codes $z \\sim N(0, I)$ of width Z lie close to the distance $\\sqrt Z$ from the origin; there
the generator is at home.

`analogy(a, b, c, noise)` takes three groups of codes, (n, Z) each, where n **differs** from group to group, and `noise` (K,
Z). It returns 1 + K codes, (1 + K, Z):

- first $v = \\sqrt Z \\; s / \\lVert s \\rVert$ with $s = \\bar a - \\bar b + \\bar c$, the bars being means over each group;
- then K neighbours $v + 0.25\\,\\epsilon_k$ with the rows $\\epsilon_k$ of `noise`, **not** rescaled again. (They show
  whether the result is stable. In the paper's figure 7 there are eight of them, with uniform noise.)
""",
    answers=("analogy",),
    draw=_draw_analogy,
    parts=(
        Part(name="sum", points=1.0, tests="the sum, for groups of 2, 3 and 4 codes", probe=_analogy_of("groups")),
        Part(name="single", points=0.5, tests="the sum, for groups of one code", probe=_analogy_of("single")),
        Part(name="neighbours", points=0.5, tests="shape; the neighbours", probe=_analogy_all),
    ),
    hints=(
        "Four codes here, two there: what must happen before anything can be subtracted?",
        "`a.mean(dim=0)` is one code. `s.norm()` is its length, `len(s) ** 0.5` the distance where codes are at home.",
        "Rescale the sum, not the means. `torch.cat([v[None], v + 0.25 * noise])`.",
    ),
)

# set_pose


def _draw_pose(rng: Rng) -> Inputs:
    Z = 6
    axis, centre = rng.normal(Z), 0.8 * rng.normal(Z)
    return {
        "z": rng.normal(3, Z),
        "left": centre - 1.2 * axis + 0.6 * rng.normal(4, Z),
        "right": centre + 0.9 * axis + 0.6 * rng.normal(5, Z),
        "t": torch.tensor([-1.0, -0.4, 0.0, 1.0, 1.5], dtype=rng.dtype),
    }


def _pose_codes(answer: Any, inputs: Inputs) -> Findings:
    return {"codes": answer(*(inputs[name] for name in ("z", "left", "right", "t")))}


def _pose_readings(answer: Any, inputs: Inputs) -> Findings:
    """What every code reads on the axis, and what is left of it beside the axis."""
    codes = answer(*(inputs[name] for name in ("z", "left", "right", "t")))
    axis = inputs["right"].mean(0) - inputs["left"].mean(0)
    readings = codes @ axis / axis.dot(axis)
    return {"readings along the axis": readings, "rest beside the axis": codes - readings[..., None] * axis}


def _pose_swapped(answer: Any, inputs: Inputs) -> Findings:
    turned = answer(inputs["z"], inputs["right"], inputs["left"], inputs["t"][:1])
    return {"left and right exchanged": turned}


SET_POSE = Question(
    unit="05",
    name="set_pose",
    title="The turn vector, set rather than added",
    difficulty=3,
    minutes=15,
    task="""
The mean of codes whose faces look right, minus that of codes whose faces look left, is a *turn* vector (Radford et al. 2016,
section 6.3.2). Adding it to a code turns the face **by** an angle: where it ends depends on where it was. To turn all faces
**to** the same pose, set the coordinate along the axis, and leave all else.

`set_pose(z, left, right, t)` takes codes `z` (N, Z), the two groups `left` (n, Z) and `right` (m, Z), n ≠ m, and `t` (T,).
With the means $l$ and $r$ of the groups, the unit vector $u = (r - l) / \\lVert r - l \\rVert$, and the target
$q(t) = u \\cdot \\left(\\tfrac{1 - t}{2}\\, l + \\tfrac{1 + t}{2}\\, r\\right)$, it returns the codes (N, T, Z)

$$z_n(t) = z_n + \\left(q(t) - u \\cdot z_n\\right) u$$

so that $t = -1$ reads like the mean of the left group, $t = 1$ like that of the right one, $t = 0$ like halfway; $t$ may lie
beyond.
""",
    answers=("set_pose",),
    draw=_draw_pose,
    parts=(
        Part(name="codes", points=1.0, tests="three codes at five poses", probe=_pose_codes),
        Part(name="readings", points=0.5, tests="the reading along the axis, and the rest", probe=_pose_readings),
        Part(name="exchanged", points=0.5, tests="left and right exchanged", probe=_pose_swapped),
    ),
    hints=(
        "What does every z have along u, and what should it have?",
        "`z @ u` is (N,), the targets are (T,): `targets[None] - (z @ u)[:, None]` is (N, T).",
        "Mean first, then the difference, then the unit vector. The result is `z[:, None]` plus what is missing, "
        "`(…)[..., None]`, times `u`.",
    ),
)

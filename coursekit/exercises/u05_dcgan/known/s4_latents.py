"""Answer keys to section 4: walks and sums in the latent space."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u05_dcgan.asked import s4_latents as asked

_EDGE = 1 - 1e-5

# great_circle


def great_circle(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """a and b (N, Z), t (T,) -> points (N, T, Z): direction along the sphere, length along the line."""
    ### BEGIN SOLUTION
    t, r, s = t[None, :, None], a.norm(dim=1)[:, None, None], b.norm(dim=1)[:, None, None]
    u, v = a[:, None] / r, b[:, None] / s
    cosine = (u * v).sum(dim=2, keepdim=True)
    if (cosine < -1 + 1e-5).any():
        raise ValueError("opposite codes: no way between them is the shortest.")
    omega = torch.acos(cosine.clamp(-1, 1))
    curved = (torch.sin((1 - t) * omega) * u + torch.sin(t * omega) * v) / torch.sin(omega)
    way = torch.where(cosine > 1 - 1e-5, (1 - t) * u + t * v, curved)
    return ((1 - t) * r + t * s) * way
    ### END SOLUTION


def _circle_pair_by_pair(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """One pair and one point after the other, with the standard library's functions."""
    out = []
    for p, q in zip(a.tolist(), b.tolist()):
        r, s = math.hypot(*p), math.hypot(*q)
        u, v = [x / r for x in p], [x / s for x in q]
        cosine = sum(x * y for x, y in zip(u, v))
        if cosine < -_EDGE:
            raise ValueError("opposite")
        if cosine > _EDGE:
            weights = [(1 - k, k) for k in t.tolist()]
        else:
            omega = math.acos(cosine)
            weights = [
                (math.sin((1 - k) * omega) / math.sin(omega), math.sin(k * omega) / math.sin(omega)) for k in t.tolist()
            ]
        lengths = [(1 - k) * r + k * s for k in t.tolist()]
        out.append([[c * (f * x + g * y) for x, y in zip(u, v)] for c, (f, g) in zip(lengths, weights)])
    return torch.tensor(out, dtype=a.dtype)


def _circle_by_rotation(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Turns u towards v: u cos(t omega) + w sin(t omega), w the part of v across u."""
    u, v = F.normalize(a, dim=1), F.normalize(b, dim=1)
    cosine = (u * v).sum(1, keepdim=True)
    if bool((cosine <= -_EDGE).any()):
        raise ValueError("opposite")
    across = v - cosine * u
    omega = torch.atan2(across.norm(dim=1, keepdim=True), cosine)
    w = across / across.norm(dim=1, keepdim=True).clamp(min=1e-12)
    turned = torch.cos(omega * t)[..., None] * u[:, None] + torch.sin(omega * t)[..., None] * w[:, None]
    return turned * torch.lerp(a.norm(dim=1)[:, None], b.norm(dim=1)[:, None], t[None])[..., None]


def _circle_split(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Parallel and other pairs apart, in float64."""
    a_64, b_64, t_64 = a.double(), b.double(), t.double()
    lengths = torch.outer(a_64.norm(dim=1), 1 - t_64) + torch.outer(b_64.norm(dim=1), t_64)
    u, v = a_64 / a_64.norm(dim=1, keepdim=True), b_64 / b_64.norm(dim=1, keepdim=True)
    cosine = torch.einsum("nz,nz->n", u, v)
    if cosine.min() < -_EDGE:
        raise ValueError("opposite")
    parallel = cosine > _EDGE
    first, second = (1 - t_64).repeat(len(a), 1), t_64.repeat(len(a), 1)
    omega = cosine[~parallel].arccos()[:, None]
    first[~parallel] = ((1 - t_64) * omega).sin() / omega.sin()
    second[~parallel] = (t_64 * omega).sin() / omega.sin()
    points = first[..., None] * u[:, None] + second[..., None] * v[:, None]
    return (lengths[..., None] * points).to(a.dtype)


def _circle_by_half_angle(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """The angle from the chord, 2 asin(|u - v| / 2); sinc keeps parallel pairs finite: sin(x) is x sinc(x / pi)."""
    r, s = a.norm(dim=1), b.norm(dim=1)
    u, v = a / r[:, None], b / s[:, None]
    if (F.cosine_similarity(a, b) < -_EDGE).any():
        raise ValueError("opposite")
    omega = 2 * torch.asin((0.5 * (u - v).norm(dim=1)).clamp(max=1))[:, None]
    share = [k * torch.sinc(k * omega / torch.pi) / torch.sinc(omega / torch.pi) for k in (1 - t[None], t[None])]
    points = share[0][..., None] * u[:, None] + share[1][..., None] * v[:, None]
    return points * (r[:, None] * (1 - t) + s[:, None] * t)[..., None]


def _circle_wrong(
    *,
    lengths: Callable[..., Any] = lambda r, s, t: (1 - t) * r + t * s,
    angle: Callable[[Tensor], Tensor] = lambda cosine: torch.acos(cosine.clamp(-1, 1)),
    curve: Callable[..., Tensor] = lambda u, v, t, w: (
        (torch.sin((1 - t) * w) * u + torch.sin(t * w) * v) / torch.sin(w)
    ),
    straight: Callable[..., Tensor] = lambda u, v, t: (1 - t) * u + t * v,
    parallel: Callable[[Tensor], Tensor] = lambda cosine: cosine > _EDGE,
    refuse: Callable[[Tensor], Any] = lambda cosine: (cosine < -_EDGE).any(),
    dot: Callable[[Tensor, Tensor], Tensor] = lambda u, v: (u * v).sum(2, keepdim=True),
) -> Callable[..., Tensor]:
    """The walk with one thing wrong."""

    def answer(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        t, r, s = t[None, :, None], a.norm(dim=1)[:, None, None], b.norm(dim=1)[:, None, None]
        u, v = a[:, None] / r, b[:, None] / s
        cosine = dot(u, v)
        if refuse(cosine):
            raise ValueError("opposite")
        way = torch.where(parallel(cosine), straight(u, v, t), curve(u, v, t, angle(cosine)))
        return lengths(r, s, t) * way

    return answer


def _straight_line(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    if (F.cosine_similarity(a, b) < -_EDGE).any():
        raise ValueError("opposite")
    return torch.lerp(a[:, None], b[:, None], t[None, :, None])


def _usual_formula(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    cosine = F.cosine_similarity(a, b)[:, None, None]
    if (cosine < -_EDGE).any():
        raise ValueError("opposite")
    p, q, k, w = a[:, None], b[:, None], t[None, :, None], torch.acos(cosine.clamp(-1, 1))
    curved = (torch.sin((1 - k) * w) * p + torch.sin(k * w) * q) / torch.sin(w)
    return torch.where(cosine > _EDGE, (1 - k) * p + k * q, curved)


GREAT_CIRCLE = Key(
    question=asked.GREAT_CIRCLE,
    solution=(great_circle,),
    reference=_circle_pair_by_pair,
    source="Shoemake 1985, Animating rotation with quaternion curves, section 3.3; White 2016, arXiv:1609.04468, section 2.1",
    mistakes=(
        Mistake(
            "straight line",
            "That is linear interpolation: it cuts through the sphere.",
            _straight_line,
        ),
        Mistake(
            "straight line of the directions",
            "The sines are missing: mixed linearly, the directions lose length in the middle.",
            _circle_wrong(curve=lambda u, v, t, w: (1 - t) * u + t * v),
        ),
        Mistake(
            "straight line, put back on the sphere",
            "The length is right now, but the steps are uneven: the angle must grow evenly with t.",
            _circle_wrong(curve=lambda u, v, t, w: F.normalize((1 - t) * u + t * v, dim=2)),
        ),
        Mistake(
            "usual formula on the codes themselves",
            "With codes of different lengths the usual formula bends the length. Apply it to the directions u and v.",
            _usual_formula,
        ),
        Mistake(
            "length one",
            "You return directions: multiply by the length, (1 − t)‖a‖ + t‖b‖.",
            _circle_wrong(lengths=lambda r, s, t: 1.0),
        ),
        Mistake(
            "length of the first",
            "The length goes from ‖a‖ to ‖b‖; yours stays at ‖a‖.",
            _circle_wrong(lengths=lambda r, s, t: r),
        ),
        Mistake(
            "length as a geometric mean",
            "The length is mixed linearly, not on a logarithmic scale.",
            _circle_wrong(lengths=lambda r, s, t: r ** (1 - t) * s**t),
        ),
        Mistake(
            "a and b exchanged",
            "t = 0 is a, t = 1 is b.",
            lambda a, b, t: _circle_wrong()(b, a, t),
        ),
        Mistake(
            "not divided by the sine",
            "Divide by sin Ω, else the ends are not u and v.",
            _circle_wrong(curve=lambda u, v, t, w: torch.sin((1 - t) * w) * u + torch.sin(t * w) * v),
        ),
        Mistake(
            "cosine taken for the angle",
            "Ω is the angle, `acos` of the cosine.",
            _circle_wrong(angle=lambda cosine: cosine),
        ),
        Mistake(
            "one angle for the whole batch",
            "Each pair has an angle of its own; yours is their mean.",
            _circle_wrong(
                angle=lambda c: torch.acos(c.clamp(-1, 1).mean()).expand_as(c),
            ),
        ),
        Mistake(
            "parallel pairs not caught",
            "0/0: for parallel codes the sine is 0. Replace the fraction there, with `torch.where`.",
            _circle_wrong(parallel=lambda cosine: torch.zeros_like(cosine, dtype=torch.bool)),
        ),
        Mistake(
            "one parallel pair, all straight",
            "One parallel pair makes your whole batch straight. Decide for each pair.",
            _circle_wrong(parallel=lambda cosine: (cosine > _EDGE).any().expand_as(cosine)),
        ),
        Mistake(
            "parallel pairs stay where they are",
            "For parallel codes you return `a` for every t: the length still goes from ‖a‖ to ‖b‖.",
            lambda a, b, t: torch.where(
                (F.cosine_similarity(a, b) > _EDGE)[:, None, None],
                a[:, None].expand(-1, len(t), -1),
                _circle_wrong()(a, b, t),
            ),
        ),
        Mistake(
            "opposite codes accepted",
            "For opposite codes every way is as long as any other: raise a `ValueError`.",
            _circle_wrong(refuse=lambda cosine: False),
        ),
        Mistake(
            "refused only if all are opposite",
            "One opposite pair suffices for the `ValueError`: `.any()`.",
            _circle_wrong(refuse=lambda cosine: (cosine < -_EDGE).all()),
        ),
    ),
    alternatives={
        "rotation towards the other": _circle_by_rotation,
        "parallel pairs apart, float64": _circle_split,
        "chord and sinc": _circle_by_half_angle,
    },
)

# analogy


def analogy(a: Tensor, b: Tensor, c: Tensor, noise: Tensor) -> Tensor:
    """Groups (n, Z) of different n, noise (K, Z) -> (1 + K, Z): a - b + c at the distance sqrt(Z), then its neighbours."""
    ### BEGIN SOLUTION
    concept = a.mean(dim=0) - b.mean(dim=0) + c.mean(dim=0)
    v = concept * len(concept) ** 0.5 / concept.norm()
    return torch.cat([v[None], v + 0.25 * noise])
    ### END SOLUTION


def _analogy_by_coordinates(a: Tensor, b: Tensor, c: Tensor, noise: Tensor) -> Tensor:
    """Coordinate by coordinate."""
    mean = [[sum(row[k] for row in g.tolist()) / len(g) for k in range(g.shape[1])] for g in (a, b, c)]
    s = [p - q + r for p, q, r in zip(*mean)]
    factor = math.sqrt(len(s)) / math.sqrt(sum(k * k for k in s))
    rows = [[factor * k for k in s]]
    rows += [[factor * k + e / 4 for k, e in zip(s, epsilon)] for epsilon in noise.tolist()]
    return torch.tensor(rows, dtype=a.dtype)


def _analogy_by_weights(a: Tensor, b: Tensor, c: Tensor, noise: Tensor) -> Tensor:
    weights = torch.cat(
        [torch.full((len(g),), sign / len(g), dtype=g.dtype) for g, sign in ((a, 1.0), (b, -1.0), (c, 1.0))]
    )
    v = F.normalize(weights @ torch.cat([a, b, c]), dim=0).mul(math.sqrt(a.shape[1]))
    return v.expand(1 + len(noise), -1) + F.pad(noise / 4, (0, 0, 1, 0))


def _analogy_rms(a: Tensor, b: Tensor, c: Tensor, noise: Tensor) -> Tensor:
    """A length of sqrt(Z) is a mean square of 1."""
    s = torch.add(a.sum(0) / a.shape[0], c.sum(0) / c.shape[0]).sub(b.sum(0) / b.shape[0])
    v = s * s.square().mean().rsqrt()
    return torch.vstack([v, v.add(noise, alpha=0.25)])


def _analogy_filled(a: Tensor, b: Tensor, c: Tensor, noise: Tensor) -> Tensor:
    out = a.new_empty(len(noise) + 1, a.shape[1])
    s = torch.einsum("g,gz->z", a.new_tensor([1, -1, 1]), torch.stack([g.mean(0) for g in (a, b, c)]))
    out[:] = s / torch.linalg.vector_norm(s) * out.shape[1] ** 0.5
    out[1:] += noise * 0.25
    return out


def _home(s: Tensor) -> Tensor:
    return s * len(s) ** 0.5 / s.norm()


def _analogy_wrong(
    *,
    mean: Callable[[Tensor], Tensor] = lambda g: g.mean(0),
    combine: Callable[..., Tensor] = lambda p, q, r: p - q + r,
    rescale: Callable[[Tensor], Tensor] = _home,
    near: Callable[[Tensor, Tensor], Tensor] = lambda v, noise: v + 0.25 * noise,
    join: Callable[[Tensor, Tensor], Tensor] = lambda v, around: torch.cat([v[None], around]),
) -> Callable[..., Tensor]:
    """The analogy with one thing wrong."""

    def answer(a: Tensor, b: Tensor, c: Tensor, noise: Tensor) -> Tensor:
        v = rescale(combine(mean(a), mean(b), mean(c)))
        return join(v, near(v, noise))

    return answer


ANALOGY = Key(
    question=asked.ANALOGY,
    solution=(analogy,),
    reference=_analogy_by_coordinates,
    source=(
        "Radford, Metz & Chintala 2016, arXiv:1511.06434, section 6.3.2 and figure 7; the distance sqrt(Z): "
        "White 2016, arXiv:1609.04468, section 2.1"
    ),
    mistakes=(
        Mistake(
            "not rescaled",
            "The sum has any length it likes: bring it to the distance √Z.",
            _analogy_wrong(rescale=lambda s: s),
        ),
        Mistake(
            "length one",
            "You bring the sum to length 1: codes of width Z lie at the distance √Z.",
            _analogy_wrong(rescale=lambda s: s / s.norm()),
        ),
        Mistake(
            "length Z",
            "You bring the sum to length Z: codes lie at its square root.",
            _analogy_wrong(rescale=lambda s: s * len(s) / s.norm()),
        ),
        Mistake(
            "divided by the squared length",
            "Divide by the length of s, not by its square.",
            _analogy_wrong(rescale=lambda s: s * len(s) ** 0.5 / s.dot(s)),
        ),
        Mistake(
            "means rescaled before the sum",
            "Rescale the sum, not each mean: the means' lengths belong to what they say.",
            _analogy_wrong(mean=lambda g: _home(g.mean(0))),
        ),
        Mistake(
            "sums instead of means",
            "Groups of different size get different weights: take means.",
            _analogy_wrong(mean=lambda g: g.sum(0)),
        ),
        Mistake(
            "first codes only",
            "One code for each concept is unstable: average the group.",
            _analogy_wrong(mean=lambda g: g[0]),
        ),
        Mistake(
            "as many codes as the smallest group has",
            "You cut the groups to two codes: average all of each.",
            _analogy_wrong(mean=lambda g: g[:2].mean(0)),
        ),
        Mistake(
            "mean over the coordinates",
            "Average over the codes of a group, axis 0.",
            _analogy_wrong(mean=lambda g: g.mean(1, keepdim=True).mean(0).expand(g.shape[1])),
        ),
        Mistake(
            "signs exchanged",
            "b is subtracted, c is added.",
            _analogy_wrong(combine=lambda p, q, r: p + q - r),
        ),
        Mistake(
            "all three added",
            "b is subtracted: a − b + c.",
            _analogy_wrong(combine=lambda p, q, r: p + q + r),
        ),
        Mistake(
            "third concept left out",
            "a − b is only the difference: add c.",
            _analogy_wrong(combine=lambda p, q, r: p - q),
        ),
        Mistake(
            "noise at full strength",
            "The neighbours' noise is scaled by 0.25.",
            _analogy_wrong(near=lambda v, noise: v + noise),
        ),
        Mistake(
            "neighbours rescaled",
            "The neighbours are not rescaled again.",
            _analogy_wrong(near=lambda v, noise: torch.stack([_home(w) for w in v + 0.25 * noise])),
        ),
        Mistake(
            "neighbours of the origin",
            "The neighbours lie around v: you return the noise alone.",
            _analogy_wrong(near=lambda v, noise: 0.25 * noise),
        ),
        Mistake(
            "sum missing from the result",
            "The first row is v itself, without noise: 1 + K rows.",
            _analogy_wrong(join=lambda v, around: around),
        ),
        Mistake(
            "sum at the end",
            "v comes first, the neighbours after it.",
            _analogy_wrong(join=lambda v, around: torch.cat([around, v[None]])),
        ),
    ),
    alternatives={
        "one weighted sum": _analogy_by_weights,
        "mean square of 1": _analogy_rms,
        "filled in place": _analogy_filled,
    },
)

# set_pose


def set_pose(z: Tensor, left: Tensor, right: Tensor, t: Tensor) -> Tensor:
    """z (N, Z), groups (n, Z) and (m, Z), t (T,) -> codes (N, T, Z) whose coordinate along the turn is set."""
    ### BEGIN SOLUTION
    l, r = left.mean(dim=0), right.mean(dim=0)
    u = (r - l) / (r - l).norm()
    targets = (1 - t) / 2 * (u @ l) + (1 + t) / 2 * (u @ r)
    missing = targets[None] - (z @ u)[:, None]
    return z[:, None] + missing[..., None] * u
    ### END SOLUTION


def _pose_one_by_one(z: Tensor, left: Tensor, right: Tensor, t: Tensor) -> Tensor:
    """Code by code and pose by pose, by the formula."""
    l = sum(left.unbind()) / len(left)
    r = sum(right.unbind()) / len(right)
    turn = r - l
    u = turn / math.sqrt(float((turn * turn).sum()))
    out = torch.zeros(len(z), len(t), z.shape[1], dtype=z.dtype)
    for n in range(len(z)):
        for k in range(len(t)):
            halfway = (1 - t[k]) / 2 * l + (1 + t[k]) / 2 * r
            out[n, k] = z[n] + ((u * halfway).sum() - (u * z[n]).sum()) * u
    return out


def _pose_by_projection(z: Tensor, left: Tensor, right: Tensor, t: Tensor) -> Tensor:
    """Everything beside the axis of z, everything along it of a point between the means."""
    l, r = left.mean(0), right.mean(0)
    u = F.normalize(r - l, dim=0)
    along = torch.outer(u, u)
    across = torch.eye(len(u), dtype=z.dtype) - along
    targets = torch.lerp(l[None], r[None], (t[:, None] + 1) / 2)
    return (z @ across)[:, None] + (targets @ along)[None]


def _pose_unnormalised(z: Tensor, left: Tensor, right: Tensor, t: Tensor) -> Tensor:
    """Without a unit vector: coordinates in units of the turn, counted from the middle."""
    centre, half = (left.mean(0) + right.mean(0)) / 2, (right.mean(0) - left.mean(0)) / 2
    reading = (z - centre) @ half / half.square().sum()
    return z.unsqueeze(1) + torch.einsum("nt,z->ntz", t - reading.unsqueeze(1), half)


def _pose_least_squares(z: Tensor, left: Tensor, right: Tensor, t: Tensor) -> Tensor:
    l, turn = left.mean(0), right.mean(0) - left.mean(0)
    place = torch.linalg.lstsq(turn[:, None], (z - l).T).solution[0]
    return z[:, None, :] + ((1 + t) / 2 - place[:, None])[:, :, None] * turn[None, None, :]


def _pose_wrong(
    *,
    mean: Callable[[Tensor], Tensor] = lambda g: g.mean(0),
    turn: Callable[[Tensor, Tensor], Tensor] = lambda l, r: r - l,
    unit: Callable[[Tensor], Tensor] = lambda d: d / d.norm(),
    target: Callable[..., Tensor] = lambda u, l, r, t: (1 - t) / 2 * (u @ l) + (1 + t) / 2 * (u @ r),
    coordinate: Callable[..., Any] = lambda z, u: (z @ u)[:, None],
    base: Callable[..., Tensor] = lambda z, l, r: z[:, None],
) -> Callable[..., Tensor]:
    """The pose with one thing wrong."""

    def answer(z: Tensor, left: Tensor, right: Tensor, t: Tensor) -> Tensor:
        l, r = mean(left), mean(right)
        u = unit(turn(l, r))
        return base(z, l, r) + (target(u, l, r, t)[None] - coordinate(z, u))[..., None] * u

    return answer


SET_POSE = Key(
    question=asked.SET_POSE,
    solution=(set_pose,),
    reference=_pose_one_by_one,
    source="Radford, Metz & Chintala 2016, arXiv:1511.06434, section 6.3.2 and figure 8 (turn vector); orthogonal projection",
    mistakes=(
        Mistake(
            "added instead of set",
            "You add the target to what the code has along the axis already: subtract u · z first.",
            _pose_wrong(coordinate=lambda z, u: (0 * z @ u)[:, None]),
        ),
        Mistake(
            "turn vector added",
            "You add t times the turn vector. Here the coordinate along it is set, whatever it was.",
            lambda z, left, right, t: z[:, None] + t[None, :, None] * (right.mean(0) - left.mean(0)),
        ),
        Mistake(
            "half the turn vector added",
            "You add t times half the turn vector. Here the coordinate along it is set, whatever it was.",
            lambda z, left, right, t: z[:, None] + t[None, :, None] * (right.mean(0) - left.mean(0)) / 2,
        ),
        Mistake(
            "not a unit vector",
            "u must have length 1, else the coordinate is not what `z @ u` says.",
            _pose_wrong(unit=lambda d: d),
        ),
        Mistake(
            "axis the wrong way, target by it",
            "The axis leads from left to right, r − l. Yours is turned round, and t with it.",
            _pose_wrong(target=lambda u, l, r, t: (1 + t) / 2 * (u @ l) + (1 - t) / 2 * (u @ r)),
        ),
        Mistake(
            "t from 0 to 1",
            "t = −1 is left and t = 1 is right: the weights are (1 − t)/2 and (1 + t)/2.",
            _pose_wrong(target=lambda u, l, r, t: (1 - t) * (u @ l) + t * (u @ r)),
        ),
        Mistake(
            "counted from the origin",
            "t = 0 is halfway between the groups, which is not the origin.",
            _pose_wrong(target=lambda u, l, r, t: t / 2 * (u @ (r - l))),
        ),
        Mistake(
            "target of t itself",
            "The target is a coordinate between those of the two means, not t itself.",
            _pose_wrong(target=lambda u, l, r, t: t + 0 * (u @ l)),
        ),
        Mistake(
            "weights not halved",
            "The weights (1 − t) and (1 + t) sum to 2: halve them.",
            _pose_wrong(target=lambda u, l, r, t: (1 - t) * (u @ l) + (1 + t) * (u @ r)),
        ),
        Mistake(
            "code replaced",
            "You return points between the means: the rest of each code, beside the axis, has to stay.",
            lambda z, left, right, t: (
                ((1 - t) / 2)[:, None] * left.mean(0) + ((1 + t) / 2)[:, None] * right.mean(0)
            ).expand(len(z), -1, -1),
        ),
        Mistake(
            "sums instead of means",
            "The groups have different sizes: take means.",
            _pose_wrong(mean=lambda g: g.sum(0)),
        ),
        Mistake(
            "first codes only",
            "One code of each group is not its mean.",
            _pose_wrong(mean=lambda g: g[0]),
        ),
        Mistake(
            "one coordinate for all codes",
            "Each code has its own coordinate along the axis: yours is their mean.",
            _pose_wrong(coordinate=lambda z, u: (z @ u).mean().expand(len(z), 1)),
        ),
        Mistake(
            "axes of N and T exchanged",
            "The result is (N, T, Z), codes first.",
            lambda *a: _pose_wrong()(*a).transpose(0, 1),
        ),
    ),
    alternatives={
        "projection matrices": _pose_by_projection,
        "in units of half the turn": _pose_unnormalised,
        "least squares": _pose_least_squares,
    },
)

"""How each thing of the world `things` is painted: one function for each kind, from signed distances.

A painter works in the thing's own coordinates u, v (N, H, W), right and up, in which the thing fits the unit disc. It lays layers
with `Canvas.cover(distance, colour)`: a colour where a distance (in units of the radius) is below 0, with
edges one pixel soft at every size. Knobs t[0] to t[7] (N, 1, 1) in [0, 1) are its free choices.

Longer than other modules because it holds eighteen drawings; each stands alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from coursekit.datasets.things_canvas import Canvas, box, capsule, disc, ellipse, mix, scatter, tinted, triangle

# -- parts


def eye(c: Canvas) -> None:
    """White, iris with rays, pupil round or slit, a highlight; lids in an almond or a round opening."""
    u, v, t = c.u, c.v, c.t
    half = 0.42 + 0.4 * t[0].square()
    reach = (0.85**2 + half * half) / (2 * half)
    lids = (u.square() + (v.abs() + (reach - half)).square_()).sqrt_() - reach
    c.outlined(lids - 0.12, c.a, 0.03)
    c.cover(lids - 0.03, (0.08, 0.05, 0.05))
    c.cover(lids, tinted(c.b, (0.97, 0.96, 0.94), 0.93))
    x, y = u - 0.3 * (t[1] - 0.5), v - 0.1 * (t[2] - 0.5)
    r = (x.square() + y.square()).sqrt_()
    size = 0.34 + 0.14 * t[3]
    rays = (torch.atan2(y, x) * (10 + (6 * t[4]).floor())).sin_().mul_(0.5).add_(0.5).mul_((r / size).clamp_(max=1))
    c.cover(torch.maximum(r - size, lids), (0.06, 0.05, 0.06))
    dark, light = tinted(c.c, (0.5, 0.35, 0.1), 0.2), tinted(c.c, (1.0, 1.0, 0.9), 0.45)
    c.cover(torch.maximum(r - size + 0.05, lids), mix(dark, light, rays))
    slit = (t[5] < 0.3).float()
    pupil = disc(x * (1 + 1.2 * slit), y * (1 - 0.35 * slit), 0.0, 0.0, 0.17 + 0.07 * t[6])
    c.cover(torch.maximum(pupil, lids), (0.02, 0.02, 0.03))
    c.cover(disc(x, y, 0.1, 0.12, 0.07), (1.0, 1.0, 1.0))


def spiral(c: Canvas) -> None:
    """One to three arms, evenly spaced or widening outwards."""
    u, v, t = c.u, c.v, c.t
    r = (u.square() + v.square()).sqrt_()
    arms = 1 + (3 * t[0]).floor()
    even = (t[1] < 0.6).float()
    wound = even * r * (14 + 9 * t[2]) + (1 - even) * (r + 0.02).log() * (4 + 3 * t[2]) * 1.2
    wave = (torch.atan2(v, u) * arms + wound + 6.28 * t[3]).sin_()
    edge = r - 0.95
    c.cover(edge, mix(c.a, c.b, (wave * 2.6 + 0.5).clamp_(0, 1)))
    c.cover((edge + 0.02).abs_() - 0.03, c.a * 0.6)


def feather(c: Canvas) -> None:
    """A bent shaft, vanes of slanted barbs, a tip or bands of another colour."""
    u, t = c.u, c.t
    v = c.v - (t[0] - 0.5) * 0.7 * (u.square() - 0.4)
    across = v.abs()
    along = (u + 0.72).clamp_(0, 1.69) / 1.69
    width = (along.pow(0.42) * (1 - along).clamp_(min=0).sqrt_()) * (0.5 + 0.3 * t[1])
    phase = (u - across * (0.9 + 0.5 * t[2])) * (26 + 8 * t[3])
    barbs = phase.sin()
    notches = (phase * 0.31).sin_().sub_(0.8).clamp_(0, 1).mul_(1.2)
    width = width * (1 + 0.06 * barbs) * (1 - notches)
    share = ((u - 0.9 * t[4] + across * 0.5) * 4).clamp_(0, 1)
    bands = (t[5] < 0.35).float() * ((u - across) * 9).sin_().mul_(2).add_(0.5).clamp_(0, 1)
    vane = torch.maximum(across - width, u - 0.97)
    c.cover(vane - 0.035, tinted(c.a, (0.05, 0.05, 0.05), 0.75))
    colour = mix(c.a, c.b, torch.maximum(share, bands))
    c.cover(vane, colour.mul_((0.75 + 0.33 * barbs).unsqueeze(1)))
    c.cover(torch.maximum(torch.maximum(across - 0.03, u - 0.85), -0.98 - u), tinted(c.b, (0.95, 0.92, 0.8), 0.6))


def flower(c: Canvas) -> None:
    """Five to nine petals, in one ring or two, around a dotted centre."""
    u, v, t = c.u, c.v, c.t
    r = (u.square() + v.square()).sqrt_()
    angle = torch.atan2(v, u) * (2.5 + (5 * t[0]).floor() * 0.5)
    lobes = angle.cos().abs_()
    petals = r - (0.4 + 0.55 * lobes.sqrt())
    c.outlined(petals * 0.7, c.a, 0.03)
    c.cover(
        petals * 0.7 + 0.02,
        mix(tinted(c.a, (1.0, 1.0, 1.0), 0.45), c.a, (r * 1.3 - 0.25 + 0.25 * (1 - lobes)).clamp_(0, 1)),
    )
    second = torch.where(t[1] < 0.5, r - (0.28 + 0.36 * angle.sin_().abs_().sqrt_()), 1.0)
    c.outlined(second * 0.7, tinted(c.a, (1.0, 0.95, 0.9), 0.25), 0.025)
    core = tinted(c.b, (0.98, 0.8, 0.1), 0.55)
    dots = (u * 26).sin_().mul_((v * 26).sin_()).mul_(0.5).add_(0.5)
    c.outlined(r - (0.2 + 0.1 * t[2]), core, 0.03)
    c.cover(r - (0.18 + 0.1 * t[2]), mix(core, core * 0.45, dots))


def wheel(c: Canvas) -> None:
    """Tyre, rim, five to twelve spokes, hub."""
    u, v, t = c.u, c.v, c.t
    r = (u.square() + v.square()).sqrt_()
    count = 5 + (8 * t[0]).floor()
    angle = torch.atan2(v, u) * (count / 6.2832)
    off = (angle - angle.round()).abs_() * r * (6.2832 / count)
    tyre = 0.95 - 0.13 - 0.1 * t[1]
    c.cover(r - 0.95, tinted(c.c, (0.06, 0.06, 0.07), 0.85))
    c.cover(r - tyre, tinted(c.a, (0.8, 0.8, 0.82), 0.4))
    gap = torch.where(t[2] < 0.5, 1.0, 0.0)
    c.cover(r - tyre + 0.1, mix(tinted(c.b, (0.1, 0.1, 0.12), 0.7), c.b, 1 - gap.expand_as(r)))
    c.cover(torch.maximum(off - (0.035 + 0.05 * t[3]), r - tyre + 0.05), tinted(c.a, (0.85, 0.85, 0.86), 0.5))
    c.outlined(r - (0.13 + 0.08 * t[4]), c.a, 0.03)
    c.cover(r - 0.06, (0.1, 0.1, 0.1))


# -- textures


def scales(c: Canvas) -> None:
    """Rows of round scales, each row under the one above."""
    f = (2.2 + 2.2 * c.t[0]) * c.radius
    x, y = c.u * f, c.v * f * 2
    row = y.floor()
    drop = (1 - (y - row)) * 0.5  # below the centres of the row above
    even = torch.remainder(row, 2) * 0.5
    near = x + even
    far = x + 0.5 - even
    one, other = near - near.floor() - 0.5, far - far.floor() - 0.5
    upper = (other.square() + (drop + 0.5).square()).sqrt_()
    lower = (one.square() + drop.square()).sqrt_()
    above = upper < 0.66
    q = torch.where(above, upper, lower)
    shade = torch.where(above, scatter(far.floor(), row + 2, 1.0), scatter(near.floor(), row + 1, 1.0))
    colour = mix(c.a, c.b, (shade * 0.45 + q.sub(0.15).mul_(0.9)).clamp_(0, 1))
    rim = ((q - 0.6).abs_() * -14 + 1).clamp_(0, 1)
    c.cover(torch.full_like(q, -1.0), colour.mul_((1 - 0.85 * rim).unsqueeze(1)))


def tiles(c: Canvas) -> None:
    """Square tiles or bricks with joints, in two colours, plain or with a diamond on each."""
    t = c.t
    f = (2.4 + 2.6 * t[0]) * c.radius
    y = c.v * f * (1 + (t[1] < 0.3).float())
    row = y.floor()
    x = c.u * f + (t[1] < 0.3).float() * 0.5 * torch.remainder(row, 2)
    column = x.floor()
    du, dv = (x - column - 0.5).abs_(), (y - row - 0.5).abs_()
    checker = torch.where(t[2] < 0.5, torch.remainder(row + column, 2), scatter(column, row, 2.0))
    c.cover(torch.full_like(y, -1.0), tinted(c.c, (0.8, 0.8, 0.78), 0.55) * torch.where(t[3, :, :, 0] < 0.5, 1.0, 0.3))
    joint = 0.40 + 0.05 * t[4]
    face = (torch.maximum(du, dv) - joint) / f
    tile = mix(c.a, c.b, checker).mul_((0.9 + 0.2 * scatter(column, row, 5.0)).unsqueeze(1))
    c.cover(face, tile)
    c.cover(torch.where(t[5] < 0.4, (du + dv - 0.26) / f, 1.0), mix(c.b, c.d, checker))


def honeycomb(c: Canvas) -> None:
    """Hexagonal cells between walls, some filled."""
    t = c.t
    f = (2.8 + 2.4 * t[0]) * c.radius
    x, y = c.u * f, c.v * f
    h = 0.8660254
    ax, ay = x - x.floor() - 0.5, y / (2 * h)
    ay = (ay - ay.floor() - 0.5) * (2 * h)
    bx, by = x - 0.5, (y - h) / (2 * h)
    bx, by = bx - bx.floor() - 0.5, (by - by.floor() - 0.5) * (2 * h)
    nearer = ax.square() + ay.square() < bx.square() + by.square()
    gx, gy = torch.where(nearer, ax, bx), torch.where(nearer, ay, by)
    edge = torch.maximum(gx.abs(), gx.abs() * 0.5 + gy.abs() * h)
    filled = scatter(((x - gx) * 2).round_(), ((y - gy) * 2).round_(), 3.0)
    wax = tinted(c.a, (0.95, 0.72, 0.15), 0.55)
    c.cover(torch.full_like(x, -1.0), wax)
    inside = mix(
        tinted(c.b, (0.35, 0.18, 0.02), 0.6), tinted(c.b, (0.98, 0.6, 0.05), 0.6), (filled * 1.5 - 0.3).clamp_(0, 1)
    )
    c.cover((edge - 0.39 - 0.05 * t[1]) / f, inside.mul_((1.15 - 0.5 * (edge + 0.4 * gy)).unsqueeze(1)))


def leopard(c: Canvas) -> None:
    """Fur with broken dark rings around patches."""
    t = c.t
    f = (2.2 + 2.0 * t[0]) * c.radius
    y = c.v * f * 1.1
    row = y.floor()
    x = c.u * f + 0.5 * torch.remainder(row, 2)
    column = x.floor()
    one, two = scatter(column, row, 1.0), scatter(column, row, 4.0)
    du, dv = x - column - 0.32 - 0.36 * one, y - row - 0.32 - 0.36 * two
    angle = torch.atan2(dv, du)
    q = (du.square() + dv.square()).sqrt_() * (1 + 0.16 * (angle * 3 + 6.3 * one).sin_())
    fur = tinted(c.a, (0.93, 0.72, 0.38), 0.7)
    c.cover(torch.full_like(q, -1.0), fur)
    c.cover((q - 0.3) / f, tinted(c.a, (0.62, 0.38, 0.14), 0.7))
    broken = (angle * (2 + (2 * two).round_()) + 6.3 * two).sin_() + 0.55
    solid = (one < 0.15).float()
    ring = torch.maximum((q - 0.3).abs_() - 0.085, (broken * -0.2).sub_(solid))
    c.cover(torch.minimum(ring, q - 0.26 + (1 - solid)) / f, (0.07, 0.05, 0.04))


# -- things


def bird(c: Canvas) -> None:
    """From the side: tail, beak, trunk, head, wing with barred feathers, legs."""
    u, v, t = c.u, c.v, c.t
    up = (t[0] < 0.35).float()
    for x in (-0.05, 0.14):
        c.cover(capsule(u, v, (x, -0.35), (x + 0.03, -0.82), 0.03, 0.03), (0.2, 0.15, 0.12))
    c.outlined(capsule(u, v, (-0.3, -0.1), (-0.9, 0.35 * t[1] - 0.3), 0.12, 0.14), c.b)
    c.outlined(capsule(u, v, (0.5, 0.42), (0.86, 0.38), 0.09, 0.015), tinted(c.d, (0.98, 0.6, 0.1), 0.75), 0.03)
    c.outlined(capsule(u, v, (0.14, -0.06), (-0.3, -0.1), 0.36, 0.22), c.a)
    c.cover(ellipse(u, v, 0.18, -0.24, 0.26, 0.14), tinted(c.a, (1.0, 0.98, 0.92), 0.65))
    c.outlined(disc(u, v, 0.38, 0.4, 0.24), torch.where(t[2, :, :, 0] < 0.5, c.a, c.d))
    wing = capsule(u, v, (0.05, 0.04), (-0.5 + 0.2 * up, -0.08 + 0.9 * up), 0.2, 0.06)
    bars = ((u * (0.6 + 0.4 * up) - v * (1 - up)) * 32).sin_().mul_(2).add_(0.5).clamp_(0, 1)
    c.outlined(wing, c.b)
    c.cover(wing + 0.02, mix(c.b, c.b * 0.55, bars))
    c.cover(disc(u, v, 0.44, 0.46, 0.085), (0.97, 0.97, 0.95))
    c.cover(disc(u, v, 0.45, 0.46, 0.055), (0.03, 0.03, 0.03))


def ostrich(c: Canvas) -> None:
    """A round dark body with a pale tail, a long bare neck, a small head, long legs."""
    u, v, t = c.u, c.v, c.t
    bare = tinted(c.a, (0.88, 0.66, 0.58), 0.65)
    stride = 0.22 * t[0]
    for x, foot in ((-0.06, -stride), (0.08, stride)):
        c.cover(capsule(u, v, (x, -0.25), (x + 0.5 * foot, -0.6), 0.07, 0.04), bare)
        c.cover(capsule(u, v, (x + 0.5 * foot, -0.6), (x + foot, -0.94), 0.04, 0.035), bare * 0.85)
        c.cover(capsule(u, v, (x + foot, -0.94), (x + foot + 0.13, -0.95), 0.035, 0.025), bare * 0.7)
    lean = 0.5 + 0.16 * t[1]
    bend = 0.3 + 0.1 * t[2]
    low = capsule(u, v, (0.26, 0.0), (bend + 0.1, 0.38), 0.12, 0.065)
    neck = torch.minimum(low, capsule(u, v, (bend + 0.1, 0.38), (lean - 0.1, 0.8), 0.065, 0.055))
    c.outlined(neck, bare, 0.025)
    beak = capsule(u, v, (lean, 0.8), (lean + 0.2, 0.75), 0.055, 0.02)
    head = torch.minimum(capsule(u, v, (lean - 0.1, 0.82), (lean, 0.81), 0.1, 0.09), beak)
    c.outlined(head, bare, 0.025)
    c.cover(disc(u, v, lean - 0.05, 0.85, 0.035), (0.03, 0.03, 0.03))
    ruffle = 0.035 * (torch.atan2(v + 0.05, u + 0.05) * 17).sin_()
    c.cover(ellipse(u, v, -0.5, 0.02, 0.24, 0.2) + ruffle, tinted(c.b, (0.96, 0.95, 0.92), 0.8))
    body = ellipse(u, v, -0.06, -0.06, 0.46, 0.31) + ruffle
    coat = tinted(c.c, (0.12, 0.1, 0.09), 0.78)
    c.cover(body - 0.03, coat * 0.5 + 0.3)
    strands = ((u * 0.6 + v) * 24 + 3 * ruffle).sin_().mul_(0.5).add_(0.5)
    c.cover(body, mix(coat * 0.7, coat * 0.9 + 0.12, strands))
    c.cover(ellipse(u, v, -0.14, -0.22, 0.22, 0.08) + ruffle, tinted(c.b, (0.96, 0.95, 0.92), 0.8))


def bus(c: Canvas) -> None:
    """A long box with one or two rows of windows, a stripe, a door, two wheels."""
    u, v, t = c.u, c.v, c.t
    double = (t[0] < 0.35).float()
    top = 0.42 + 0.3 * double
    c.outlined(box(u, v, 0.0, (top - 0.42) / 2, 0.93, (top + 0.42) / 2, 0.1), c.a)
    c.cover(box(u, v, 0.0, -0.14, 0.93, 0.05), c.b)
    glass = tinted(c.d, (0.65, 0.85, 0.95), 0.6) * torch.where(t[1, :, :, 0] < 0.5, 1.0, 0.35)
    x = (u + 0.96) / 0.375
    pane = ((x - x.floor() - 0.5).abs_() - 0.4) * 0.375
    inside = torch.maximum(pane, u.abs() - 0.87)
    c.cover(torch.maximum(inside, (v - 0.14).abs_() - 0.15), glass)
    c.cover(torch.maximum(inside, (v - 0.54).abs_() - 0.13) + 2 * (1 - double), glass)
    c.cover(box(u, v, 0.66, -0.08, 0.12, 0.28), c.a * 0.35)
    c.cover(torch.maximum(box(u, v, 0.66, -0.08, 0.1, 0.26), 0.012 - (u - 0.66).abs_()), glass)
    c.cover(disc(u, v, 0.9, -0.28, 0.06), (1.0, 0.95, 0.6))
    for k in (-0.52, 0.32):
        c.cover(disc(u, v, k, -0.42, 0.22), (0.05, 0.05, 0.06))
        c.cover(disc(u, v, k, -0.42, 0.1), (0.75, 0.75, 0.76))


def parking_meter(c: Canvas) -> None:
    """A pole, a rounded head with a dial under glass, a slot; sometimes two heads."""
    u, v, t = c.u, c.v, c.t
    metal = tinted(c.a, (0.55, 0.58, 0.62), 0.45)
    c.outlined(box(u, v, 0.0, -0.55, 0.075, 0.45), metal * 0.75, 0.03)
    c.cover(box(u, v, -0.025, -0.55, 0.02, 0.45), (0.85, 0.87, 0.9), 0.7)
    c.outlined(box(u, v, 0.0, -0.95, 0.22, 0.05, 0.02), metal * 0.6, 0.03)
    head = torch.minimum(disc(u, v, 0.0, 0.48, 0.4), capsule(u, v, (0.0, 0.45), (0.0, -0.02), 0.4, 0.26))
    c.outlined(head, metal, 0.045)
    glass = torch.maximum(disc(u, v, 0.0, 0.5, 0.3), 0.4 - v)
    c.cover(glass - 0.035, metal * 0.35)
    c.cover(glass, (0.93, 0.94, 0.88))
    turn = (t[0] - 0.5) * 2.2
    c.cover(capsule(u, v, (0.0, 0.44), (0.25 * turn.sin(), 0.44 + 0.25 * turn.cos()), 0.035, 0.02), (0.88, 0.1, 0.08))
    c.cover(box(u, v, 0.0, 0.24, 0.22, 0.07), tinted(c.b, (0.95, 0.9, 0.2), 0.4))
    c.cover(box(u, v, 0.0, 0.24, 0.13, 0.02), (0.05, 0.05, 0.05))
    c.cover(disc(u, v, 0.0, 0.0, 0.1), metal * 0.3)
    c.cover(box(u, v, 0.0, 0.0, 0.018, 0.07), (0.9, 0.9, 0.9))


def fish(c: Canvas) -> None:
    """From the side: forked tail, fins, stripes, scales' glint, eye, mouth."""
    u, v, t = c.u, c.v, c.t
    deep = 0.36 + 0.14 * t[0]
    tail = torch.maximum(v.abs() * 0.75 + (u + 0.42) * 0.75, torch.maximum(-0.95 - u, -0.72 - u - v.abs() * 0.5 + 0.0))
    c.outlined(tail, c.b, 0.035)
    c.outlined(triangle(u, v - 0.25, -0.12, 0.42, 0.42, -0.1), c.b, 0.035)
    c.outlined(triangle(u, -v - 0.25, -0.02, 0.26, 0.22, -0.1), c.b, 0.035)
    reach = (0.75**2 + deep * deep) / (2 * deep)
    body = ((u - 0.18).square() + (v.abs() + (reach - deep)).square_()).sqrt_() - reach
    c.outlined(body, c.a, 0.04)
    count = 9 + 6 * t[1]
    stripes = ((u + 0.25 * v.square()) * count).sin_().mul_(3).clamp_(0, 1) * (t[2] < 0.6).float()
    belly = (0.55 - v * 1.6).clamp_(0, 1) * 0.5
    c.cover(torch.maximum(body, u - 0.42), mix(c.a, c.b, stripes).add_(belly.unsqueeze(1) * 0.35))
    c.cover(torch.maximum((disc(u, v, 0.75, 0.0, 0.4)).abs_() - 0.025, body), c.a * 0.35)
    c.cover(disc(u, v, 0.62, 0.1, 0.1), (0.97, 0.97, 0.92))
    c.cover(disc(u, v, 0.64, 0.1, 0.055), (0.02, 0.02, 0.02))
    c.outlined(triangle(v, -u, 0.0, 0.05, 0.12, -0.2), c.b, 0.02)


def tree(c: Canvas) -> None:
    """A trunk under a leafy crown, or under the tiers of a conifer."""
    u, v, t = c.u, c.v, c.t
    leaf = tinted(c.a, (0.15, 0.45, 0.12), 0.62)
    c.outlined(capsule(u, v, (0.0, -0.95), (0.0, 0.0), 0.13, 0.07), tinted(c.c, (0.36, 0.22, 0.1), 0.75), 0.03)
    ragged = 0.05 * ((u * 19 + 6 * t[1]).sin_() + (v * 21 + 6 * t[2]).sin_()) + 0.25 * c.grain
    crown = conifer = torch.full_like(u, 9.0)
    for x, y, r in ((0.0, 0.52, 0.42), (-0.38, 0.12, 0.36), (0.4, 0.16, 0.34), (0.0, 0.15, 0.36)):
        crown = torch.minimum(crown, disc(u, v, x, y, r))
    for top, half, low in ((0.97, 0.4, 0.3), (0.6, 0.55, -0.1), (0.22, 0.68, -0.52)):
        conifer = torch.minimum(conifer, triangle(u, v, 0.0, top, half, low))
    shape = torch.where(t[0] < 0.6, crown, conifer) + ragged
    waves = 0.35 * ((u + 0.6 * v) * 15).sin_()
    dapple = (c.grain * 3 + waves).add_(0.4 + 0.3 * u + 0.3 * v).clamp_(0, 1)
    c.cover(shape - 0.04, leaf * 0.3)
    c.cover(shape, mix(leaf * 0.6, tinted(leaf, (0.75, 0.9, 0.3), 0.35), dapple))


def house(c: Canvas) -> None:
    """Walls, a gable, a chimney, a door, two windows with crosses."""
    u, v, t = c.u, c.v, c.t
    side = torch.where(t[0] < 0.5, 0.38, -0.38)
    c.outlined(box(u, v, side, 0.62, 0.09, 0.25), c.d * 0.7, 0.03)
    c.outlined(box(u, v, 0.0, -0.38, 0.66, 0.46), c.a, 0.035)
    roof = triangle(u, v, 0.0, 0.9, 0.9, 0.06)
    c.outlined(roof, c.b, 0.035)
    c.cover(torch.maximum(roof, 0.05 - (((v - 0.06) * 8) - ((v - 0.06) * 8).round()).abs_() * 0.3), c.b * 0.6)
    door = (t[1] - 0.5) * 0.1
    c.outlined(box(u, v, door, -0.57, 0.14, 0.27), tinted(c.c, (0.4, 0.22, 0.1), 0.5), 0.03)
    glass = torch.where(t[2, :, :, 0] < 0.5, torch.tensor([0.6, 0.83, 0.95]), torch.tensor([0.99, 0.88, 0.45]))
    x = u.abs() - 0.42
    pane = box(x, v, 0.0, -0.3, 0.15, 0.16)
    c.cover(pane - 0.045, c.a * 0.35)
    c.cover(torch.maximum(pane, 0.02 - torch.minimum(x.abs(), (v + 0.3).abs())), glass)


def butterfly(c: Canvas) -> None:
    """Four wings with rims and spots, mirrored about a thin body with feelers."""
    u, v, t = c.u.abs(), c.v, c.t
    spread = 0.9 + 0.25 * t[0]
    x = u * spread
    cos, sin = math.cos(0.6), math.sin(0.6)
    p, q = x * cos + v * sin, v * cos - x * sin
    upper = ellipse(p, q, 0.52, 0.08, 0.47, 0.27)
    p2, q2 = x * cos - v * sin, v * cos + x * sin
    lower = ellipse(p2, q2, 0.43, 0.0, 0.37, 0.24)
    wings = torch.minimum(upper, lower)
    rim = c.b
    c.outlined(wings, rim, 0.035)
    veins = (torch.atan2(v, x) * 14).sin_().mul_(0.5).add_(0.5)
    c.cover(wings + 0.08, mix(c.a, c.a * 0.55, veins * 0.8))
    c.cover(disc(p, q, 0.66, 0.08, 0.13), rim)
    c.cover(disc(p, q, 0.66, 0.08, 0.07), c.d)
    c.cover(disc(p2, q2, 0.52, 0.0, 0.1), torch.where(t[1, :, :, 0] < 0.5, c.d, rim))
    dark = tinted(c.c, (0.08, 0.06, 0.06), 0.8)
    c.cover(capsule(u, v, (0.0, 0.3), (0.0, -0.5), 0.075, 0.045), dark)
    c.cover(capsule(u, v, (0.02, 0.35), (0.22, 0.8), 0.02, 0.02), dark)


def cat(c: Canvas) -> None:
    """A face from the front: ears, eyes with slits, nose, whiskers, stripes on the forehead."""
    u, v, t = c.u, c.v, c.t
    x = u.abs()
    c.outlined(triangle(x, v, 0.5, 0.92, 0.3, 0.1), c.a, 0.04)
    c.cover(triangle(x, v, 0.5, 0.74, 0.17, 0.2), tinted(c.a, (0.95, 0.6, 0.6), 0.7))
    face = ellipse(x, v, 0.0, -0.1, 0.8, 0.7)
    c.outlined(face, c.a, 0.045)
    middle = capsule(x, v, (0.0, 0.58), (0.0, 0.28), 0.05, 0.025)
    stripes = torch.minimum(middle, capsule(x, v, (0.22, 0.53), (0.16, 0.28), 0.05, 0.02))
    flank = capsule(x, v, (0.8, -0.2), (0.58, -0.22), 0.05, 0.02)
    c.cover(torch.maximum(torch.minimum(stripes, flank), face) + (t[0] < 0.3).float(), c.b)
    c.cover(ellipse(x, v, 0.16, -0.42, 0.24, 0.2), tinted(c.a, (1.0, 0.98, 0.95), 0.75))
    eyes = ellipse(x, v, 0.36, 0.04, 0.2, 0.16)
    c.cover(eyes - 0.04, (0.06, 0.05, 0.05))
    c.cover(eyes, tinted(c.d, (0.75, 0.9, 0.25), 0.55))
    c.cover(ellipse(x, v, 0.36, 0.04, 0.05 + 0.001, 0.15), (0.02, 0.02, 0.02))
    c.cover(disc(x, v, 0.41, 0.1, 0.04), (1.0, 1.0, 1.0))
    c.cover(triangle(u, -v, 0.0, 0.38, 0.11, 0.24), tinted(c.a, (0.9, 0.4, 0.45), 0.75))
    c.cover(capsule(x, v, (0.0, -0.38), (0.16, -0.5), 0.022, 0.022), (0.1, 0.06, 0.06))
    upper = capsule(x, v, (0.3, -0.38), (0.92, -0.28), 0.014, 0.01)
    whiskers = torch.minimum(upper, capsule(x, v, (0.3, -0.45), (0.88, -0.56), 0.014, 0.01))
    c.cover(whiskers, tinted(c.b, (0.9, 0.9, 0.9), 0.4))


@dataclass(frozen=True)
class Painter:
    """A kind of thing: how it is painted, how far it may be turned (radians), whether it is a texture."""

    paint: Callable[[Canvas], None]
    turn: float = 0.3
    texture: bool = False


PAINTERS: dict[str, Painter] = {
    "eye": Painter(eye, 0.5),
    "spiral": Painter(spiral, math.pi),
    "feather": Painter(feather, math.pi),
    "scales": Painter(scales, 0.6, texture=True),
    "tiles": Painter(tiles, math.pi, texture=True),
    "flower": Painter(flower, math.pi),
    "bird": Painter(bird),
    "ostrich": Painter(ostrich, 0.15),
    "bus": Painter(bus, 0.2),
    "parking meter": Painter(parking_meter, 0.25),
    "fish": Painter(fish, 0.4),
    "tree": Painter(tree, 0.15),
    "house": Painter(house, 0.15),
    "wheel": Painter(wheel, math.pi),
    "honeycomb": Painter(honeycomb, math.pi, texture=True),
    "leopard": Painter(leopard, math.pi, texture=True),
    "butterfly": Painter(butterfly, 0.6),
    "cat": Painter(cat, 0.3),
}
"""Name -> painter; the order is that of the class ids."""

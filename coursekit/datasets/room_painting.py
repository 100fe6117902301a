"""Painting a rendered bedroom; see coursekit.datasets.rooms."""

from __future__ import annotations

import torch
from torch import Tensor

from coursekit.datasets.drawing import Easel, Number, column
from coursekit.datasets.room_layout import (
    ARTS,
    BED,
    BEDS,
    CARPETS,
    CURTAINS,
    FAR,
    NAMES,
    SKIES,
    TABLE,
    TIMBER,
    WALLS,
    WOODS,
    Style,
    Window,
    at,
    mirrored,
    windows,
)

# RGB in 0 to 1.
_TILES = ((0.93, 0.92, 0.89), (0.30, 0.34, 0.38))
_LIT, _UNLIT, _GLOW = (1.00, 0.95, 0.66), (0.42, 0.37, 0.34), (0.34, 0.25, 0.05)


class Scene:
    """One chunk of rooms, painted back to front with the bed on the left."""

    def __init__(self, labels: Tensor, style: Style, pictures: Tensor) -> None:
        self.labels, self.style, self.easel = labels, style, Easel(pictures)
        # What hangs on walls is above, what stands below; see the ranges of `eye`, `rise` and `drop`.
        self.above, self.below, self.ground = (self.easel.band(*ends) for ends in ((0, 0.65), (0.3, 1), (0.57, 1)))
        self.ids = dict(zip(NAMES, labels.unbind(1)))
        self.wall = torch.tensor(tuple(WALLS.values()))[self.ids["wall"]] + style.tint[:, 0]
        self.timber = torch.tensor(TIMBER)[style.timber]

    def at(self, x: Number, y: Number, q: Number = 1.0) -> tuple[Tensor, Tensor]:
        return at(self.style, x, y, q)

    def upright(self, x: tuple[Number, Number], y: tuple[Number, Number], q: Number = 1.0) -> Tensor:
        """Coverage, below, of a rectangle that faces the viewer."""
        return self.below.box(*self.at(x[0], y[0], q), *self.at(x[1], y[1], q))

    def level(
        self, x: tuple[Number, Number], y: Number, q: tuple[Number, Number], easel: Easel | None = None
    ) -> Tensor:
        """Coverage, below or on another easel, of a horizontal rectangle from nearness q[0] to q[1]."""
        near, far = ((self.at(x[0], y, q[k]), self.at(x[1], y, q[k])) for k in (1, 0))
        easel = self.below if easel is None else easel
        (left, top), (right, _) = far
        (outer, bottom), (inner, _) = near
        sides = torch.maximum(
            easel.right_of((outer, bottom), (left, top)), easel.right_of((right, top), (inner, bottom))
        )
        return easel.soft(sides) * easel.down(top, bottom)

    def paint(self) -> None:
        self._walls()
        self._floor()
        for window in windows(self.labels, self.style):
            self._window(window)
        self._picture()
        self._table()
        self._bed()
        self._lamp()
        pictures = self.easel.pictures
        pictures.mul_(self.style.light.view(-1, 1, 1, 1))
        self.easel.finish()
        right = mirrored(self.labels)
        pictures[right] = pictures[right].flip(-1)

    def _walls(self) -> None:
        easel, at = self.easel, self.at
        easel.pictures.copy_(self.wall.view(-1, 3, 1, 1).expand_as(easel.pictures))
        left = easel.polygon(at(-1, -1, FAR), at(-1, -1), at(-1, 1), at(-1, 1, FAR))
        right = easel.polygon(at(1, -1), at(1, -1, FAR), at(1, 1, FAR), at(1, 1))
        easel.shade(left, 0.16)
        easel.shade(right, 0.08)
        ceiling = easel.polygon(at(-1, -1, FAR), at(1, -1, FAR), at(1, -1), at(-1, -1))
        easel.fill(ceiling, 0.25 * self.wall + 0.75 * 0.96)
        x, y = at(0, -1)
        beyond = ((easel.x - column(x)).abs() - column(self.style.half)).clamp(min=0)
        edge = (easel.y - column(y)).abs() + beyond  # where wall and ceiling meet
        easel.shade(1 - 10 * edge.clamp(max=0.1), 0.06)

    def _floor(self) -> None:
        easel, style, kind = self.ground, self.style, self.ids["floor"]
        floor = self.level((-1, 1), 1, (1.0, FAR), easel)
        ex, ey = (column(value) for value in style.eye.unbind(1))
        q = ((easel.y - ey) / column(style.drop)).clamp(min=1.0)
        width = column(style.half) * q  # of one unit of X, in the frame
        x = (easel.x - ex) / width
        # Planks run towards the vanishing point. Tiles: the sign of two triangle waves, its steps softened to a pixel.
        planks = x / 0.3 + column(style.phase)
        tone = (planks.floor() * 2.4).sin() * 0.05
        seam = easel.soft(self._wave(planks) * 0.3 * width - 0.006)
        wood = torch.tensor(WOODS)[style.wood].view(-1, 3, 1, 1) + (tone - 0.16 * seam).unsqueeze(1)
        easel.fill(floor, wood, kind == 0)
        rows, pitch = 1 / q / 0.12 + column(style.phase), 0.12 * q.square() * column(style.drop)
        across = ((self._wave(x / 0.5) - 0.25) * 0.5 * width * easel.pixels * 2).clamp(-1, 1)
        along = ((self._wave(rows / 2) - 0.25) * 2 * pitch * easel.pixels * 2).clamp(-1, 1)
        light, dark = torch.tensor(_TILES).view(2, 3, 1, 1)
        tiles = dark + (light - dark) * (0.5 + 0.5 * across * along).unsqueeze(1)
        easel.fill(floor, tiles, kind == 1)
        easel.fill(floor, torch.tensor(CARPETS)[style.carpet], kind == 2)
        rx, ry = self.at(0.42, 1, 1.55)
        easel.fill(easel.ellipse(rx, ry, 0.17, 0.05), 0.5 * self.wall + 0.45, style.rug)
        easel.fill(easel.ellipse(rx, ry, 0.125, 0.033), 0.75 * self.wall, style.rug)
        stains = easel.mottle(style.stains)
        easel.shade(floor * stains, 0.07)
        dim = (1.25 - q).clamp(min=0) * floor  # less light in the far corner
        easel.shade(dim, 0.6)

    @staticmethod
    def _wave(t: Tensor) -> Tensor:
        """Distance of t to the nearest whole number, 0 to 0.5."""
        return (t - t.round()).abs()

    def _window(self, window: Window) -> None:
        easel, style = self.above, self.style
        u = ((easel.x - column(window.left)) / column(window.right - window.left)).clamp(0, 1)
        top = column(window.tops[0]) + u * column(window.tops[1] - window.tops[0])
        bottom = column(window.bottoms[0]) + u * column(window.bottoms[1] - window.bottoms[0])
        v = ((easel.y - top) / (bottom - top)).clamp(0, 1)

        timber = (0.16 * (window.right - window.left)).clamp(max=0.032)  # width of the frame

        def inset(by: Tensor) -> Tensor:
            return easel.across(window.left + by, window.right - by) * easel.down(top + column(by), bottom - column(by))

        easel.fill(inset(0 * timber), 0.5 * self.wall, window.shown)
        easel.fill(inset(0.3 * timber), torch.tensor((1.0, 1.0, 1.0)), window.shown)
        opening = inset(timber)
        zenith, horizon = torch.tensor(SKIES)[style.sky].unbind(1)
        sky = zenith.view(-1, 3, 1, 1) + (horizon - zenith).view(-1, 3, 1, 1) * v.unsqueeze(1)
        easel.fill(opening, sky, window.shown)
        land = 1 - column(style.hill) * (1 + 0.35 * (5 * u + column(style.phase) * 6).sin())
        easel.fill(
            opening * easel.down(bottom * land + top * (1 - land), bottom),
            torch.tensor((0.36, 0.60, 0.30)),
            window.shown,
        )
        middle, half = (window.left + window.right) / 2, 0.008
        easel.fill(opening * easel.across(middle - half, middle + half), torch.tensor((0.97, 0.97, 0.96)), window.shown)
        rail = top + 0.45 * (bottom - top)
        easel.fill(opening * easel.down(rail - half, rail + half), torch.tensor((0.97, 0.97, 0.96)), window.shown)
        share = column(style.drawn)
        hidden = (
            (torch.maximum(share - u, u - 1 + share) * column(window.right - window.left)) * easel.pixels + 0.5
        ).clamp(0, 1)
        folds = torch.tensor(CURTAINS)[style.curtain].view(-1, 3, 1, 1) * (
            1 - 0.10 * (u * 40).sin().square()
        ).unsqueeze(1)
        easel.fill(inset(0.3 * timber) * hidden, folds, window.shown & (style.drawn > 0))

    def _picture(self) -> None:
        style, shown = self.style, self.ids["picture"] == 1
        middle, half = style.frame.unbind(1)
        easel = self.above
        left, top = self.at(middle - half, -0.84)
        right, bottom = self.at(middle + half, -0.16)
        easel.fill(easel.box(left, top, right, bottom), torch.tensor((0.20, 0.14, 0.10)), shown)
        edge = 0.018
        ground, figure = torch.tensor(ARTS)[style.art].unbind(1)
        inner = easel.box(left + edge, top + edge, right - edge, bottom - edge)
        easel.fill(inner, ground, shown)
        x, y = (left + right) / 2, (top + bottom) / 2
        easel.fill(inner * easel.ellipse(x - 0.01, y + 0.02, 0.04, 0.035), figure, shown)

    def _table(self) -> None:
        easel, left, right = self.below, *TABLE
        easel.shade(self.level((left - 0.1, right + 0.12), 1, (1.0, 1.2)), 0.3)
        easel.fill(self.upright((left, right), (0.52, 1.0), 1.06), 0.72 * self.timber)
        easel.fill(self.upright((left + 0.04, right - 0.04), (0.62, 0.74), 1.06), 0.9 * self.timber)
        easel.fill(self.level((left, right), 0.5, (1.0, 1.1)), self.timber)

    def _lamp(self) -> None:
        easel, on = self.easel.band(0, 0.8), self.ids["lamp"] == 1
        middle = (TABLE[0] + TABLE[1]) / 2
        x, base = self.at(middle, 0.52)
        easel.fill(easel.box(x - 0.008, base - 0.07, x + 0.008, base + 0.01), torch.tensor((0.30, 0.27, 0.25)))
        top, bottom = base - 0.15, base - 0.055
        shade = easel.polygon((x - 0.030, top), (x + 0.030, top), (x + 0.056, bottom), (x - 0.056, bottom))
        light = easel.ellipse(x, (top + bottom) / 2, 0.17, 0.17, blur=0.26)
        easel.glow(light.square(), torch.tensor(_GLOW), on)
        easel.fill(shade, torch.tensor((_UNLIT, _LIT))[self.ids["lamp"]])

    def _bed(self) -> None:
        easel, style = self.below, self.style
        cloth = (torch.tensor(tuple(BEDS.values()))[self.ids["bed"]] + style.tint[:, 1]).clamp(0, 1)
        sheet = torch.tensor((0.97, 0.96, 0.94))
        head, top, foot = style.bed.unbind(1)
        left, right = BED
        easel.shade(self.level((left, right + 0.10), 1, (1.0, foot + 0.05)), 0.4)
        easel.fill(self.upright((left - 0.03, right + 0.03), (head, 1.0)), self.timber)
        easel.shade(self.upright((left + 0.04, right - 0.04), (head + 0.08, 1.0)), 0.15)
        corners = (self.at(right, top), self.at(right, 0.94), self.at(right, 0.94, foot), self.at(right, top, foot))
        easel.fill(easel.polygon(*corners), 0.62 * cloth)
        easel.fill(self.level((left, right), top, (1.0, foot)), sheet)
        easel.fill(self.level((left, right), top, (1.18, foot)), cloth)
        easel.fill(self.upright((left, right), (top, 0.94), foot), 0.80 * cloth)
        easel.fill(self.level((left, right), top, (1.18, 1.25)), 0.5 * cloth + 0.5)
        for middle in (left + 0.21, right - 0.20):
            x, y = self.at(middle, top - 0.06, 1.05)
            easel.fill(easel.ellipse(x, y, 0.055, 0.028), 0.86 * sheet)
            easel.fill(easel.ellipse(x, y - 0.005, 0.050, 0.023), sheet)

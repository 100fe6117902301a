"""Painting a rendered facade, as a map or as a photograph; see coursekit.datasets.facades."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from coursekit.datasets.drawing import Easel, Number, column, union
from coursekit.datasets.facade_layout import AWNINGS, CURTAINS, DOORS, ID, NAMES, ROOFS, SKIES, Style

# RGB in 0 to 1.
_WALLS = ((0.66, 0.29, 0.21), (0.90, 0.74, 0.42), (0.68, 0.83, 0.72), (0.60, 0.61, 0.65))
_JOINTS = ((0.80, 0.68, 0.60), (0.70, 0.54, 0.30), (0.64, 0.79, 0.68), (0.44, 0.45, 0.50))
_COURSES = (20, 11, 1, 9)  # courses of stones in the height of the picture
_PLASTER = 2
_TRIM = (0.93, 0.91, 0.86)
_STREET = (0.44, 0.43, 0.44)
_GLASS = ((0.20, 0.27, 0.36), (0.62, 0.76, 0.88))
_IRON = (0.13, 0.14, 0.16)

Paint = Tensor | tuple[float, float, float] | Callable[[], Tensor]
"""A colour (3,) or (N, 3), or a function that gives a texture (N, 3, H, W) if it is wanted."""


class _Stencil(Easel):
    """An easel without smooth edges: a pixel is covered or it is not."""

    def soft(self, distance: Tensor, blur: float = 0.0) -> Tensor:
        return (super().soft(distance) >= 0.5).float()

    def slab(self, centres: Tensor, low: Number, high: Number) -> Tensor:
        return (super().slab(centres, low, high) >= 0.5).float()


class Scene:
    """One chunk of facades, painted back to front: photographs, or with `ids` (N, H, W) given, the classes there."""

    def __init__(self, labels: Tensor, style: Style, *, photos: Tensor | None, ids: Tensor | None, size: int) -> None:
        self.style, self.photos, self.ids = style, photos, ids
        self.easel = Easel(photos) if photos is not None else _Stencil(torch.zeros(1, 3, size, size))
        self.at = dict(zip(NAMES, labels.unbind(1)))
        self.storeys, self.bays = self.at["storeys"] + 2, self.at["bays"] + 2
        self.layout()

    def layout(self) -> None:
        """Heights and widths (N,) and coverages of what repeats."""
        easel, style = self.easel, self.style
        self.width = (style.right - style.left) / self.bays
        self.height = (style.street - style.top) / (self.storeys - 1 + style.ground)
        self.floor = style.street - style.ground * self.height  # top of the ground floor
        across, down = style.window.unbind(1)
        # Position in bays (N, 1, W) and in storeys (N, H, 1), counted from the left and from the top.
        self.u = (easel.x - column(style.left)) / column(self.width)
        self.v = (easel.y - column(style.top)) / column(self.height)
        half = across * self.width / 2
        middle = (self.u.floor() + 0.5 - self.u).abs() * column(self.width)
        self.columns = easel.soft(middle - column(half)) * easel.across(style.left, style.right)
        self.inner = easel.soft(middle - column(half) + 0.011) * easel.across(style.left, style.right)
        top = (1 - down) / 2 - 0.02
        rise = (self.v.floor() + column(top + down / 2) - self.v).abs() * column(self.height)
        upper = easel.down(style.top, self.floor)
        tall = column(down * self.height / 2)
        self.rows, self.glazed = easel.soft(rise - tall) * upper, easel.soft(rise - tall + 0.011) * upper
        self.sills = easel.soft(rise - tall - 0.014) * upper
        # The ground floor's windows have the height of the others, the door reaches the pavement.
        self.lintel = self.floor + (top + 0.06) * self.height
        self.low = easel.down(self.lintel, self.lintel + down * self.height)
        self.low_glazed = easel.down(self.lintel + 0.011, self.lintel + down * self.height - 0.011)
        self.entrance = torch.where(self.at["door"] == 0, 0, self.bays - 1)

    def part(self, name: str, coverage: Tensor, colour: Paint, shown: Tensor | None = None) -> None:
        """Lay a part: on the map with its class, in the photograph with its colour."""
        if shown is not None:
            coverage = coverage * column(shown.float())
        if self.ids is not None:
            self.ids.masked_fill_(coverage > 0, ID[name])
        self.detail(coverage, colour)

    def detail(self, coverage: Tensor, colour: Paint, shown: Tensor | None = None) -> None:
        """Lay what only the photograph shows, within a part."""
        if self.photos is not None:
            self.easel.fill(coverage, colour() if callable(colour) else torch.as_tensor(colour), shown)

    def shadow(self, coverage: Tensor, amount: float | Tensor) -> None:
        if self.photos is not None:
            self.easel.shade(coverage, amount)

    def paint(self) -> None:
        self._surroundings()
        self._roof()
        self._wall()
        self._windows()
        self._balconies()
        self._shop()
        self._door()
        if self.photos is not None:
            self.easel.finish()

    def _surroundings(self) -> None:
        easel, style = self.easel, self.style
        if self.photos is not None:
            top, bottom = torch.tensor(SKIES)[style.sky].view(-1, 2, 3, 1, 1).unbind(1)
            easel.pictures.copy_((top + (bottom - top) * easel.y).expand_as(easel.pictures))
            easel.fill((easel.mottle(style.clouds) * 1.6).clamp(0, 0.8), torch.tensor((0.97, 0.97, 0.97)))
        street = easel.down(style.street, 1.1)
        self.part("street", street.expand(-1, -1, easel.pixels), _STREET)
        self.detail(easel.down(style.street, style.street + 0.022), (0.66, 0.65, 0.63))

    def _roof(self) -> None:
        easel, style, gabled = self.easel, self.style, self.at["roof"] == 1
        middle, half = (style.left + style.right) / 2, (style.right - style.left) / 2 + 0.03
        gable = easel.spire(middle, style.top - style.ridge, style.top, half)
        tiles = torch.tensor(ROOFS)[style.tiles]

        def tiled() -> Tensor:
            rows = 0.86 + 0.14 * (easel.y * 2 * torch.pi * 22 + (easel.x * 90).sin()).cos()
            return tiles.view(-1, 3, 1, 1) * rows.unsqueeze(1)

        self.part("roof", gable, tiled, gabled)
        self.shadow(gable * easel.across(middle, 2.0), 0.14 * gabled * style.light.sign())

    def _wall(self) -> None:
        easel, style, kind = self.easel, self.style, self.at["wall"]
        wall = easel.box(style.left, style.top, style.right, style.street)
        plain = torch.tensor(_WALLS)[kind] + style.tint

        def masonry() -> Tensor:
            # Courses of blocks, each shifted by half a block; they fade where they are finer than the pixels.
            courses = column(torch.tensor(_COURSES, dtype=torch.float32)[kind])
            visible = ((easel.pixels / courses - 1.3) / 1.5).clamp(0, 1) * (column(kind) != _PLASTER)
            row = easel.y * courses
            block = easel.x * courses * 0.5 + 0.5 * (row.floor() % 2)
            gap = torch.minimum((row - row.round()).abs(), 2 * (block - block.round()).abs()) / courses
            joint = (easel.soft(gap - 0.005) * visible).unsqueeze(1)
            shade = (row.floor() * 12.9 + block.floor() * 7.7).sin() * 0.07 * visible
            light = 1 + shade + 0.06 * easel.mottle(style.stains) + 0.14 * column(style.light) * (easel.x - 0.5)
            blocks, joints = plain.view(-1, 3, 1, 1), torch.tensor(_JOINTS)[kind].view(-1, 3, 1, 1)
            return (blocks + (joints - blocks) * joint) * light.unsqueeze(1)

        self.part("wall", wall, masonry)
        self.shadow(easel.box(style.left, style.street - 0.03, style.right, style.street), 0.25)
        self.shadow(easel.box(style.left, style.top, style.right, style.top + 0.045), 0.35)
        self.shadow(easel.box(style.left, self.floor, style.right, self.floor + 0.035), 0.20)
        trim = torch.tensor(_TRIM)
        cornice = easel.box(style.left - 0.025, style.top - 0.040, style.right + 0.025, style.top + 0.008)
        self.part("cornice", cornice, trim)
        self.shadow(easel.box(style.left - 0.025, style.top - 0.012, style.right + 0.025, style.top + 0.008), 0.25)
        self.part("cornice", easel.box(style.left, self.floor - 0.022, style.right, self.floor + 0.012), 0.92 * trim)

    def _windows(self) -> None:
        easel, style = self.easel, self.style
        plain = self.at["shop"] == 0
        free = (self.u.floor() != column(self.entrance)) * column(plain.float())
        self.shadow(self.columns * self.sills, 0.30)
        self.part("window", self.columns * union(self.rows, self.low * free), torch.tensor(_TRIM))
        glass = self.inner * union(self.glazed, self.low_glazed * free)
        self.detail(glass, self._glass)
        if self.photos is None:
            return
        bay = self.u.floor().clamp(0, 3).long()
        storey = torch.where(easel.y > column(self.floor), 3, self.v.floor().clamp(0, 2)).long()
        drawn = style.drawn[torch.arange(len(bay)).view(-1, 1, 1), storey, bay]
        sides = (self.u - self.u.floor() - 0.5).abs() > 0.28 * style.window[:, :1].unsqueeze(-1)
        folds = torch.tensor(CURTAINS)[style.curtain]
        self.detail(glass * (drawn & sides), folds)
        bar = easel.soft((self.u - self.u.floor() - 0.5).abs() * column(self.width) - 0.006)
        self.detail(glass * bar * 0.8, torch.tensor(_TRIM))

    def _glass(self) -> Tensor:
        """Dark, with the bright sky in slanted stripes."""
        easel, style = self.easel, self.style
        stripes = (9 * (easel.x + 0.8 * easel.y) + 6.3 * column(style.shine)).sin()
        dark, bright = torch.tensor(_GLASS).view(2, 3, 1, 1).unbind(0)
        return dark + (bright - dark) * (0.5 * stripes.clamp(min=0)).unsqueeze(1)

    def _balconies(self) -> None:
        easel, style, shown = self.easel, self.style, self.at["balconies"] == 1
        storey = (style.rails * (self.storeys - 1)).floor()
        across, down = style.window.unbind(1)
        foot = style.top + self.height * (storey + (1 + down) / 2 - 0.02)
        head = foot - (0.42 * down * self.height).clamp(min=0.052)
        each = easel.soft(
            (self.u.floor() + 0.5 - self.u).abs() * column(self.width) - column(across * self.width / 2 + 0.022)
        )
        each = each * easel.across(style.left, style.right)
        along = torch.where(column(style.every), each, easel.across(style.left + 0.035, style.right - 0.035))
        self.shadow(along * easel.down(foot, foot + 0.05) * column(shown.float()), 0.35)
        rails = along * easel.down(head, foot + 0.018)

        def iron() -> Tensor:
            # Bars at a fine pitch, the wall or window dimly between them.
            bars = 0.62 + 0.38 * (easel.x * 2 * torch.pi * 24).cos()
            bars = torch.maximum(bars, easel.down(head, head + 0.02)).unsqueeze(1)
            return easel.pictures * (0.45 * (1 - bars)) + torch.tensor(_IRON).view(-1, 3, 1, 1) * (0.55 + 0.45 * bars)

        self.part("balcony", rails, iron, shown)
        self.detail(along * easel.down(foot + 0.004, foot + 0.018), 0.85 * torch.tensor(_TRIM), shown)

    def _shop(self) -> None:
        easel, style, shown = self.easel, self.style, self.at["shop"] == 1
        on_left = self.at["door"] == 0
        left = torch.where(on_left, style.left + 0.95 * self.width, style.left + 0.035)
        right = torch.where(on_left, style.right - 0.035, style.right - 0.95 * self.width)
        top = self.floor + 0.055
        self.part("shop", easel.box(left, top, right, style.street), torch.tensor((0.30, 0.22, 0.17)), shown)
        pane = easel.box(left + 0.02, top + 0.05, right - 0.02, style.street - 0.035)
        self.detail(pane, self._glass, shown)
        bottom = top + 0.42 * (style.street - top)
        self.detail(pane * easel.down(bottom, 1.0) * 0.55, torch.tensor((0.98, 0.85, 0.55)), shown)
        awning = torch.tensor(AWNINGS)[style.awning].view(-1, 3, 1, 1)

        def striped() -> Tensor:
            white = easel.soft((easel.x * 11 - (easel.x * 11).floor() - 0.5).abs() / 11 - 0.25 / 11)
            return awning + (0.96 - awning) * white.unsqueeze(1)

        self.detail(easel.box(left, top, right, top + 0.075), striped, shown)
        self.shadow(easel.box(left, top + 0.075, right, top + 0.095) * column(shown.float()), 0.4)

    def _door(self) -> None:
        easel, style = self.easel, self.style
        middle = style.left + (self.entrance + 0.5) * self.width
        half = (0.29 * self.width).clamp(max=0.085)
        top, street = self.lintel - 0.01, style.street
        self.part("door", easel.box(middle - half, top, middle + half, street), torch.tensor(_TRIM))
        paint = torch.tensor(DOORS)[style.paint]
        edge = 0.018
        self.detail(easel.box(middle - half + edge, top + edge, middle + half - edge, street), paint)
        light = top + edge + 0.20 * (street - top)
        self.detail(
            easel.box(middle - half + edge, top + edge, middle + half - edge, light - 0.008), (0.70, 0.78, 0.82)
        )
        self.detail(easel.box(middle - 0.004, light, middle + 0.004, street), 0.55 * paint)

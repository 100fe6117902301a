"""Seasons: landscapes in summer and in winter, alone, in pairs and unpaired.

Shapes: N landscapes, H = W = size, pictures (N, 3, H, W) float32 in [-1, 1]; labels (N, 6) int64 in the order of NAMES.

    pairs(64, generator=generator(0))       # x in summer, y the same landscapes in winter
    unpaired(64, generator=generator(0))    # x in summer, y others in winter

No shape depends on the season: what changes is what lies on it (snow, ice, leaves) and the colour of everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from coursekit.datasets.drawing import Draws, Easel, chunks, column
from coursekit.datasets.pairing import PairedWorld
from coursekit.datasets.world import Card

__all__ = ["NAMES", "WORLD", "pairs", "unpaired"]

NAMES: dict[str, tuple[str, ...]] = {
    "season": ("summer", "winter"),
    "time": ("day", "dusk"),
    "peaks": ("one", "two", "three"),
    "trees": ("few", "many"),
    "house": ("none", "one"),
    "water": ("none", "lake"),
}

# RGB in 0 to 1, for each season; then for each time, where there are two levels.
_ZENITH = (((0.20, 0.50, 0.90), (0.26, 0.22, 0.48)), ((0.56, 0.68, 0.82), (0.30, 0.26, 0.46)))
_HORIZON = (((0.74, 0.90, 0.99), (0.99, 0.58, 0.30)), ((0.90, 0.93, 0.96), (0.95, 0.62, 0.52)))
_TONE = (((1.0, 1.0, 1.0), (0.64, 0.50, 0.60)), ((1.0, 1.0, 1.0), (0.80, 0.70, 0.84)))  # the light on the land
_SUN = ((1.00, 0.97, 0.78), (1.00, 0.82, 0.42))
_ROCK = ((0.52, 0.48, 0.46), (0.46, 0.48, 0.54))
_SNOW = (0.95, 0.97, 1.00)
_HILLS = ((0.27, 0.47, 0.25), (0.72, 0.79, 0.86))
_MEADOW = ((0.46, 0.69, 0.24), (0.93, 0.95, 0.99))
_SHORE = ((0.62, 0.58, 0.36), (0.72, 0.77, 0.83))
_WATER = ((0.10, 0.36, 0.68), (0.50, 0.76, 0.92))
_NEEDLES = ((0.08, 0.32, 0.18), (0.11, 0.28, 0.22))
_LEAVES = ((0.25, 0.55, 0.13), (0.45, 0.37, 0.34))
_BARK = (0.33, 0.22, 0.14)
_HOUSES = ((0.93, 0.86, 0.70), (0.72, 0.42, 0.28), (0.85, 0.88, 0.90))
_ROOFS = ((0.68, 0.18, 0.12), (0.38, 0.22, 0.18), (0.30, 0.33, 0.40))
_LIT = (1.00, 0.86, 0.36)

_BACK = (4, 0, 6, 2, 5, 1, 3)  # the strip of the horizon where each of the trees at the back stands, in this order
_FRONT = (0.07, 0.93)  # x of the two trees in front; with few trees, one at the back and one of these


class _Style(NamedTuple):
    """What no attribute names, one row for each landscape."""

    mirrored: Tensor  # (N,) bool
    horizon: Tensor  # (N,) y of the meadow's end
    shifts: Tensor  # (N, 3) of each peak, in widths of a peak
    heights: Tensor  # (N, 3) of each peak
    jags: Tensor  # (N, 24) of the mountains' skyline
    ridge: Tensor  # (N, 7) of the far ridge
    hills: Tensor  # (N, 5) of the hills before the mountains
    stains: Tensor  # (N, 9, 9) smooth noise: edges of snow, spots in the meadow
    sun: Tensor  # (N, 2)
    clouds: Tensor  # (N, 2, 3) x, y, radius
    places: Tensor  # (N, 9, 3) of each tree: shift, base, size
    tints: Tensor  # (N, 9) brightness of each tree
    house: Tensor  # (N, 3) x, y of its base, size
    paints: Tensor  # (N, 2) int64: walls, roof
    lake: Tensor  # (N, 3) x, y, half width


def _style(n: int, generator: torch.Generator) -> _Style:
    draws = Draws(n, generator)
    uniform, integer = draws.uniform, draws.integer
    return _Style(
        mirrored=draws.chance(0.5),
        horizon=uniform(0.56, 0.61),
        shifts=uniform(-0.10, 0.10, 3),
        heights=uniform(0.26, 0.40, 3),
        jags=uniform(-0.02, 0.02, 24),
        ridge=uniform(0.03, 0.14, 7),
        hills=uniform(0.00, 0.06, 5),
        stains=uniform(-1, 1, 9, 9),
        sun=torch.stack([uniform(0.12, 0.88), uniform(0.10, 0.16)], 1),
        clouds=torch.cat([uniform(0, 1, 2, 1), uniform(0.06, 0.24, 2, 1), uniform(0.06, 0.13, 2, 1)], -1),
        places=uniform(-1, 1, 9, 3),
        tints=uniform(0.85, 1.15, 9),
        house=torch.stack([uniform(0.31, 0.44), uniform(0.71, 0.76), uniform(0.90, 1.15)], 1),
        paints=integer(3, 2),
        lake=torch.stack([uniform(0.50, 0.64), uniform(0.84, 0.89), uniform(0.24, 0.32)], 1),
    )


class _Scene:
    """One chunk of landscapes, painted back to front."""

    def __init__(self, labels: Tensor, style: _Style, pictures: Tensor) -> None:
        self.style, self.easel = style, Easel(pictures)
        self.sky, self.land = self.easel.band(0, 0.70), self.easel.band(0.50, 1)
        self.ids = dict(zip(NAMES, labels.unbind(1)))
        self.winter, self.dusk = self.ids["season"] == 1, self.ids["time"] == 1
        self.tone = torch.tensor(_TONE)[self.ids["season"], self.ids["time"]]

    def seasonal(self, table: Sequence[object]) -> Tensor:
        """(N, 3) from a table of two colours: that of the season, in the light of the hour."""
        return torch.tensor(table)[self.ids["season"]] * self.tone

    def lit(self, colour: Tensor | tuple[float, float, float]) -> Tensor:
        return torch.as_tensor(colour) * self.tone

    def paint(self) -> None:
        self._sky()
        self._mountains()
        self._meadow()
        self._trees(back=True)
        self._lake()
        self._house()
        self._trees(back=False)
        self.easel.finish()
        pictures, mirrored = self.easel.pictures, self.style.mirrored
        pictures[mirrored] = pictures[mirrored].flip(-1)

    def _sky(self) -> None:
        easel, style, ids = self.easel, self.style, self.ids
        zenith, horizon = (
            torch.tensor(table)[ids["season"], ids["time"]].view(-1, 3, 1, 1) for table in (_ZENITH, _HORIZON)
        )
        share = (easel.y / 0.6).clamp(0, 1)
        easel.pictures.copy_((zenith + (horizon - zenith) * share).expand_as(easel.pictures))
        self.horizon, easel = horizon.view(-1, 3), self.sky
        x, y = style.sun.unbind(1)
        y = y + 0.20 * self.dusk
        sun = torch.tensor(_SUN)[ids["time"]]
        easel.fill(easel.ellipse(x, y, 0.10, 0.10, blur=0.12) * 0.45, sun)
        easel.fill(easel.ellipse(x, y, 0.048, 0.048), sun)
        cloud = torch.where(self.dusk.unsqueeze(1), 0.5 * self.horizon + 0.25, torch.tensor(0.97))
        for place in style.clouds.unbind(1):
            x, y, r = place.unbind(1)
            easel.fill(easel.ellipse(x, y, r * 1.5, r * 0.42, blur=0.05) * 0.8, cloud)

    def _mountains(self) -> None:
        easel, style = self.sky, self.style
        base = style.horizon.view(-1, 1)
        far = 0.55 * self.horizon + 0.45 * self.seasonal(_ROCK)
        easel.fill(easel.under(base - easel.line(style.ridge)), far)
        # A skyline of up to three peaks; the slope reaches the horizon halfway to the next one.
        count = self.ids["peaks"].view(-1, 1) + 1
        width = 1 / count
        x = easel.x.view(1, -1)
        skyline, middle = base.expand(-1, easel.pixels), torch.zeros(1)
        for k in range(3):
            centre = (k + 0.5 + style.shifts[:, k : k + 1]) * width
            height = style.heights[:, k : k + 1] * (1.12 - 0.08 * count)
            side = height * (1 - (x - centre).abs() / (0.58 * width))
            side = torch.where(k < count, base - side, torch.tensor(1.0))
            middle = torch.where(side < skyline, centre, middle)
            skyline = torch.minimum(skyline, side)
        skyline = skyline + easel.line(style.jags) * ((base - skyline) * 8).clamp(0, 1)
        mountains = easel.under(skyline)
        rock = self.seasonal(_ROCK)
        easel.fill(mountains, rock)
        stains = easel.mottle(style.stains)
        # Snow: in summer near the summits, in winter nearly down to the horizon.
        depth = easel.y - skyline.amin(1).view(-1, 1, 1)
        line = torch.where(self.winter, 0.26, 0.085).view(-1, 1, 1)
        snow = easel.soft(depth - line - 0.05 * stains - 0.02 * (easel.x * 70).sin())
        easel.fill(mountains * snow, self.lit(_SNOW))
        # The side away from the light.
        dark = easel.soft((middle.unsqueeze(1) - easel.x) + 0.09 * stains + 0.12 * depth)
        easel.shade(mountains * dark, 0.30)
        haze = ((easel.y - base.unsqueeze(1) + 0.2) * 3).clamp(0, 0.5)
        easel.fill(mountains * haze, self.horizon)

    def _meadow(self) -> None:
        easel, style = self.land, self.style
        base = style.horizon.view(-1, 1)
        easel.fill(easel.under(base + 0.02 - easel.line(style.hills)), self.seasonal(_HILLS))
        meadow = easel.under(base + 0.05 + 0.4 * easel.line(style.hills.flip(1)))
        easel.fill(meadow, self.seasonal(_MEADOW))
        stains = easel.mottle(style.stains.flip(1))
        near = (easel.y - base.unsqueeze(1)).clamp(min=0)
        easel.shade(meadow * (0.5 * near + 0.10 * stains).clamp(min=0), torch.where(self.winter, 0.6, 1.0))

    def _lake(self) -> None:
        easel, style, shown = self.land, self.style, self.ids["water"] == 1
        x, y, rx = style.lake.unbind(1)
        ry = 0.27 * rx
        easel.fill(easel.ellipse(x, y, rx + 0.025, ry + 0.020), self.seasonal(_SHORE), shown)
        water = easel.ellipse(x, y, rx, ry)
        share = ((easel.y - column(y)) / column(ry) * 0.5 + 0.5).clamp(0, 1)
        deep, mirror = self.seasonal(_WATER).view(-1, 3, 1, 1), self.horizon.view(-1, 3, 1, 1)
        clear = torch.where(self.winter, 0.25, 0.65)  # ice reflects less of the sky
        surface = deep + (mirror - deep) * (column(clear) * (1 - share)).unsqueeze(1)
        easel.fill(water, surface.expand(-1, -1, -1, easel.pixels), shown)
        # Ripples in summer, cracks in the ice in winter.
        lines = column(torch.where(self.winter, 18.0, 0.0)) * (easel.x - column(x)) + 95 * (easel.y - column(y))
        ripples = (lines + 2 * easel.mottle(style.stains)).sin().sub(0.72).clamp(min=0)
        easel.fill(water * ripples, 0.4 * self.horizon + 0.6 * self.lit(_SNOW), shown)

    def _house(self) -> None:
        easel, style, shown = self.easel.band(0.4, 0.85), self.style, self.ids["house"] == 1
        x, y, size = style.house.unbind(1)
        wall = self.lit(torch.tensor(_HOUSES)[style.paints[:, 0]])
        roof = self.lit(torch.tensor(_ROOFS)[style.paints[:, 1]])
        half, eaves = 0.095 * size, y - 0.10 * size
        easel.fill(easel.box(x + 0.4 * half, eaves - 0.105 * size, x + 0.65 * half, eaves), 0.6 * wall, shown)
        easel.fill(easel.box(x - half, eaves, x + half, y), wall, shown)
        easel.shade(easel.box(x + 0.25 * half, eaves, x + half, y), 0.18 * shown)
        gable = (x, eaves - 0.105 * size, eaves + 0.008, 1.28 * half)
        easel.fill(easel.spire(*gable), roof, shown)
        snow = easel.spire(x, gable[1], eaves - 0.018 * size, 1.06 * half)
        easel.fill(snow, self.lit(_SNOW), shown & self.winter)
        panes = torch.where(self.dusk.unsqueeze(1), torch.tensor(_LIT), torch.tensor((0.30, 0.42, 0.55)))
        easel.fill(easel.box(x - 0.72 * half, eaves + 0.025, x - 0.22 * half, eaves + 0.068 * size), panes, shown)
        easel.fill(easel.box(x + 0.24 * half, y - 0.072 * size, x + 0.66 * half, y), 0.5 * roof, shown)

    def _trees(self, *, back: bool) -> None:
        easel, style = self.easel.band(0.30, 0.80) if back else self.easel.band(0.40, 1), self.style
        many = self.ids["trees"] == 1
        strips = len(_BACK)
        for k in range(strips) if back else range(strips, strips + 2):
            shift, low, big = style.places[:, k].unbind(1)
            if back:
                x, y = (_BACK[k] + 0.5 + 0.3 * shift) / strips, style.horizon + 0.085 + 0.02 * low
                size = 0.17 + 0.02 * big
            else:
                x, y, size = _FRONT[k - strips] + 0.03 * shift, 0.93 + 0.03 * low, 0.38 + 0.03 * big
            shown = None if k in (0, strips) else many
            draw = self._conifer if k % 2 == 0 else self._leafy
            draw(easel, (x, y, size), style.tints[:, k : k + 1], shown)

    def _conifer(self, easel: Easel, place: tuple[Tensor, Tensor, Tensor], tint: Tensor, shown: Tensor | None) -> None:
        x, y, size = place
        easel.fill(easel.box(x - 0.05 * size, y - 0.15 * size, x + 0.05 * size, y), self.lit(_BARK), shown)
        needles, snow = self.seasonal(_NEEDLES) * tint, self.lit(_SNOW)
        white = self.winter if shown is None else self.winter & shown
        for top, bottom, half in ((0.62, 0.12, 0.30), (0.85, 0.38, 0.24), (1.05, 0.64, 0.17)):
            tier = easel.spire(x, y - top * size, y - bottom * size, half * size)
            easel.fill(tier, needles, shown)
            easel.fill(tier * easel.down(0.0, y - (0.55 * top + 0.45 * bottom) * size), snow, white)

    def _leafy(self, easel: Easel, place: tuple[Tensor, Tensor, Tensor], tint: Tensor, shown: Tensor | None) -> None:
        x, y, size = place
        easel.fill(easel.box(x - 0.045 * size, y - 0.5 * size, x + 0.045 * size, y), self.lit(_BARK), shown)
        middle = y - 0.64 * size
        crown = easel.ellipse(x, middle, 0.33 * size, 0.38 * size)
        # Bare in winter: a fan of twigs from the trunk, and sky between them.
        slope = (easel.x - column(x)) / (column(y - 0.1 * size) - easel.y).clamp(min=0.02)
        twigs = 0.30 + 0.55 * (slope * 22).cos().clamp(min=0)
        crown = torch.where(column(self.winter), crown * twigs, crown)
        easel.fill(crown, self.seasonal(_LEAVES) * tint, shown)
        light = easel.ellipse(x - 0.09 * size, middle - 0.12 * size, 0.20 * size, 0.20 * size, blur=0.03)
        green = (~self.winter if shown is None else ~self.winter & shown) * 0.35
        easel.fill(light, self.lit((0.62, 0.80, 0.28)), green)


def _render(labels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    style = _style(len(labels), generator)
    pictures = torch.empty(len(labels), 3, size, size)
    for part in chunks(len(labels), size):
        _Scene(labels[part], _Style(*(values[part] for values in style)), pictures[part]).paint()
    return pictures


WORLD = PairedWorld(
    name="seasons",
    card=Card(
        title="Seasons",
        shows="A landscape: mountains, a meadow, trees, perhaps a house and a lake, in summer or winter, by day or at dusk.",
        stands_for="the summer and winter photographs of Yosemite on which CycleGAN was shown",
        style="skylines, places and sizes of trees, house and lake, colours of the house, clouds, place of the sun, "
        "left-right mirroring",
        limits="Shapes do not change with the season and nothing is hidden by snow, so that a translation has one right answer; "
        "between photographs of two seasons it does not.",
    ),
    names=NAMES,
    sizes=(32, 64),
    rendering=_render,
    domains=("summer", "winter"),
    sides=(_render, _render),
    told=({"season": 0}, {"season": 1}),
)
pairs, unpaired = WORLD.pairs, WORLD.unpaired

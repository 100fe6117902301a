"""How a face is painted: from attributes and style to pixels, back to front.

A head is an ellipsoid, and a face is drawn on it in two coordinates: the longitude phi (radians, 0 between the eyes) and
the height v (1 at the top of the skull, -1 at the chin). A head that turns by theta shows longitude phi at
x = a sin(phi + theta), so the pixels of one column share a longitude: nearly everything is a function of the column times
or plus a function of the row, and costs one pass over the pixels of the rows that it touches.

Two shapes make all parts. A band is |v - middle(column)| < half(column): lips, brows, lids, wrinkles. An oval is
f(column) + g(row) < 1: eyes, lenses, ears, shoulders. Coverage is the distance in pixels, clamped: smooth at every size.

Over 300 lines, because one picture is painted in one frame: every part needs the same columns, rows and colours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from coursekit.datasets.face_style import (
    CLOTHES,
    EYES,
    FRAMES,
    GREY,
    HAIR,
    HEAD,
    SCALES,
    SCENES,
    SHIFTS,
    SKIN,
    TURN,
    Style,
)


def _step(low: float, high: float, x: Tensor) -> Tensor:
    """0 up to low, 1 from high, smooth between."""
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


class Painter:
    """One chunk of faces; columns are (N, 1, W), rows (N, H, 1), colours (N, 3), pictures (N, 3, H, W) in [0, 1]."""

    def __init__(self, labels: Tensor, style: Style, pictures: Tensor) -> None:
        self.style, self.pictures = style, pictures
        smile, glasses, beard, age, hair, cut, turn, light, skin = labels.unbind(1)
        self.size = pictures.shape[-1]
        self.pixels = self.size / 2
        centres = (torch.arange(self.size) + 0.5) / self.pixels - 1
        self.width, self.height = (style.scale * torch.tensor(HEAD[:2])).view(-1, 2, 1, 1).unbind(1)
        self.centre = style.shift + torch.tensor([0.0, HEAD[2]])
        self.x = (centres.view(1, 1, -1) - self.column(self.centre[:, 0])) / self.width  # 1 at the head's side
        self.v = (-centres.view(1, -1, 1) - self.column(self.centre[:, 1])) / self.height
        self.theta = self.column((turn - 1) * TURN + style.yaw)
        self.phi = self.x.clamp(-1, 1).asin() - self.theta
        self.side = self.phi.abs()
        self.line = max(0.55, 0.022 * self.pixels)  # half the width of a thin line, pixels
        self.mood, self.old = self.column(smile - 1.0), self.column(age.float())
        self.short, self.long, self.curly = (self.column((cut == k).float()) for k in range(3))
        self.glasses, self.beard = self.column(glasses.float()), self.column(beard.float())
        self.lit = self.column(light * 2.0 - 1)
        tints = style.tints.unbind(1)
        self.skin = (torch.tensor(SKIN)[skin] + tints[0]).clamp(0, 1)
        self.hair = (torch.tensor(HAIR)[hair] + tints[1]).clamp(0, 1)
        self.cloth = (torch.tensor(CLOTHES)[style.clothes] + tints[2]).clamp(0, 1)
        self.greyed = self.hair.lerp(torch.tensor(GREY), 0.75 * self.old.view(-1, 1))
        f = style.features.unsqueeze(-1).unsqueeze(-1).unbind(1)
        self.eyes, self.open, self.gaze = 0.06 + 0.02 * f[0], 1 + 0.16 * f[1], 0.035 * f[2]
        self.arch, self.brow = 0.03 + 0.02 * f[3], 0.20 + 0.02 * f[4]
        self.nose, self.mouth, self.lips = -0.17 + 0.025 * f[5], -0.50 + 0.025 * f[6], 0.33 + 0.03 * f[7]
        self.bend, self.spread = 0.012 * f[8], 0.42 + 0.02 * f[9]
        self.curls = self.coils()

    @staticmethod
    def column(values: Tensor) -> Tensor:
        """(N,) as (N, 1, 1)."""
        return values.view(-1, 1, 1)

    # -- shapes and paint

    def rows(self, top: float, bottom: float) -> slice:
        """The rows that a part between two heights v can touch, in any style."""
        low, high = (HEAD[1] * scale for scale in SCALES[1])
        up = 1 - (HEAD[2] + SHIFTS[1] + max(low * top, high * top))
        down = 1 - (HEAD[2] - SHIFTS[1] + min(low * bottom, high * bottom))
        return slice(max(0, math.floor(up * self.pixels) - 1), min(self.size, math.ceil(down * self.pixels) + 1))

    def cover(
        self, rows: slice, distance: Tensor, colour: Tensor, *, shown: Tensor | float = 1.0, edge: float = 1.0
    ) -> None:
        """Lay a colour (N, 3) or (N, 3, h, w) where the distance in pixels is below 0; `shown` is its opacity."""
        coverage = distance.mul_(-1 / edge).add_(0.5).clamp_(0, 1)
        if isinstance(shown, Tensor) or shown != 1.0:
            coverage.mul_(shown)
        target = self.pictures[:, :, rows]
        colour = colour if colour.dim() == 4 else colour.view(-1, 3, 1, 1)
        target.lerp_(colour.expand_as(target), coverage.unsqueeze(1))

    def band(self, rows: slice, middle: Tensor, half: Tensor) -> Tensor:
        """Distance (N, h, W) to |v - middle| = half (N, 1, W); half < 0 where there is none."""
        unit = self.height * self.pixels
        return (self.v[:, rows] - middle).abs_().sub_(half).mul_(unit)

    def thin(self, t: Tensor, weight: float = 1.0) -> Tensor:
        """Half the thickness of a thin line, tapering towards t = -1 and 1 and gone beyond."""
        return (1.15 - t * t).mul(weight * self.line / (self.height * self.pixels)) - (t.abs() > 1) * 9.0

    def oval(self, rows: slice, across: Tensor, down: Tensor, radius: Tensor | float) -> Tensor:
        """Distance (N, h, W) to across (N, 1, W) + down (N, h, 1) = 1, of a shape of about this radius in pixels."""
        return (across + (down[:, rows] - 1)).mul_(radius / 2)

    # -- the picture, back to front

    def paint(self) -> None:
        self.background()
        self.back_hair()
        self.body()
        self.head()
        self.face()
        self.facial_hair()
        self.mouth_and_lips()
        self.front_hair()
        self.ears()
        self.spectacles()
        self.lighting()

    def background(self) -> None:
        low, high = torch.tensor(SCENES)[self.style.scene].unbind(1)
        share = torch.linspace(1, 0, self.size).view(1, 1, -1, 1)
        self.pictures.copy_(low.view(-1, 3, 1, 1) * share + high.view(-1, 3, 1, 1) * (1 - share))
        x, y, r = self.style.glow.view(-1, 3, 1, 1).unbind(1)
        across = ((self.x * self.width - x) / r).square()
        down = ((self.v * self.height - y) / r).square()
        everywhere = slice(0, self.size)
        self.cover(everywhere, self.oval(everywhere, across, down, 1.0), high * 0.5 + 0.5, shown=0.8)

    def texture(self, rows: slice) -> Tensor:
        """Brightness (N, 1, h, W) of the hair: strands, or curls."""
        p, f = (self.style.waves[:, k].view(-1, 1, 1) for k in (0, 2))
        strands = (self.x * f * 15 + p + 1.5 * self.parted()).sin() * (0.65 + 0.25 * self.v[:, rows])
        return strands.lerp(self.curls[:, rows], self.curly).mul_(0.16).add_(0.94).unsqueeze(1)

    def coils(self) -> Tensor:
        """(N, H, W) in [-1, 1]: bumps along two families of wavy lines."""
        p, q, f, g = self.style.waves.view(-1, 4, 1, 1).unbind(1)
        across = (13 * f * self.x + (1.9 * (6 * g * self.v + q).sin())).sin_()
        return across.mul_((12 * g * self.v + (1.9 * (7 * f * self.x + p).sin())).sin_())

    def frizz(self, rows: slice) -> Tensor:
        """By how many pixels (N, h, W) curls push the outline of the hair."""
        return self.curls[:, rows] * (0.035 * self.pixels * self.curly)

    def parted(self) -> Tensor:
        """(N, 1, W): the slope of the hairline, and the notch of a parting."""
        slope, _, place, depth = self.style.parting.view(-1, 4, 1, 1).unbind(1)
        return slope * self.phi + depth * (-((self.phi - place) / 0.28).square()).exp()

    def back_hair(self) -> None:
        """Behind the head; of short hair nothing shows. A turned head shows more of the back of its hair."""
        rows = self.rows(1.5, -1.5)
        x = self.x + 0.16 * self.theta.sin()
        v = self.v - 0.1 * self.curly
        across = (x / (1.20 + 0.15 * self.curly)).square()
        top = (v.clamp(min=0) / (1.13 + 0.13 * self.curly)).square()
        down = top + (v.clamp(max=0) / (1.6 - 0.55 * self.curly)).square().square()
        distance = self.oval(rows, across, down, 0.6 * self.pixels).sub_(self.frizz(rows))
        colour = (self.greyed * 0.6 + self.hair * 0.2).view(-1, 3, 1, 1) * self.texture(rows)
        self.cover(rows, distance, colour, shown=1 - self.short)

    def body(self) -> None:
        rows = self.rows(-0.6, -1.6)
        neck = (self.x.abs() - 0.46).mul(self.width * self.pixels).expand(-1, rows.stop - rows.start, -1).clone()
        self.cover(rows, neck, self.skin * 0.80)
        rows = self.rows(-1.0, -1.6)
        across = (self.x / 1.75).square().square()
        down = ((self.v + 1.75) / 0.60).square()
        distance = self.oval(rows, across, down, 0.4 * self.pixels)
        collar = self.oval(rows, (self.x / 0.62).square(), ((self.v + 1.10) / 0.22).square(), 0.2 * self.pixels)
        self.cover(rows, torch.maximum(distance, -collar), self.cloth)

    def head(self) -> None:
        """Skin, shaded towards its outline; the chin of a turned head points where it looks."""
        rows = self.rows(1.05, -1.05)
        v = self.v[:, rows]
        below = v.clamp(max=0)
        narrow = 1 / (1 - self.column(self.style.jaw) * below.square()).square()
        centre = -0.16 * self.theta.sin() * below
        self.inside = (self.x.square() * narrow).addcmul_(self.x, -2 * centre * narrow)
        self.inside.add_(centre.square() * narrow + v.abs().pow(2.3))
        self.head_rows = rows
        shade = 1.03 - 0.20 * self.inside.clamp(0, 1.2).square()
        colour = self.skin.view(-1, 3, 1, 1) * shade.unsqueeze(1)
        self.cover(rows, (self.inside - 1) * (0.5 * self.width * self.pixels), colour)

    def ears(self) -> None:
        """In front of short hair, and under any other; the far ear of a turned head is hidden."""
        rows = self.rows(0.30, -0.30)
        ears = torch.stack([(self.theta + sign * 1.45).sin() + sign * 0.05 for sign in (-1, 1)])
        hidden = torch.stack([sign * self.theta > 0.25 for sign in (-1, 1)])
        across = ((self.x - ears) / 0.13).square().add(hidden * 99.0).amin(0)
        down = ((self.v - 0.0) / 0.22).square()
        self.cover(rows, self.oval(rows, across, down, 0.08 * self.pixels), self.skin * 0.88, shown=self.short)
        inner = self.oval(rows, across * 4, down * 3.2, 0.05 * self.pixels)
        self.cover(rows, inner, self.skin * 0.68, shown=0.8 * self.short)

    def face(self) -> None:
        """Cheeks, eyes, brows, nose, and what age adds."""
        old, eyes = self.old, self.eyes
        near = self.side - self.spread  # 0 in the middle of either eye
        flush = self.skin * torch.tensor([1.0, 0.78, 0.76])
        rows = self.rows(0.0, -0.55)
        # Beyond the outline of the head the longitude stands still: nothing soft may reach there.
        cheek = ((self.side - 0.62) / 0.34).square() + (self.x.abs() > 0.99) * 9.0
        blush = self.oval(rows, cheek, ((self.v + 0.25) / 0.22).square(), 2.0)
        self.cover(rows, blush, flush, shown=0.5)

        rows, t = self.rows(0.26, -0.16), near / 0.215
        down = ((self.v - eyes) / (0.105 * self.open)).square()
        white = self.oval(rows, t.square(), down, 0.07 * self.pixels)
        shut = (0.5 - white).clamp(0, 1)
        self.cover(rows, white, torch.full_like(self.skin, 0.97))
        across = (self.side - self.spread - self.gaze * self.phi.sign()).square()
        down = (self.v - eyes).square() / 0.6
        iris = torch.tensor(EYES)[self.style.iris]
        self.cover(rows, self.oval(rows, across / 0.0095, down / 0.0095, 0.05 * self.pixels), iris, shown=shut)
        pupil = self.oval(rows, across / 0.0026, down / 0.0026, 0.025 * self.pixels)
        self.cover(rows, pupil, torch.full_like(self.skin, 0.02), shown=shut)
        lid = eyes + 0.105 * self.open * (1 - t.square()).clamp(min=0).sqrt()
        self.cover(rows, self.band(rows, lid, self.thin(t * 0.9, 1.2)), self.skin * 0.22)

        rows, t = self.rows(0.48, 0.10), near / 0.27
        # The inner ends rise when sad; a smile lifts the whole brow.
        tilt = -0.08 * (-self.mood).clamp(min=0) * t
        middle = eyes + self.brow + 0.02 * self.mood.clamp(min=0) + self.arch * (1 - t.square()) + tilt
        half = 0.034 * (1.1 - 0.5 * t) - (t.abs() > 1) * 9.0
        self.cover(rows, self.band(rows, middle, half), self.greyed * 0.8, shown=0.95)

        self.nose_()
        self.wrinkles(near, old)

    def nose_(self) -> None:
        """Wings, a lit ridge from between the eyes to the tip, the tip, two nostrils. The tip leads in a turn."""
        rows = self.rows(0.14, -0.40)
        root, tip = 0.88 * self.theta.sin(), 1.06 * self.theta.sin()
        x, v, below = self.x - tip, self.v[:, rows], self.v - self.nose
        wings = self.oval(rows, (x / 0.20).square(), (below / 0.115).square(), 0.09 * self.pixels)
        self.cover(rows, wings, self.skin * 0.84)
        ridge = root + (tip - root) * ((0.16 - v) / (0.16 - self.nose)).clamp(0, 1)
        beyond = (v - 0.16).clamp(min=0) + (self.nose - v).clamp(min=0)
        distance = (self.x - ridge).abs_().sub_(0.07 - 0.02 * v).mul_(self.width * self.pixels)
        self.cover(rows, distance.add_(beyond * self.pixels), (self.skin * 1.07).clamp(0, 1), shown=0.9, edge=1.5)
        bulb = self.oval(rows, (x / 0.125).square(), (below / 0.085).square(), 0.07 * self.pixels)
        self.cover(rows, bulb, (self.skin * 1.05).clamp(0, 1))
        across, down = ((x.abs() - 0.085) / 0.042).square(), ((below + 0.085) / 0.026).square()
        self.cover(rows, self.oval(rows, across, down, 0.03 * self.pixels), self.skin * 0.42)

    def wrinkles(self, near: Tensor, old: Tensor) -> None:
        dark = self.skin * 0.58
        for height in (0.40, 0.54):  # forehead
            rows, t = self.rows(height + 0.05, height - 0.05), self.phi / 0.60
            middle = height + 0.02 * (5 * self.phi).cos()
            self.cover(rows, self.band(rows, middle, self.thin(t, 0.9)), dark, shown=0.7 * old)
        rows, t = self.rows(0.0, -0.30), near / 0.20  # bags under the eyes
        middle = self.eyes - 0.155 - 0.04 * (1 - t.square())
        self.cover(rows, self.band(rows, middle, self.thin(t, 1.0)), dark, shown=0.7 * old)
        rows, t = self.rows(0.26, -0.16), (self.side - 0.80) / 0.13  # crow's feet
        spread = 0.07 * (1 + t)
        middle = self.eyes + spread * torch.where(self.v[:, rows] > self.eyes, 1.0, -1.0)
        distance = (self.v[:, rows] - middle).abs_().sub_(self.thin(t, 0.9)).mul_(self.height * self.pixels)
        self.cover(rows, distance, dark, shown=0.65 * old)
        rows = self.rows(-0.12, -0.62)  # from the nose past the corners of the mouth
        along = ((self.nose - self.v[:, rows]) / 0.34).clamp(-0.2, 1.2)
        distance = (self.side - 0.20 - 0.25 * along.clamp(min=0).sqrt()).abs_().mul_(self.width * self.pixels)
        distance.sub_(0.9 * self.line).add_(((along - 0.5).abs() - 0.5).clamp(min=0) * self.pixels)
        self.cover(rows, distance, dark, shown=0.65 * old)

    def facial_hair(self) -> None:
        """From ear to ear around the chin, and a moustache."""
        rows = slice(self.rows(0.06, 0).start, self.head_rows.stop)
        inside = self.inside[:, rows.start - self.head_rows.start :]
        edge = -0.30 - 0.28 * _step(0.22, 0.50, self.side) + 0.60 * _step(0.68, 1.25, self.side)
        above = (self.v[:, rows] - edge) * (self.height * self.pixels)
        outside = (inside - 1.07) * (0.5 * self.width * self.pixels)
        colour = (self.greyed * 0.92).view(-1, 3, 1, 1) * self.texture(rows)
        self.cover(rows, torch.maximum(above, outside), colour, shown=self.beard)

    def mouth_and_lips(self) -> None:
        rows = self.rows(-0.26, -0.80)
        t = self.phi / self.lips
        square = t.square()
        happy, sad = self.mood.clamp(min=0), (-self.mood).clamp(min=0)
        curve = 0.20 * happy - 0.26 * sad + self.bend
        middle = self.mouth + curve * (square - 0.45)
        gone = (t.abs() > 1) * 9.0
        round_ = (1 - square).clamp(min=0)
        rosy = self.skin * torch.tensor([0.62, 0.42, 0.42]) + torch.tensor([0.26, 0.06, 0.07])
        opened = 0.075 * happy
        full = (0.062 + opened) * round_.sqrt() - gone
        self.cover(rows, self.band(rows, middle - 0.4 * opened * round_, full), rosy)
        # Teeth within a smile, a dark line between closed lips.
        inner = opened * round_ - 0.004 - gone
        teeth = torch.full_like(self.skin, 0.97)
        self.cover(rows, self.band(rows, middle - 0.4 * opened * round_, inner), teeth, shown=happy)
        line = self.band(rows, middle, self.thin(t * 0.94, 1.0))
        self.cover(rows, line, self.skin * torch.tensor([0.36, 0.20, 0.20]), shown=1 - happy)

    def front_hair(self) -> None:
        """Above the hairline, and down the sides as far as the cut goes. Age lifts it and greys the temples."""
        rows = self.rows(1.5, -1.5)
        x, v = self.x + 0.10 * self.theta.sin(), self.v - 0.1 * self.curly
        broad = 1.06 + 0.09 * self.long + 0.26 * self.curly
        tall = 1.09 + 0.02 * self.long + 0.16 * self.curly
        low = 0.70 * self.short + 1.6 * self.long + 1.05 * self.curly
        across = (x / broad).square()
        down = (v.clamp(min=0) / tall).square() + (v.clamp(max=0) / low).square().square()
        outline = self.oval(rows, across, down, 0.55 * self.pixels).sub_(self.frizz(rows))
        top = 0.50 + self.column(self.style.parting[:, 1]) + 0.19 * self.old + self.parted()
        top = top + 0.10 * self.old * _step(0.2, 0.5, self.side) - 0.16 * _step(0.3, 0.8, self.side)
        temple = _step(0.86, 1.16, self.side)
        nape = _step(1.50, 1.75, self.side)
        bottom = -0.05 * self.short - 1.30 * self.long - 0.50 * self.curly
        edge = top + (bottom - top) * temple - 0.35 * self.short * nape
        above = (edge - self.v[:, rows]).mul_(self.height * self.pixels)
        grey = 0.80 * self.old * _step(0.60, 1.20, self.side)
        colour = self.hair.view(-1, 3, 1, 1).lerp(torch.tensor(GREY).view(1, 3, 1, 1), grey.unsqueeze(1))
        gloss = 0.10 * (-((self.v[:, rows] - 0.72) / 0.16).square()).exp() * (1 - self.curly)
        shaded = colour * (self.texture(rows) + gloss.unsqueeze(1))
        self.cover(rows, torch.maximum(outline, above), shaded)

    def spectacles(self) -> None:
        rows = self.rows(0.42, -0.30)
        frame = torch.tensor(FRAMES)[self.style.frame]
        power = self.column(self.style.corners)
        t = (self.side - self.spread) / 0.335
        across, down = t.abs().pow(power), ((self.v - self.eyes + 0.01) / 0.235).abs().pow(power)
        lens = across + (down[:, rows] - 1)
        unit = 0.24 * self.height * self.pixels / power
        glass = lens * unit
        self.cover(rows, glass, torch.tensor([0.93, 0.97, 1.0]).expand_as(frame), shown=0.30 * self.glasses)
        thick = 1.15 * self.line
        self.cover(rows, (lens * unit).abs_().sub_(thick), frame, shown=self.glasses)
        # The bridge, and the arms to the ears.
        gap = 0.335 - (self.side - self.spread).abs()
        beyond = (self.side - 1.5).clamp(min=0) + (self.x.abs() - 1).clamp(min=0)
        apart = (gap.clamp(min=0) + beyond) * (2 * self.width * self.pixels)
        bar = (self.v[:, rows] - self.eyes - 0.05).abs_().mul_(self.height * self.pixels).sub_(thick) + apart
        self.cover(rows, bar, frame, shown=self.glasses)

    def lighting(self) -> None:
        """Bright on the side that the light comes from, dark on the other."""
        self.pictures.mul_((0.84 + 0.34 * self.lit * (0.9 * self.x).tanh()).unsqueeze(1))

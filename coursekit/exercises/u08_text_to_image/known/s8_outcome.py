"""Answer key to section 8: a generator of cards that reads.

The weights of the catalogue are set by hand: units of the first layer pass the caption on and turn the noise into steps, each
unit of the second stands for one colour, shape, side and row, and paints its card. So every figure that the check measures
can be chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u08_text_to_image.asked import s8_outcome as asked
from coursekit.exercises.u08_text_to_image.asked.s8_outcome import (
    CardDiscriminator,
    CardGenerator,
    draw_cards,
    tell,
    update,
)

# card_painter


def train_painter(seed: int) -> dict:
    """A CardGenerator(seed), trained on draw_cards and tell -> the state_dict of its averaged weights."""
    ### BEGIN SOLUTION
    dice, D = torch.Generator().manual_seed(seed), CardDiscriminator(seed + 1)
    G, steady = CardGenerator(seed), CardGenerator(seed)
    for_G, for_D = (torch.optim.Adam(net.parameters(), lr=0.004, betas=(0.0, 0.99)) for net in (G, D))
    for _ in range(1500):
        cards, truth = draw_cards(64, dice)
        told = tell(truth, dice)
        stray, painted = told.roll(1, 0), G(torch.randn(64, 8, generator=dice), told)
        lie = ((stray * truth).sum(1) < stray.sum(1)).float()
        fits, errs, fakes = D(torch.cat([cards, cards, painted.detach()]), torch.cat([told, stray, told])).view(3, -1)
        update(for_D, (F.relu(1 - fits) + lie * F.relu(1 + errs) / 2 + F.relu(1 + fakes) / 2).mean())
        update(for_G, -D(painted, told).mean())
        for slow, fast in zip(steady.parameters(), G.parameters()):
            slow.data.lerp_(fast.data, 0.005)
    return steady.state_dict()
    ### END SOLUTION


Weights = dict[str, Tensor]
_INKS = ((0.9, -0.8, -0.8), (-0.8, 0.7, -0.7), (-0.7, -0.5, 0.9), (0.9, 0.8, -0.8))
_SHAPES = ("111111111", "010111010", "101010101")
_KINDS = (4, 3, 2)
_PALER = ((0.7, -0.6, -0.5), (-0.6, 0.6, -0.5), (-0.5, -0.6, 0.7), (0.8, 0.7, -0.6))
_WHITE = (0.95, 0.95, 0.95)
Cell = tuple[int, int, int, int]
Ink = tuple[float, float, float]


def _ink_at(shape: int, side: int, row: int) -> list[tuple[int, int]]:
    return [(row + k // 3, 1 + 3 * side + k % 3) for k, dot in enumerate(_SHAPES[shape]) if dot == "1"]


def painter(
    *,
    deaf: tuple[int, ...] = (),
    shown: Callable[[Cell], Cell] = lambda cell: cell,
    ink: Callable[[Cell], Ink] = lambda cell: _INKS[cell[0]],
    spread: float = 0.25,
    rows: bool = True,
    reads: tuple[int, int] = (0, 1),
) -> Weights:
    """A generator that paints for each caption and row its card.

    The attributes in `deaf` (0 colour, 1 shape, 2 side) are taken from the noise, what a caption leaves out is value 0. `shown`
    says which card is painted for which (colour, shape, side, row), `ink` in which colour. `spread`: of the background,
    before the tanh. `rows`: whether the row varies. `reads`: which of the noise's numbers make row and background.
    """
    W_1, b_1 = torch.zeros(192, 17, dtype=torch.float64), torch.zeros(192, dtype=torch.float64)
    W_2, b_2 = torch.zeros(192, 192, dtype=torch.float64), torch.zeros(192, dtype=torch.float64)
    W_3, b_3 = torch.zeros(192, 192, dtype=torch.float64), torch.zeros(192, dtype=torch.float64)
    free = iter(range(192))

    def steps(number: int, kinds: int) -> list[tuple[dict[int, float], float]]:
        """`kinds` equally likely values of one number of the noise, each a sum of first units and a constant."""
        edges = []
        for cut in range(1, kinds):
            at = float(torch.special.ndtri(torch.tensor(cut / kinds, dtype=torch.float64)))
            pair = next(free), next(free)
            for unit, start in zip(
                pair, (at - 0.005, at + 0.005)
            ):  # a ramp from 0 to 1 is a difference of two rectifiers
                W_1[unit, number], b_1[unit] = 100.0, -100.0 * start
            edges.append({pair[0]: 1.0, pair[1]: -1.0})
        minus = [{unit: -w for unit, w in edge.items()} for edge in edges]
        inner = [(edges[k] | minus[k + 1], 0.0) for k in range(kinds - 2)]
        return [(minus[0], 1.0), *inner, (edges[-1], 0.0)]

    values, start = [], 8
    for a, kinds in enumerate(_KINDS):
        if a in deaf:
            values.append(steps(2 + a, kinds))
        else:
            units, unnamed = [next(free) for _ in range(kinds)], next(free)
            for k, unit in enumerate(units):
                W_1[unit, start + k] = 1.0
                W_1[unnamed, start + k] = -1.0
            b_1[unnamed] = 1.0
            values.append([({unit: 1.0} | ({unnamed: 1.0} if k == 0 else {}), 0.0) for k, unit in enumerate(units)])
        start += kinds
    row_values = steps(reads[0], 6) if rows else [({}, float(row == 2)) for row in range(6)]
    grey, grey_2 = next(free), 191
    W_1[grey, reads[1]], b_1[grey], W_2[grey_2, grey] = 1.0, 5.0, 1.0
    middle = math.atanh(-0.3)
    W_3[:, grey_2], b_3[:] = spread, middle - 5.0 * spread
    cells = [(c, s, p, r) for c in range(4) for s in range(3) for p in range(2) for r in range(6)]
    for unit, cell in enumerate(cells):
        b_2[unit] = -3.0
        for k, options in zip(cell, (*values, row_values)):
            terms, constant = options[k]
            b_2[unit] += constant
            for other, w in terms.items():
                W_2[unit, other] += w
        card = shown(cell)
        for y, x in _ink_at(*card[1:]):
            for channel, value in enumerate(ink(card)):
                W_3[channel * 64 + y * 8 + x, unit] = math.atanh(value) - middle
    layers = {"first": (W_1, b_1), "second": (W_2, b_2), "head": (W_3, b_3)}
    return {f"{name}.{kind}": t.float() for name, pair in layers.items() for kind, t in zip(("weight", "bias"), pair)}


def _law_says(name: str) -> str:
    """What the broken law says is the hint: weights are recognised by the laws that they break, in order."""
    return next(law.says for part in asked.CARD_PAINTER.parts for law in part.laws if law.name == name)


_WRONG: dict[str, Weights] = {
    "other names": {f"net.{name}": tensor for name, tensor in painter().items()},
    "other shapes": {name: tensor[:64] if name == "head.bias" else tensor for name, tensor in painter().items()},
    "not finite": {name: tensor * math.nan for name, tensor in painter().items()},
    "nothing is drawn": CardGenerator(0).state_dict(),
    "a haze": painter(ink=lambda cell: _WHITE),
    "some are hazy": painter(ink=lambda cell: _WHITE if cell[3] < 2 else _INKS[cell[0]]),
    "the caption is not read": painter(deaf=(0, 1, 2)),
    "left and right exchanged": painter(shown=lambda cell: (cell[0], cell[1], 1 - cell[2], cell[3])),
    "the colour is not read": painter(deaf=(0,)),
    "the shape is not read": painter(deaf=(1,)),
    "the side is not read": painter(deaf=(2,)),
    "now and then something else": painter(
        shown=lambda cell: (cell[0], (cell[1] + 1) % 3 if cell[3] < 2 else cell[1], cell[2], cell[3])
    ),
    "one picture for each caption": painter(spread=0.0, rows=False),
    "always the same grey": painter(spread=0.0),
    "always the same row": painter(rows=False),
}

CARD_PAINTER = Key(
    question=asked.CARD_PAINTER,
    solution=(train_painter,),
    reference=painter(),
    source="a look-up table as a network; for the training Reed et al. 2016, arXiv:1605.05396, algorithm 1, with the "
    "projection of Miyato & Koyama 2018, arXiv:1802.05637, and the hinge",
    outcome=painter,
    mistakes=tuple(Mistake(name, _law_says(name), weights) for name, weights in _WRONG.items()),
    alternatives={
        "other noise": painter(reads=(6, 7)),
        "other inks, wider greys": painter(ink=lambda cell: _PALER[cell[0]], spread=0.3),
        "one row in twelve goes wrong": painter(
            shown=lambda cell: ((cell[0] + 1) % 4, *cell[1:]) if cell[3] == 0 and cell[1] == 0 else cell
        ),
        "float64": {name: tensor.double() for name, tensor in painter(reads=(7, 2)).items()},
    },
)

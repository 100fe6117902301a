"""How digits are written: for each digit several skeletons, each a line of strokes (divided by |) through points x,y.

In hundredths of half the picture's edge, y upwards, so that a digit is 140 high. A stroke is smooth; strokes that share a
point meet there in a corner or a crossing, and stay joined when the point moves. A stroke that ends where it starts is closed.
"""

from __future__ import annotations

Point = tuple[float, float]
Stroke = tuple[Point, ...]

_WAYS = (
    (  # 0: an oval, a narrow one, one that is left open, one whose ends cross
        "42,0 30,50 0,70 -30,50 -42,0 -30,-50 0,-70 30,-50 42,0",
        "31,0 22,50 0,70 -22,50 -31,0 -22,-50 0,-70 22,-50 31,0",
        "6,70 -30,50 -42,0 -28,-54 2,-70 32,-50 42,4 34,44 14,62",
        "20,72 -24,50 -40,0 -28,-52 0,-70 30,-50 40,2 26,50 -14,72",
    ),
    (  # 1: a stem, a bent stem, with a flag, with flag and foot, with a short flag
        "0,70 0,0 0,-70",
        "5,70 -4,0 3,-70",
        "-24,42 2,70 | 2,70 2,0 2,-70",
        "-24,44 0,70 | 0,70 0,0 0,-70 | -28,-70 0,-70 28,-70",
        "-16,50 0,70 | 0,70 2,0 0,-70",
    ),
    (  # 2: a flat foot, a loop at the foot, a wavy foot, a hook at the top
        "-38,40 -22,64 10,69 36,44 24,6 -10,-34 -42,-68 | -42,-68 0,-68 42,-68",
        "-36,44 -10,69 26,60 34,28 10,-16 -20,-52 -40,-62 -42,-46 -20,-48 10,-66 44,-58",
        "-40,46 -14,70 24,62 34,30 6,-14 -40,-64 | -40,-64 -12,-54 18,-68 46,-58",
        "-30,22 -36,50 -4,70 32,52 26,14 -38,-66 | -38,-66 40,-70",
    ),
    (  # 3: two bowls, a flat top, a small loop in the middle, one sweep
        "-34,50 -8,70 26,58 26,26 -8,6 | -8,6 24,-2 38,-32 20,-62 -12,-70 -38,-50",
        "-36,68 0,68 34,68 | 34,68 -2,14 | -2,14 30,2 38,-34 16,-66 -14,-70 -38,-52",
        "-34,54 0,70 30,46 8,12 -12,4 -8,-4 14,0 37,-32 10,-68 -36,-54",
        "-36,60 2,70 32,42 6,10 34,-24 14,-64 -20,-70 -40,-58",
    ),
    (  # 4: open, closed, round and open, low and pointed
        "-28,68 -40,-4 | -40,-4 20,-4 44,-4 | 20,50 20,-4 20,-70",
        "16,70 -42,-18 | -42,-18 16,-18 44,-18 | 16,70 16,-18 16,-70",
        "-28,68 -40,28 -32,2 -4,-6 28,4 | 34,66 28,4 20,-70",
        "6,68 -20,10 -44,-26 | -44,-26 10,-26 44,-22 | 14,18 10,-26 8,-70",
    ),
    (  # 5: corners, no corner, a roof of its own, a steep neck
        "36,68 -28,68 | -28,68 -34,8 | -34,8 0,20 32,2 34,-36 8,-68 -38,-56",
        "38,66 -8,66 -28,48 -28,16 4,14 34,-10 28,-52 -2,-70 -36,-58",
        "-24,60 -30,10 | -30,10 8,14 34,-14 26,-54 -6,-70 -38,-60 | -24,60 10,64 44,70",
        "40,70 -16,64 | -16,64 -32,0 | -32,0 10,12 36,-20 16,-62 -30,-68",
    ),
    (  # 6: one sweep, a straight back, a curled top, a small bowl
        "28,68 -10,42 -36,-8 -32,-50 -2,-70 32,-50 33,-18 6,2 -22,-12 -34,-40",
        "16,72 -20,26 -34,-34 | -34,-34 -24,-60 0,-70 26,-60 34,-32 22,-8 0,0 -24,-10 -34,-34",
        "34,52 14,70 -20,50 -38,0 -30,-50 0,-70 30,-52 32,-20 4,-2 -32,-20",
        "6,72 -20,36 -32,-14 -26,-52 0,-70 28,-54 24,-26 0,-16 -28,-36",
    ),
    (  # 7: plain, with a bar, with a hook, with hook and bar, a wavy roof
        "-40,66 0,66 40,66 | 40,66 18,6 2,-70",
        "-40,66 0,66 40,66 | 40,66 20,2 4,-70 | -8,2 20,2 44,2",
        "-40,44 -38,68 | -38,68 2,66 40,68 | 40,68 14,0 6,-70",
        "-42,48 -40,68 | -40,68 2,66 38,68 | 38,68 16,0 0,-70 | -12,-2 16,0 42,2",
        "-42,56 -22,68 8,58 40,68 | 40,68 24,16 14,-70",
    ),
    (  # 8: a figure of eight, two ovals, open at the top, a narrow one
        "0,70 -30,40 0,4 36,-34 0,-70 -36,-34 0,4 30,40 0,70",
        "28,36 20,59 0,68 -20,59 -28,36 -20,13 0,4 20,13 28,36 | 37,-33 26,-7 0,4 -26,-7 -37,-33 -26,-59 0,-70 26,-59 37,-33",
        "34,54 4,70 -28,42 0,6 34,-32 2,-70 -34,-38 0,6 24,28 36,54",
        "2,66 -26,40 -2,8 30,-30 4,-68 -30,-40 -2,8 28,42 2,66",
    ),
    (  # 9: a straight stem, a hook, one sweep, a bent stem
        "30,36 20,60 -4,70 -28,60 -38,36 -28,12 -4,2 20,12 30,36 | 30,36 28,-10 22,-70",
        "30,36 20,60 -4,70 -28,60 -38,36 -28,12 -4,2 20,12 30,36 | 30,36 34,-14 14,-62 -30,-60",
        "30,50 0,70 -33,44 -22,10 10,12 32,48 30,0 24,-70",
        "30,62 -6,70 -34,40 -14,8 20,20 30,62 | 30,62 26,0 6,-70",
    ),
)  # fmt: skip


def _read(way: str) -> tuple[Stroke, ...]:
    """The strokes of one line, in units of half the picture's edge."""
    strokes = ([point.split(",") for point in stroke.split()] for stroke in way.split("|"))
    return tuple(tuple((int(x) / 100, int(y) / 100) for x, y in stroke) for stroke in strokes)


SKELETONS: tuple[tuple[tuple[Stroke, ...], ...], ...] = tuple(tuple(map(_read, ways)) for ways in _WAYS)
"""SKELETONS[digit][way] -> strokes."""

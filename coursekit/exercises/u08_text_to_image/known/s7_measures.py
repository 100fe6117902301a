"""Answer keys to section 7: a measure, noise, and layouts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u08_text_to_image.asked import s7_measures as asked

# caption_score


def caption_score(read: Tensor, facts: Tensor) -> tuple[Tensor, float]:
    """read (N, A), facts (N, A) with -1 for what is not named -> shares (A,), share of captions wholly true."""
    ### BEGIN SOLUTION
    asked_for, met = facts != -1, facts == read
    shares = (asked_for & met).sum(0).double() / asked_for.sum(0)
    spoke = asked_for.any(dim=1)
    return shares, float((met | ~asked_for).all(dim=1)[spoke].double().mean())
    ### END SOLUTION


def _score_by_facts(read: Tensor, facts: Tensor) -> tuple[Tensor, float]:
    """Fact by fact."""
    r, f = read.tolist(), facts.tolist()
    shares = []
    for a in range(len(f[0])):
        held = [r[n][a] == f[n][a] for n in range(len(f)) if f[n][a] != -1]
        shares.append(sum(held) / len(held) if held else math.nan)
    whole = [all(x == y for x, y in zip(p, q) if y != -1) for p, q in zip(r, f) if any(y != -1 for y in q)]
    return torch.tensor(shares, dtype=torch.float64), sum(whole) / len(whole) if whole else math.nan


def _score_nanmean(read: Tensor, facts: Tensor) -> tuple[Tensor, Tensor]:
    """Not named is NaN, which `nanmean` passes over; the least of a row says whether it is wholly true."""
    held = (read == facts).double().masked_fill(facts < 0, math.nan)
    told = held.nan_to_num(nan=1.0).amin(1).masked_fill(held.isnan().all(1), math.nan)
    return held.nanmean(0), told.nanmean()


def _score_weights(read: Tensor, facts: Tensor) -> tuple[Tensor, Tensor]:
    w = facts.ge(0).to(torch.float64)
    hits = w * facts.eq(read)
    speaks = w.amax(1)
    return hits.sum(0) / w.sum(0), (speaks * hits.sum(1).eq(w.sum(1))).sum() / speaks.sum()


def _score_columns(read: Tensor, facts: Tensor) -> tuple[Tensor, Tensor]:
    columns = [(r == f)[f >= 0].double().mean() for r, f in zip(read.unbind(1), facts.unbind(1))]
    rows = [(r == f)[f >= 0] for r, f in zip(read, facts)]
    whole = torch.tensor([float(row.all()) for row in rows if len(row)], dtype=torch.float64)
    return torch.stack(columns), whole.mean()


def _score_wrong(
    *,
    named: Callable[[Tensor], Tensor] = lambda facts: facts >= 0,
    shares: Callable[..., Tensor] = lambda named, right: (named & right).sum(0).double() / named.sum(0),
    whole: Callable[..., Any] = lambda named, right: (right | ~named).all(1)[named.any(1)].double().mean(),
) -> Callable[..., tuple[Tensor, Any]]:
    """The measure with one thing wrong."""

    def answer(read: Tensor, facts: Tensor) -> tuple[Tensor, Any]:
        asked_for, right = named(facts), read == facts
        return shares(asked_for, right), whole(asked_for, right)

    return answer


CAPTION_SCORE = Key(
    question=asked.CAPTION_SCORE,
    solution=(caption_score,),
    reference=_score_by_facts,
    source="the definition: conditional frequencies; Hinz et al. 2022, arXiv:1910.13321, section 4 (semantic object "
    "accuracy: only what the caption names is looked for)",
    mistakes=(
        Mistake(
            "what is not named counts as wrong",
            "−1 is never read from a picture, so that unnamed attributes count as wrong. Leave them out of both sums.",
            _score_wrong(
                shares=lambda named, right: right.double().mean(0),
                whole=lambda named, right: right.all(1).double().mean(),
            ),
        ),
        Mistake(
            "what is not named counts as right",
            "Unnamed attributes count as fulfilled in your shares: captions that say little then score best.",
            _score_wrong(shares=lambda named, right: (right | ~named).double().mean(0)),
        ),
        Mistake(
            "silent captions count as true",
            "A caption that names nothing is left out of the second share; yours counts as wholly true.",
            _score_wrong(whole=lambda named, right: (right | ~named).all(1).double().mean()),
        ),
        Mistake(
            "silent captions count as false",
            "A caption that names nothing is left out of the second share; yours counts as wrong.",
            _score_wrong(whole=lambda named, right: ((right | ~named).all(1) & named.any(1)).double().mean()),
        ),
        Mistake(
            "one fact is enough",
            "Wholly true means that all named facts hold, not one of them.",
            _score_wrong(whole=lambda named, right: (right & named).any(1)[named.any(1)].double().mean()),
        ),
        Mistake(
            "share of facts, not of captions",
            "The second number counts captions that are wholly true; yours is the share of facts.",
            _score_wrong(whole=lambda named, right: (right & named).sum().double() / named.sum()),
        ),
        Mistake(
            "0 for what nobody names",
            "An attribute that no caption names has no share: NaN. With 0 it looks as if all were wrong.",
            _score_wrong(shares=lambda named, right: (named & right).sum(0).double() / named.sum(0).clamp(min=1)),
        ),
        Mistake(
            "1 for what nobody names",
            "An attribute that no caption names has no share: NaN. With 1 it looks as if all were right.",
            _score_wrong(
                shares=lambda named, right: ((named & right).sum(0).double() / named.sum(0)).nan_to_num(nan=1.0)
            ),
        ),
        Mistake(
            "share for each caption",
            "You take shares over the attributes of a caption. The first result has one for each **attribute**, (A,).",
            _score_wrong(shares=lambda named, right: (named & right).sum(1).double() / named.sum(1)),
        ),
        Mistake(
            "one share for all attributes",
            "The first result has one share for each attribute: colours and sizes fail for different reasons.",
            _score_wrong(shares=lambda named, right: (named & right).sum().double() / named.sum()),
        ),
        Mistake(
            "0 means not named",
            "−1 is what is not named. 0 is a value like any other.",
            _score_wrong(named=lambda facts: facts > 0),
        ),
        Mistake(
            "counts",
            "Shares, not counts: divide by how many captions name the attribute.",
            _score_wrong(shares=lambda named, right: (named & right).sum(0).double()),
        ),
    ),
    alternatives={
        "NaN and nanmean": _score_nanmean,
        "weights": _score_weights,
        "column by column": _score_columns,
    },
)

# truncated_noise


def truncated_noise(n: int, Z: int, limit: float, generator: torch.Generator) -> Tensor:
    """(n, Z) float32 from N(0, 1) given |z| <= limit."""
    ### BEGIN SOLUTION
    noise = torch.randn(n, Z, generator=generator, dtype=torch.float32)
    while (beyond := noise.abs() > limit).any():
        noise[beyond] = torch.randn(int(beyond.sum()), generator=generator, dtype=torch.float32)
    return noise
    ### END SOLUTION


def _noise_by_quantiles(n: int, Z: int, limit: float, generator: torch.Generator) -> Tensor:
    """The distribution function's inverse, at uniform numbers between its values at the limits."""
    low, high = (0.5 * (1 + math.erf(edge / math.sqrt(2))) for edge in (-limit, limit))
    u = torch.rand(n, Z, generator=generator, dtype=torch.float64)
    return torch.special.ndtri(low + (high - low) * u).float()


def _noise_from_many(n: int, Z: int, limit: float, generator: torch.Generator) -> Tensor:
    """Draw too many, keep the good ones."""
    good = torch.empty(0)
    while len(good) < n * Z:
        z = torch.randn(2 * n * Z, generator=generator, dtype=torch.float32)
        good = torch.cat([good.float(), z[z.abs() <= limit]])
    return good[: n * Z].reshape(n, Z)


def _noise_erfinv(n: int, Z: int, limit: float, generator: torch.Generator) -> Tensor:
    u = 2 * torch.rand(n, Z, generator=generator, dtype=torch.float64) - 1
    return (math.sqrt(2) * torch.erfinv(u * math.erf(limit / math.sqrt(2)))).to(torch.float32)


def _noise_with_where(n: int, Z: int, limit: float, generator: torch.Generator) -> Tensor:
    z = torch.full((n, Z), math.inf, dtype=torch.float32)
    while not bool(torch.isfinite(z).all()):
        fresh = torch.empty(n, Z, dtype=torch.float32).normal_(generator=generator)
        fresh = fresh.where(fresh.abs() <= limit, math.inf)
        z = torch.where(torch.isinf(z), fresh, z)
    return z


def _noise_wrong(finish: Callable[[Tensor, float, torch.Generator], Tensor]) -> Callable[..., Tensor]:
    """Plain normal numbers, and what is done to them."""

    def answer(n: int, Z: int, limit: float, generator: torch.Generator) -> Tensor:
        return finish(torch.randn(n, Z, generator=generator, dtype=torch.float32), limit, generator)

    return answer


def _one_more_try(z: Tensor, limit: float, generator: torch.Generator) -> Tensor:
    again = torch.randn(z.shape, generator=generator, dtype=torch.float32)
    return torch.where(z.abs() > limit, again, z)


def _own_seed(n: int, Z: int, limit: float, generator: torch.Generator) -> Tensor:
    return _noise_by_quantiles(n, Z, limit, torch.Generator().manual_seed(0))


def _global_noise(n: int, Z: int, limit: float, generator: torch.Generator) -> Tensor:
    z = torch.randn(n, Z, dtype=torch.float32)
    while bool((bad := z.abs() > limit).any()):
        z[bad] = torch.randn(int(bad.sum()), dtype=torch.float32)
    return z


def _one_row(n: int, Z: int, limit: float, generator: torch.Generator) -> Tensor:
    return _noise_by_quantiles(1, Z, limit, generator).repeat(n, 1)


def _one_column(n: int, Z: int, limit: float, generator: torch.Generator) -> Tensor:
    return _noise_by_quantiles(n, 1, limit, generator).repeat(1, Z)


def _shrunk_rows(z: Tensor, limit: float, generator: torch.Generator) -> Tensor:
    """The whole row is made shorter until its largest number fits."""
    return z * (limit / z.abs().amax(1, keepdim=True)).clamp(max=1)


TRUNCATED_NOISE = Key(
    question=asked.TRUNCATED_NOISE,
    solution=(truncated_noise,),
    reference=_noise_by_quantiles,
    source="Brock, Donahue & Simonyan 2019, arXiv:1809.11096, section 3.1; the inverse of a distribution function: "
    "Devroye 1986, Non-uniform random variate generation, section II.2",
    mistakes=(
        Mistake(
            "clamped",
            "`clamp` moves what lies outside to the limit itself, where it piles up. Draw it again instead.",
            _noise_wrong(lambda z, limit, g: z.clamp(-limit, limit)),
        ),
        Mistake(
            "scaled",
            "You multiply by the limit: a narrower normal distribution, which still has numbers outside.",
            _noise_wrong(lambda z, limit, g: z * limit),
        ),
        Mistake(
            "not truncated",
            "Nothing is cut off.",
            _noise_wrong(lambda z, limit, g: z),
        ),
        Mistake(
            "uniform",
            "Those are uniform numbers within the limit. Within it the density is still that of the normal distribution.",
            lambda n, Z, limit, generator: limit * (2 * torch.rand(n, Z, generator=generator, dtype=torch.float32) - 1),
        ),
        Mistake(
            "wrapped round",
            "What lies outside comes in again at the other side in your code, which is another distribution.",
            _noise_wrong(lambda z, limit, g: torch.remainder(z + limit, 2 * limit) - limit),
        ),
        Mistake(
            "outside becomes 0",
            "What lies outside is set to 0, where it piles up. Draw it again.",
            _noise_wrong(lambda z, limit, g: z.masked_fill(z.abs() > limit, 0.0)),
        ),
        Mistake(
            "squashed",
            "tanh bends all numbers, also those that were fine.",
            _noise_wrong(lambda z, limit, g: limit * torch.tanh(z)),
        ),
        Mistake(
            "rows shortened",
            "You shorten whole rows until they fit. Each number is cut off by itself.",
            _noise_wrong(_shrunk_rows),
        ),
        Mistake(
            "drawn again once",
            "The second draw can lie outside as well: go on until nothing does.",
            _noise_wrong(_one_more_try),
        ),
        Mistake(
            "cut off on one side",
            "|z| ≤ limit has two sides; you cut off above only.",
            lambda n, Z, limit, generator: torch.special.ndtri(
                torch.special.ndtr(torch.tensor(limit, dtype=torch.float64))
                * torch.rand(n, Z, generator=generator, dtype=torch.float64).clamp(min=1e-12)
            ).float(),
        ),
        Mistake(
            "positive half only",
            "Your numbers are all positive: the sign has been lost.",
            lambda n, Z, limit, generator: _noise_by_quantiles(n, Z, limit, generator).abs(),
        ),
        Mistake(
            "one row for all",
            "All rows are the same. Each number is drawn by itself.",
            _one_row,
        ),
        Mistake(
            "one number for each row",
            "All numbers of a row are the same. Each is drawn by itself.",
            _one_column,
        ),
        Mistake(
            "global generator",
            "All randomness comes from `generator`: pass it to every draw, also the later ones.",
            _global_noise,
        ),
        Mistake(
            "a generator made anew",
            "You make a generator in the function, so that every call gives the same. Use the one handed over.",
            _own_seed,
        ),
    ),
    alternatives={
        "draw too many": _noise_from_many,
        "erfinv": _noise_erfinv,
        "where, again and again": _noise_with_where,
    },
)

# caption_boxes


def caption_boxes(text: str, size: int) -> list:
    """A caption -> [(colour, shape, (left, top, right, bottom)), ...] in pixels, y downwards."""
    ### BEGIN SOLUTION
    import re

    item = "a (red|green|blue|white) (circle|square|star)"
    link = "(?: (?:to the )?(left of|right of)| (above|below))"
    found = re.fullmatch(f"{item}(?:{link} {item})?", text.lower().removesuffix("."))
    if found is None:
        raise ValueError(f"cannot read {text!r}")
    c, s, sideways, upright, *second = found.groups()
    dx, dy = {"left of": (1, 0), "right of": (-1, 0), "above": (0, 1)}.get(sideways or upright, (0, -1))
    half = size * (0.2 if second[0] else 0.25)
    listed = [(c, s, -1), (*second, 1)] if second[0] else [(c, s, 0)]
    spots = [(c, s, size * (2 + way * dx) / 4, size * (2 + way * dy) / 4) for c, s, way in listed]
    return [(c, s, (x - half, y - half, x + half, y + half)) for c, s, x, y in spots]
    ### END SOLUTION


_COLOUR_WORDS, _SHAPE_WORDS = {"red", "green", "blue", "white"}, {"circle", "square", "star"}


def _read_thing(words: list[str]) -> tuple[str, str]:
    if len(words) != 3 or words[0] != "a" or words[1] not in _COLOUR_WORDS or words[2] not in _SHAPE_WORDS:
        raise ValueError(" ".join(words))
    return words[1], words[2]


def _square(x: float, y: float, edge: float) -> tuple[float, float, float, float]:
    return (x - edge / 2, y - edge / 2, x + edge / 2, y + edge / 2)


def _boxes_by_words(text: str, size: int) -> list[Any]:
    """Word by word."""
    words = text.lower().rstrip(".").split(" ")
    first, rest = _read_thing(words[:3]), words[3:]
    if not rest:
        return [(*first, _square(size / 2, size / 2, size / 2))]
    if rest[:2] == ["to", "the"] and rest[2:3] in (["left"], ["right"]):
        rest = rest[2:]
    if rest[0] in ("above", "below"):
        relation, rest = rest[0], rest[1:]
    elif rest[0] in ("left", "right") and rest[1:2] == ["of"]:
        relation, rest = rest[0], rest[2:]
    else:
        raise ValueError(text)
    second = _read_thing(rest)
    low, mid, high = size / 4, size / 2, 3 * size / 4
    a, b = {
        "above": ((mid, low), (mid, high)),
        "below": ((mid, high), (mid, low)),
        "left": ((low, mid), (high, mid)),
        "right": ((high, mid), (low, mid)),
    }[relation]
    return [(*first, _square(*a, 0.4 * size)), (*second, _square(*b, 0.4 * size))]


_ONE = r"a (?P<{0}c>red|green|blue|white) (?P<{0}s>circle|square|star)"
_PAIR = re.compile(
    _ONE.format("i") + r"( (?P<r>above|below|(to the )?(left|right) of) " + _ONE.format("j") + r")?\.?", re.IGNORECASE
)


def _boxes_by_groups(text: str, size: int) -> list[Any]:
    """Named groups; the second thing is the first one mirrored at the middle."""
    match = _PAIR.fullmatch(text)
    if not match:
        raise ValueError("no such caption")
    g = {name: word and word.lower() for name, word in match.groupdict().items()}
    if g["r"] is None:
        quarter = size / 4
        return [(g["ic"], g["is"], (quarter, quarter, 3 * quarter, 3 * quarter))]
    dx, dy = 0.0, 0.0
    if "left" in g["r"] or "right" in g["r"]:
        dx = -0.25 if "left" in g["r"] else 0.25
    else:
        dy = -0.25 if g["r"] == "above" else 0.25
    things = []
    for key, sign in (("i", 1), ("j", -1)):
        left, top = (0.3 + sign * dx) * size, (0.3 + sign * dy) * size
        things.append((g[key + "c"], g[key + "s"], (left, top, left + 0.4 * size, top + 0.4 * size)))
    return things


def _boxes_by_table(text: str, size: int) -> list[Any]:
    """All captions there are, looked up."""
    things = [(c, s) for c in sorted(_COLOUR_WORDS) for s in sorted(_SHAPE_WORDS)]
    told = text.lower()[:-1] if text.endswith(".") else text.lower()
    for c, s in things:
        if told == f"a {c} {s}":
            return [(c, s, (0.25 * size, 0.25 * size, 0.75 * size, 0.75 * size))]
    cells = {
        "above": ((0.3, 0.05), (0.3, 0.55)), "below": ((0.3, 0.55), (0.3, 0.05)),
        "left of": ((0.05, 0.3), (0.55, 0.3)), "right of": ((0.55, 0.3), (0.05, 0.3)),
    }  # fmt: skip
    for relation, corners in cells.items():
        for way in (relation, f"to the {relation}") if relation.endswith("of") else (relation,):
            head, _, tail = told.partition(f" {way} ")
            found = [(c, s) for side in (head, tail) for c, s in things if side == f"a {c} {s}"]
            if len(found) == 2:
                return [
                    (c, s, (x * size, y * size, (x + 0.4) * size, (y + 0.4) * size))
                    for (c, s), (x, y) in zip(found, corners)
                ]
    raise ValueError(text)


def _boxes_tensors(text: str, size: int) -> list[Any]:
    """Edges as tensors, the layout read from the reference of another order."""
    listed = _boxes_by_groups(text, 1)
    return [(c, s, torch.tensor(box, dtype=torch.float64) * size) for c, s, box in listed]


Thing = tuple[str, str, tuple[float, float, float, float]]


def _boxes_wrong(
    *,
    box: Callable[..., Any] = lambda box, size: box,
    things: Callable[[list[Thing], str], list[Thing]] = lambda things, text: things,
    text: Callable[[str], str] = lambda text: text,
    refuse: bool = True,
) -> Callable[..., list[Any]]:
    """The layout with one thing wrong."""

    def answer(told: str, size: int) -> list[Any]:
        try:
            found = _boxes_by_words(text(told), size)
        except (ValueError, IndexError):
            if refuse:
                raise ValueError(told) from None
            return []
        return [(c, s, box(b, size)) for c, s, b in things(found, told)]

    return answer


def _swapped(things: list[Thing]) -> list[Thing]:
    """The words stay in order, the boxes change places."""
    boxes = [thing[2] for thing in things][::-1]
    return [(c, s, box) for (c, s, _), box in zip(things, boxes)]


def _on(which: str) -> Callable[[list[Thing], str], list[Thing]]:
    return lambda things, text: _swapped(things) if which in text.lower() else things


def _vertical_swapped(things: list[Thing], text: str) -> list[Thing]:
    return _swapped(things) if "above" in text.lower() or "below" in text.lower() else things


def _resized(box: tuple[float, ...], edge: float) -> tuple[float, float, float, float]:
    return _square((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, edge)


def _cells(box: tuple[float, ...], size: int) -> tuple[float, ...]:
    """The cell in place of the box in its middle."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    if x == y == size / 2:
        return (0.0, 0.0, float(size), float(size))
    if x == size / 2:
        return (0.0, 0.0 if y < x else y - size / 4, float(size), y + size / 4)
    return (0.0 if x < y else x - size / 4, 0.0, x + size / 4, float(size))


CAPTION_BOXES = Key(
    question=asked.CAPTION_BOXES,
    solution=(caption_boxes,),
    reference=_boxes_by_words,
    source="the layout is the task's definition; layouts between text and picture: Hong et al. 2018, "
    "arXiv:1801.05091, section 3",
    mistakes=(
        Mistake(
            "y upwards",
            "Above lies below in your layout: in a picture y counts downwards, so what is above has the **smaller** y.",
            _boxes_wrong(things=_vertical_swapped),
        ),
        Mistake(
            "relation of the second to the first",
            "“A above B” says where A is. You put the second thing into the relation to the first.",
            _boxes_wrong(things=lambda things, text: _swapped(things)),
        ),
        Mistake(
            "left and right exchanged",
            "Left and right are exchanged: x counts to the right, so what is left has the smaller x.",
            _boxes_wrong(things=lambda things, text: _swapped(things) if " of " in text.lower() else things),
        ),
        Mistake(
            "below taken for above",
            "“A below B” is laid out as “A above B”: the relation is not looked at.",
            _boxes_wrong(things=_on("below")),
        ),
        Mistake(
            "upper thing first",
            "The list is in the order in which the things are **named**, not from top to bottom or left to right.",
            _boxes_wrong(
                things=lambda things, text: sorted(things, key=lambda thing: (thing[2][1], thing[2][0])),
            ),
        ),
        Mistake(
            "rows and columns exchanged",
            "A box is (left, top, right, bottom); yours is (top, left, bottom, right).",
            _boxes_wrong(box=lambda box, size: (box[1], box[0], box[3], box[2])),
        ),
        Mistake(
            "corner, width and height",
            "A box is two corners: right and bottom, not width and height.",
            _boxes_wrong(box=lambda box, size: (box[0], box[1], box[2] - box[0], box[3] - box[1])),
        ),
        Mistake(
            "shares of the size",
            "The numbers are pixels. Yours are shares of the size.",
            _boxes_wrong(box=lambda box, size: tuple(edge / size for edge in box)),
        ),
        Mistake(
            "the cell itself",
            "You return the cells. The box is a smaller square in the middle of its cell.",
            _boxes_wrong(box=_cells),
        ),
        Mistake(
            "one edge for all",
            "Two things have edges of 0.4 × size, not 0.5.",
            _boxes_wrong(box=lambda box, size: _resized(box, size / 2)),
        ),
        Mistake(
            "“to the left of” not read",
            "*Left of* may also be written *to the left of*.",
            _boxes_wrong(text=lambda text: text.replace(" to ", " nowhere ")),
        ),
        Mistake(
            "capitals and full stops not read",
            "Capitals do not matter, nor a full stop at the end: `text.lower()`, and take the stop off.",
            _boxes_wrong(text=lambda text: text if text == text.lower().rstrip(".") else ""),
        ),
        Mistake(
            "an empty list for what cannot be read",
            "A caption that cannot be read must raise a `ValueError`: an empty scene would be drawn without a word.",
            _boxes_wrong(refuse=False),
        ),
    ),
    alternatives={
        "named groups, mirrored": _boxes_by_groups,
        "all captions looked up": _boxes_by_table,
        "boxes as tensors": _boxes_tensors,
    },
)

"""Sequence tasks with known answers: what a recurrent network must remember, count, add or reverse.

Shapes: N batch, T time, V symbols. Every task is drawn from its own generator.
The frame tasks (chords, formants, strokes) live in ``signals`` and are reachable from here too.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import torch
import torch.nn.functional as F

from coursekit.datasets.arguments import integer, pick, require_at_least, require_generator
from coursekit.datasets.signals import Labelled, chords, formants, strokes
from coursekit.errors import InputError

__all__ = [
    "Expression",
    "Labelled",
    "Pair",
    "adding",
    "arithmetic",
    "arithmetic_value",
    "chords",
    "counting",
    "first_symbol",
    "formants",
    "future_token",
    "is_well_formed",
    "parity",
    "parity_label",
    "resets",
    "reversal",
    "strokes",
    "xml",
]


class Pair(NamedTuple):
    """Source (N, T) int64 and target (N, T) int64."""

    source: torch.Tensor
    target: torch.Tensor


class Expression(NamedTuple):
    """An arithmetic task: the text with distractors, the text without, and what it comes to."""

    text: str
    clean: str
    value: int


# ---------------------------------------------------------------- bits and symbols


def parity(n: int, length: int, *, generator: torch.Generator) -> Labelled:
    """Random bits, and whether the number of ones so far is even.

    Returns x (N, T, 1) float of 0 and 1, y (N, T) int64: 1 where the count up to and with this step is even.
    """
    _require(n, length, generator)
    bits = torch.randint(0, 2, (n, length), generator=generator)
    return Labelled(bits.float().unsqueeze(-1), (bits.cumsum(1) % 2 == 0).long())


def parity_label(bits: str) -> bool:
    """True if the string of 0s and 1s holds an even number of ones (none is even)."""
    if not isinstance(bits, str) or set(bits) - {"0", "1"}:
        raise InputError.of("`bits`", got=bits, expected="a string of 0s and 1s", do='Pass such as "1011".')
    return bits.count("1") % 2 == 0


def first_symbol(n: int, length: int, symbols: int, *, generator: torch.Generator) -> Labelled:
    """Recall at the end which symbol came first; all that follows it is noise from the same alphabet.

    Returns x one-hot (N, T, V) float, y (N,) int64.
    """
    _require(n, length, generator, symbols=symbols)
    ids = torch.randint(0, symbols, (n, length), generator=generator)
    return Labelled(F.one_hot(ids, symbols).float(), ids[:, 0].clone())


def future_token(n: int, length: int, symbols: int, *, generator: torch.Generator) -> Labelled:
    """Label each step with the symbol of the NEXT step: impossible for a net that only reads forwards.

    Returns x one-hot (N, T, V) float, y (N, T) int64 with y[:, t] = symbol at t+1. The last step has no next
    one and is labelled with its own symbol; leave it out (``[:, :-1]``) where chance must be exactly 1/V.
    """
    _require(n, length, generator, symbols=symbols)
    ids = torch.randint(0, symbols, (n, length), generator=generator)
    return Labelled(F.one_hot(ids, symbols).float(), torch.cat([ids[:, 1:], ids[:, -1:]], 1))


def reversal(n: int, length: int, symbols: int, *, generator: torch.Generator) -> Pair:
    """Repeat the source backwards. Returns source and target (N, T) int64 with ids 0 ... V-1."""
    _require(n, length, generator, symbols=symbols)
    source = torch.randint(0, symbols, (n, length), generator=generator)
    return Pair(source, source.flip(1))


# ---------------------------------------------------------------- numbers and time


def adding(n: int, length: int, *, generator: torch.Generator) -> Labelled:
    """The adding problem: sum the two marked values, one in each half of the sequence.

    Returns x (N, T, 2) float: a value in [0, 1) and a marker that is 1 at two steps; y (N,) float.
    Answering 1 always has a mean squared error of 1/6. Source: Hochreiter and Schmidhuber 1997, section 5.4,
    with the markers placed as in Le, Jaitly and Hinton 2015, section 4.1.
    """
    _require(n, length, generator)
    require_at_least(2, length=length)
    values = torch.rand(n, length, generator=generator)
    half = length // 2
    first = torch.randint(0, half, (n, 1), generator=generator)
    second = torch.randint(half, length, (n, 1), generator=generator)
    markers = torch.zeros(n, length).scatter_(1, torch.cat([first, second], 1), 1.0)
    return Labelled(torch.stack([values, markers], -1), (values * markers).sum(1))


def counting(n: int, length: int, *, period: int = 5, generator: torch.Generator) -> Labelled:
    """Time precisely: fire exactly `period` steps after each spike, and at no other step.

    Returns x (N, T, 1) float: 1 at a spike; y (N, T) int64: 1 where to fire. Spikes are more than `period`
    steps apart, by a random gap. Between them nothing happens, so the delay must be counted inside the cell.
    After the timing tasks of Gers, Schraudolph and Schmidhuber 2002, section 4.
    """
    _require(n, length, generator)
    require_at_least(1, period=period)
    require_at_least(period + 1, length=length)
    spikes_at_most = length // (period + 1) + 1
    gaps = torch.randint(period + 1, 2 * period + 2, (n, spikes_at_most), generator=generator)
    # The first spike comes early enough for its answer to fall inside the sequence.
    gaps[:, 0] = torch.randint(0, min(period + 1, length - period), (n,), generator=generator)
    times = gaps.cumsum(1)
    # One column too many takes whatever falls behind the end.
    x = torch.zeros(n, length + 1).scatter_(1, times.clamp(max=length), 1.0)[:, :length]
    y = torch.zeros(n, length + 1).scatter_(1, (times + period).clamp(max=length), 1.0)[:, :length]
    return Labelled(x.unsqueeze(-1), y.long())


def resets(n: int, length: int, *, rate: float = 0.1, generator: torch.Generator) -> Labelled:
    """A continual stream: the sum of the values since the last reset marker (with the marker's own step).

    Returns x (N, T, 2) float: a value in [0, 1) and a marker that is 1 with probability `rate`; y (N, T)
    float. The first step is always a reset. A cell that cannot forget counts on for ever.
    After the continual tasks of Gers, Schmidhuber and Cummins 2000.
    """
    _require(n, length, generator)
    if not 0.0 <= rate <= 1.0:
        raise InputError.of("`rate`", got=rate, expected="a probability from 0 to 1", do="Pass rate=0.1.")
    values = torch.rand(n, length, generator=generator)
    marks = torch.rand(n, length, generator=generator) < rate
    marks[:, 0] = True
    # What had been summed before the last reset is the running sum there; it is carried forward by a
    # running maximum, since a running sum of values >= 0 never falls.
    total = values.double().cumsum(1)
    before = torch.where(marks, total - values, 0.0).cummax(1).values
    return Labelled(torch.stack([values, marks.float()], -1), (total - before).float())


# ---------------------------------------------------------------- strings


def arithmetic(n: int, digits: int, distractors: int, *, generator: torch.Generator) -> list[Expression]:
    """Sums and differences of two numbers of 1 to `digits` digits, with `distractors` letters strewn in.

    Source: Jozefowicz, Zaremba and Sutskever 2015, section 3.3; an example of theirs is
    ``3e36d9-h1h39f94eeh43keg3c``, which means 3369 - 13994433.
    """
    require_at_least(1, n=n, digits=digits)
    require_at_least(0, distractors=distractors)
    require_generator(generator)
    expressions = []
    for _ in range(n):
        clean = _number(digits, generator) + pick("+-", generator) + _number(digits, generator)
        text = list(clean)
        for _ in range(distractors):
            # Never in front: an expression begins with a digit, so that its start can be seen.
            text.insert(integer(1, len(text) + 1, generator), chr(ord("a") + integer(0, 26, generator)))
        expressions.append(Expression("".join(text), clean, arithmetic_value(clean)))
    return expressions


def _number(digits: int, generator: torch.Generator) -> str:
    """A number of 1 to `digits` digits, all lengths equally likely, without a leading zero."""
    length = integer(1, digits + 1, generator)
    rest = [integer(0, 10, generator) for _ in range(length - 1)]
    return "".join(map(str, [integer(1 if rest else 0, 10, generator), *rest]))


def arithmetic_value(text: str) -> int:
    """What an expression comes to once its letters are struck out.

    Raises InputError if what remains is not one number, + or -, and another number.
    """
    clean = re.sub(r"[a-z]", "", text) if isinstance(text, str) else ""
    match = re.fullmatch(r"([0-9]+)([+-])([0-9]+)", clean)
    if match is None:
        raise InputError.of(
            "`text`",
            got=text,
            expected="number, + or -, number, with lower-case letters in between",
            do='Pass for example "3e6+h1".',
        )
    a, sign, b = match.groups()
    return int(a) + int(b) if sign == "+" else int(a) - int(b)


_TAG = re.compile(r"<(/?)([a-z]+)>")


def xml(n: int, depth: int, *, generator: torch.Generator) -> list[str]:
    """Well-formed strings of tags, nested at most `depth` deep: tags close last in, first out.

    Tag names have one or two letters from a to e. After the XML task of Jozefowicz, Zaremba and Sutskever
    2015, section 3.3.
    """
    require_at_least(1, n=n, depth=depth)
    require_generator(generator)

    def element(levels: int) -> str:
        name = "".join(pick("abcde", generator) for _ in range(integer(1, 3, generator)))
        children = integer(0, 3, generator) if levels > 1 else 0
        return f"<{name}>{''.join(element(levels - 1) for _ in range(children))}</{name}>"

    return [element(depth) for _ in range(n)]


def is_well_formed(text: str) -> bool:
    """True if the text is tags and nothing else, and every tag is closed by its own, last in first out."""
    open_tags: list[str] = []
    end = 0
    for tag in _TAG.finditer(text):
        if tag.start() != end:
            return False
        end = tag.end()
        closing, name = tag.groups()
        if not closing:
            open_tags.append(name)
        elif not open_tags or open_tags.pop() != name:
            return False
    return bool(text) and end == len(text) and not open_tags


def _require(n: object, length: object, generator: object, **more: object) -> None:
    require_at_least(1, n=n, length=length, **more)
    require_generator(generator)

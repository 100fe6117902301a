"""A score: a float for nbgrader, a card for JupyterLab, a few lines for a terminal."""

from __future__ import annotations

from html import escape
from typing import Any

from coursekit.checks.compare import Difference
from coursekit.checks.judge import PartVerdict, Verdict

MARKS = {"passed": "✓", "failed": "✗", "raised": "✗", "not started": "○", "missing": "○", "partly": "◐"}
UNTOUCHED = ("not started", "missing")
"""Of these a headline says all: their parts have nothing to add."""
_COLOURS = {"passed": "#009E73", "failed": "#D55E00", "raised": "#D55E00", "partly": "#E69F00"}
_GREY = "#888888"
_TOLD = "margin-left:1.4em;opacity:.9;white-space:pre-wrap;overflow-wrap:anywhere"


class Score(float):
    """Points earned. `repr` is the bare number, which nbgrader reads; `str` is the message; JupyterLab shows the card."""

    verdict: Verdict

    def __new__(cls, verdict: Verdict) -> Score:
        score = super().__new__(cls, verdict.earned)
        score.verdict = verdict
        return score

    def __repr__(self) -> str:
        return float.__repr__(self)

    def __str__(self) -> str:
        return as_text(self.verdict)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": as_html(self.verdict)}


def points(value: float) -> str:
    """1 rather than 1.0, but 1.5."""
    return f"{value:g}"


def headline(verdict: Verdict) -> str:
    return f"{verdict.title}: {verdict.status}, {points(verdict.earned)} of {points(verdict.possible)} points"


def part_lines(part: PartVerdict) -> list[str]:
    """What a failing part says: what was tested, what came, what was expected."""
    lines = []
    if part.status == "raised":
        lines.append(f"your code raised {part.said}")
    elif part.difference is not None:
        lines.append(_unlike(part.difference))
    elif part.said:
        lines.append(part.said)
    elif part.status == "missing":
        lines.append("no answer was found")
    return lines


def _unlike(difference: Difference) -> str:
    """Got and expected side by side, how many entries differ after them."""
    got, _, extent = difference.got.partition(" (")
    if not extent.endswith("entries differ)"):
        return f"at {difference.where}: got {difference.got}, expected {difference.expected}"
    return f"at {difference.where}: got {got}, expected {difference.expected} ({extent}"


def details(verdict: Verdict) -> list[list[str]]:
    """`part_lines` of every part, for reading one under another: an exception is quoted once."""
    quoted: set[str] = set()
    shown = []
    for part in verdict.parts:
        again = part.status == "raised" and part.said in quoted
        quoted |= {part.said} if part.status == "raised" else set()
        shown.append(["the same exception"] if again else part_lines(part))
    return shown


def lead(verdict: Verdict) -> str:
    """How `next_step` begins where a known mistake fits: its name, worth an emphasis."""
    return f"This looks like: {verdict.diagnosis.name}." if verdict.diagnosis else ""


def next_step(verdict: Verdict) -> str:
    """The mistake it resembles and what to do about it; empty for a full score."""
    if verdict.status == "passed":
        return ""
    if verdict.status == "not started":
        return "Replace the line `raise NotImplementedError()` by your code and run both cells again."
    if verdict.status == "missing":
        return f"No answer was found. {verdict.hint}".strip()
    if verdict.diagnosis is not None:
        return f"{lead(verdict)} {verdict.diagnosis.hint}"
    return f"No known mistake fits. Hint: {verdict.hint}" if verdict.hint else ""


def as_text(verdict: Verdict) -> str:
    lines = [f"{MARKS[verdict.status]} {headline(verdict)}"]
    for part, told in zip(verdict.parts, details(verdict)) if verdict.status not in UNTOUCHED else ():
        lines.append(f"  {MARKS[part.status]} {part.tests} ({points(part.earned)}/{points(part.possible)})")
        lines += [f"      {line}" for line in told]
    if step := next_step(verdict):
        lines.append(f"  → {step}")
    return "\n".join(lines)


def as_html(verdict: Verdict) -> str:
    """The card. Every text is escaped: exceptions and values come from a student's code."""
    rows = []
    for part, told in zip(verdict.parts, details(verdict)) if verdict.status not in UNTOUCHED else ():
        lines = "".join(f'<div style="{_TOLD}">{_code(escape(line))}</div>' for line in told)
        share = f'<span style="opacity:.75">({points(part.earned)}/{points(part.possible)})</span>'
        rows.append(f'<div style="margin-top:.2em">{_mark(part.status)} {escape(part.tests)} {share}{lines}</div>')
    if step := next_step(verdict):
        first = lead(verdict)
        emphasised = f"<b>{_code(escape(first))}</b>" if first else ""
        rows.append(f'<div style="margin-top:.6em">→ {emphasised}{_code(escape(step[len(first) :]))}</div>')
    return (
        f'<div style="border-left:4px solid {_COLOURS.get(verdict.status, _GREY)};padding:.4em .8em;line-height:1.5">'
        f"<div>{_mark(verdict.status)} <b>{escape(headline(verdict))}</b></div>{''.join(rows)}</div>"
    )


def _mark(status: str) -> str:
    colour = _COLOURS.get(status, _GREY)
    return f'<span style="color:{colour};font-weight:bold">{MARKS[status]}</span>'


def _code(text: str) -> str:
    """Backticks as code, in text that is already escaped."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return text
    return "".join(f"<code>{piece}</code>" if k % 2 else piece for k, piece in enumerate(pieces))

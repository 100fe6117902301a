"""A score: a float for nbgrader, a card for JupyterLab, a few lines for a terminal."""

from __future__ import annotations

from html import escape
from typing import Any

from coursekit.checks.judge import PartVerdict, Verdict

MARKS = {"passed": "✓", "failed": "✗", "raised": "✗", "not started": "○", "missing": "○", "partly": "◐"}
_COLOURS = {"passed": "#009E73", "failed": "#D55E00", "raised": "#D55E00", "partly": "#E69F00"}


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
        lines.append(f"at {part.difference.where}: got {part.difference.got}, expected {part.difference.expected}")
    elif part.said:
        lines.append(part.said)
    elif part.status == "missing":
        lines.append("no answer was found")
    return lines


def next_step(verdict: Verdict) -> str:
    """The mistake it resembles and what to do about it; empty for a full score."""
    if verdict.status == "passed":
        return ""
    if verdict.status == "not started":
        return "Replace the line `raise NotImplementedError()` by your code and run both cells again."
    if verdict.diagnosis is not None:
        return f"This looks like: {verdict.diagnosis.name}. {verdict.diagnosis.hint}"
    return f"No known mistake fits. Hint: {verdict.hint}" if verdict.hint else ""


def as_text(verdict: Verdict) -> str:
    lines = [f"{MARKS[verdict.status]} {headline(verdict)}"]
    if verdict.status != "not started":
        for part in verdict.parts:
            lines.append(f"  {MARKS[part.status]} {part.tests} ({points(part.earned)}/{points(part.possible)})")
            lines += [f"      {line}" for line in part_lines(part)]
    if step := next_step(verdict):
        lines.append(f"  → {step}")
    return "\n".join(lines)


def as_html(verdict: Verdict) -> str:
    """The card. Every text is escaped: exceptions and values come from a student's code."""
    colour = _COLOURS.get(verdict.status, "#888888")
    rows = []
    if verdict.status != "not started":
        for part in verdict.parts:
            detail = "".join(
                f'<div style="margin-left:1.5em;opacity:.85"><code>{escape(line)}</code></div>'
                for line in part_lines(part)
            )
            rows.append(
                f"<div>{MARKS[part.status]} {escape(part.tests)} "
                f'<span style="opacity:.7">({points(part.earned)}/{points(part.possible)})</span>{detail}</div>'
            )
    step = next_step(verdict)
    if step:
        rows.append(f'<div style="margin-top:.4em">→ {_code(escape(step))}</div>')
    return (
        f'<div style="border-left:4px solid {colour};padding:.4em .8em;line-height:1.5">'
        f"<div><b>{MARKS[verdict.status]} {escape(headline(verdict))}</b></div>{''.join(rows)}</div>"
    )


def _code(text: str) -> str:
    """Backticks as code, in text that is already escaped."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return text
    return "".join(f"<code>{piece}</code>" if k % 2 else piece for k, piece in enumerate(pieces))

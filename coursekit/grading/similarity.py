"""Which submissions resemble each other more than chance: answer by answer, without what everybody was given.

Answers are compared as token sequences by rapidfuzz's indel distance (LCS; https://github.com/rapidfuzz/RapidFuzz), after three
things are taken away: lines of the released cell, comments and docstrings, and the choice of local names. What counts is not
that two answers are alike, since short right answers always are, but that they are more like each other than both are like any
answer of the catalogue:

    evidence = max(0, s - c) / (1 - c),    c = max over known answers k of min(sim(a, k), sim(b, k)),

weighed by the shorter one's tokens and divided by one more than the number of further students who wrote the same. Winnowing
(Schleimer, Wilkerson and Aiken 2003) finds pieces of one long program in another; here the pieces are known, each an answer to
one question, so that they can be compared whole.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pygments.lexers import PythonLexer
from pygments.token import Comment, Literal, Name, Text, Token
from rapidfuzz import process
from rapidfuzz.distance import Indel

ALIKE = 0.8
"""From here on two answers are looked at."""
TELLING = 0.5
"""Evidence that puts a pair on the list."""
SHORTEST = 25
"""Tokens of one's own below which an answer says nothing."""
MARKED = 4
"""Shortest run of equal tokens that is marked."""


@dataclass(frozen=True)
class Piece:
    """A token of a student's own: what it counts as, and where it stands."""

    token: str
    start: int
    end: int


@dataclass(frozen=True)
class Task:
    """What a question's answers have in common before anybody has answered."""

    name: str
    title: str
    released: str
    known: tuple[str, ...]
    """The catalogue's answers, right and mistaken."""
    prose: bool = False


@dataclass(frozen=True)
class Alike:
    """Two answers to one question."""

    name: str
    title: str
    tokens: int
    """Of the shorter answer."""
    similarity: float
    evidence: float
    others: int
    """Further students whose answers are as similar to both."""
    left: tuple[tuple[str, bool], ...]
    """The first answer in pieces, each with whether the second has it, too."""
    right: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Pair:
    """Two students, and the answers that speak against chance, strongest first."""

    left: str
    right: str
    answers: tuple[Alike, ...]
    share: float
    """Evidence as a share of all that the two can be compared in, 0 to 1."""

    @property
    def weight(self) -> float:
        """Tokens' worth of evidence: what pairs are sorted by."""
        return sum(a.evidence * a.tokens for a in self.answers)


def compare(tasks: Sequence[Task], answers: Mapping[str, Mapping[str, str]], *, most: int = 50) -> list[Pair]:
    """The pairs of students with telling answers, strongest first. `answers`: student -> question -> text."""
    students = sorted(answers)
    found: dict[tuple[int, int], list[_Found]] = {}
    comparable = np.zeros((len(students), len(students)))
    for task in tasks:
        board = _Board(task, [answers[student].get(task.name, "") for student in students])
        comparable += board.comparable
        for hit in board.hits():
            found.setdefault((hit.a, hit.b), []).append(hit)
    weights = {pair: sum(hit.evidence * hit.tokens for hit in hits) for pair, hits in found.items()}
    pairs = []
    for a, b in sorted(found, key=lambda pair: (-weights[pair], pair))[:most]:
        hits = sorted(found[a, b], key=lambda hit: -hit.evidence * hit.tokens)
        share = float(weights[a, b] / comparable[a, b])
        pairs.append(Pair(students[a], students[b], tuple(hit.shown() for hit in hits), share))
    return pairs


@dataclass(frozen=True)
class _Found:
    board: _Board
    a: int
    b: int
    similarity: float
    evidence: float
    others: int

    @property
    def tokens(self) -> int:
        return min(len(self.board.pieces[self.a]), len(self.board.pieces[self.b]))

    def shown(self) -> Alike:
        left, right = self.board.marked(self.a, self.b)
        task = self.board.task
        return Alike(task.name, task.title, self.tokens, self.similarity, self.evidence, self.others, left, right)


class _Board:
    """One question's answers, all against all."""

    def __init__(self, task: Task, texts: Sequence[str]) -> None:
        self.task, self.texts = task, texts
        cut = pieces_of_prose if task.prose else pieces_of_code
        once = {text: cut(text, task.released) for text in dict.fromkeys(texts)}
        self.pieces = [once[text] for text in texts]
        self.long = np.array([len(p) >= SHORTEST for p in self.pieces], dtype=bool)
        letters: dict[str, str] = {}
        # A token becomes a letter, for which rapidfuzz has its fastest path.
        self._words = [_spell(pieces, letters) for pieces in self.pieces]
        self._known = [_spell(cut(text, task.released), letters) for text in task.known]
        lengths = np.array([len(p) for p in self.pieces]) * self.long
        self.comparable = np.minimum.outer(lengths, lengths)

    def hits(self) -> Iterator[_Found]:
        index = np.flatnonzero(self.long)
        if len(index) < 2:
            return
        words = [self._words[k] for k in index]
        like = _cdist(words, words, ALIKE)
        known = _cdist(words, self._known, 0.0) if self._known else np.zeros((len(words), 1))
        for i in range(len(words) - 1):
            near = i + 1 + np.flatnonzero(like[i, i + 1 :] >= ALIKE)
            common = np.minimum(known[i], known[near]).max(axis=1, initial=0.0)
            beyond = np.where(like[i, near] > common, (like[i, near] - common) / np.maximum(1.0 - common, 1e-9), 0.0)
            for j, evidence in zip(near[beyond >= TELLING], beyond[beyond >= TELLING]):
                similarity = float(like[i, j])
                # Whoever is as near to both as they are to each other wrote the same; the two themselves are among them.
                others = int(np.sum(np.minimum(like[i], like[j]) >= similarity - 0.02)) - 2
                yield _Found(self, int(index[i]), int(index[j]), similarity, float(evidence) / (1 + others), others)

    def marked(self, a: int, b: int) -> tuple[tuple[tuple[str, bool], ...], tuple[tuple[str, bool], ...]]:
        """Both texts in pieces, runs of equal tokens marked."""
        runs = [op for op in Indel.opcodes(self._words[a], self._words[b]) if op.tag == "equal"]
        runs = [op for op in runs if op.src_end - op.src_start >= MARKED]
        left = [(self.pieces[a][op.src_start].start, self.pieces[a][op.src_end - 1].end) for op in runs]
        right = [(self.pieces[b][op.dest_start].start, self.pieces[b][op.dest_end - 1].end) for op in runs]
        return _segments(self.texts[a], left), _segments(self.texts[b], right)


def _spell(pieces: Sequence[Piece], letters: dict[str, str]) -> str:
    return "".join(letters.setdefault(piece.token, chr(0x4E00 + len(letters))) for piece in pieces)


def _cdist(left: Sequence[str], right: Sequence[str], cutoff: float) -> NDArray[Any]:
    table: NDArray[Any] = process.cdist(
        left, right, scorer=Indel.normalized_similarity, score_cutoff=cutoff, dtype=np.float32
    )
    return table


def _segments(text: str, ranges: Sequence[tuple[int, int]]) -> tuple[tuple[str, bool], ...]:
    segments, place = [], 0
    for start, end in sorted(ranges):
        if start < place:
            continue
        segments += [(text[place:start], False), (text[start:end], True)]
        place = end
    return tuple((piece, marked) for piece, marked in [*segments, (text[place:], False)] if piece)


_KEPT = frozenset(dir(builtins)) | frozenset(keyword.kwlist) | {"torch", "nn", "F", "math", "Tensor", "self"}


def pieces_of_code(text: str, released: str) -> list[Piece]:
    """A student's own tokens: lines of the released cell, comments, docstrings and blanks are dropped, local names made one."""
    names = _KEPT | frozenset(re.findall(r"\w+", released))
    given = {line.strip() for line in released.splitlines()}
    place, pieces, after = 0, [], ""
    starts = []
    for line in text.splitlines(keepends=True):
        if line.strip() in given:
            starts.append((place, place + len(line)))
        place += len(line)
    for offset, kind, value in PythonLexer(stripnl=False, ensurenl=False).get_tokens_unprocessed(text):
        dropped = (
            kind in Comment or kind in Literal.String.Doc or kind in Text or kind in Token.Text or not value.strip()
        )
        if not dropped and not any(start <= offset < end for start, end in starts):
            pieces.append(Piece(_token(kind, value, after, names), offset, offset + len(value)))
        after = value if value.strip() else after
    return pieces


def _token(kind: Any, value: str, after: str, names: frozenset[str]) -> str:
    if kind in Literal.String:
        return "'"
    if kind in Name and after != "." and value not in names:
        return "name"
    return value


def pieces_of_prose(text: str, released: str) -> list[Piece]:
    """Words, without those lines that the cell already had."""
    given = {line.strip() for line in released.splitlines()}
    pieces, place = [], 0
    for line in text.splitlines(keepends=True):
        if line.strip() not in given:
            pieces += [
                Piece(m.group().casefold(), place + m.start(), place + m.end()) for m in re.finditer(r"\w+", line)
            ]
        place += len(line)
    return pieces

"""What an attack is: one small value. The catalogue (`every_attack`) lists them, `arena` plays them, `watch` looks on.

A whole submission is made from it: the released notebook with answers, the attack's cells in it, then `change`, and
`files` beside it. In cells, files' names and links these marks are replaced before it is handed in::

    @TOKEN@      a word that only this attack has: whatever it writes anywhere carries it in its name
    @SECRET@     a file of the instructor's that holds a secret       @OUTSIDE@   a folder that anybody may write to
    @COURSE@     the course                                           @OTHER@     an honest student's notebook
    @KIT@        the installed coursekit                              @PARENT@    the grader's process id
    @SENTINEL@   the id of a bystanding process                       @TCP@ @UDP@ @UNIX@ @ABSTRACT@   who listens
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from nbformat import NotebookNode

Kind = Literal["exhaustion", "escape", "forgery", "vandalism", "accident"]
Answers = Literal["all", "first", "rest", "none"]
"""Which of the unit's plain exercises: all, the first, all but the first, none."""

SCORED, PARTLY, TIMED_OUT, NO_MEMORY, CRASHED, UNREADABLE = (
    "scored", "partly run", "timed out", "out of memory", "crashed", "unreadable",
)  # fmt: skip

PIPE = "a pipe"

HOW = """
def attempt(action):
    try:
        value = action()
    except BaseException as error:
        print("REFUSED", type(error).__name__, error)
    else:
        print("BREACH", "@TOKEN@", repr(value)[:300])
"""
"""For cells that know themselves whether they got through; the watch looks for the word and for what they carried out."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """A submission that tries something, what must become of it, and by what one would see that it got out."""

    name: str
    kind: Kind
    tries: str
    cells: tuple[str, ...] = ()
    where: Literal["top", "middle", "end"] = "top"
    """Where the cells stand: before everything, behind the first exercise's check, or behind everything."""
    answers: Answers = "all"
    """The exercises that it answers rightly; the others are left as handed out, or filled by `stub`."""
    stub: str = ""
    """Code for the answers that are not right."""
    earns: Answers | None = None
    """The exercises whose points it must get; default: those that it answers."""
    weights: float = 0.0
    """The points that it must get for the trained weights in its file."""
    ends: tuple[str, ...] = (SCORED, PARTLY)
    """How it may end."""
    proof: str = "report"
    """What would tell of a success: the attack's own report, a secret in its pages, files, the listener, the sentinel, a
    process left over, the score of somebody, the size of its pages, the batch, a browser."""
    change: Callable[[NotebookNode], NotebookNode | str | bytes | None] | None = None
    """Vandalism of the notebook before it is handed in: in place, or a new one, or the file's content."""
    files: Mapping[str, bytes | Callable[[], bytes]] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    """Symbolic links beside the notebook: name -> target (`PIPE` for a named pipe instead). The name "" stands for the
    notebook itself, "." for its folder."""
    student: str = ""
    """The name it is handed in under, with %s for the place in the class; default: made from the attack's name."""
    unguarded: str = ""
    """Why it is not tried without a sandbox, even under limits."""

    @property
    def earned(self) -> Answers:
        return self.answers if self.earns is None else self.earns

"""What the runs on a unit have done, so that a killed one is taken up where it was.

::

    .grading/UNIT/            readable by its owner alone
        journal.jsonl         one line for each finished submission, appended and on the disk before the gradebook has it
        BATCH.seed            the secret seed of an unfinished batch: a resumed one must judge with the same draws

A *batch* is one `coursekit grade` from its beginning to its end, however often it is killed in between. Its *terms* are
all that grades depend on besides the submissions: scope, release, checks, limits, a seed that was asked for. A run whose
terms equal those of an unfinished batch goes on with it. A line::

    {"begin": BATCH, "terms": {...}, "at": "2026-11-21 20:03:12"}
    {"done": BATCH, "work": digest of the submission, "was": {cell: score before} or null, "result": {...}}
    {"end": BATCH}

A line that is torn or no JSON is as if it had not been written: its submission is graded once more.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coursekit.course import Course, Unit
from coursekit.errors import JournalError
from coursekit.grading import keep
from coursekit.grading.assess import SubmissionResult

Scores = Mapping[str, float]
"""Automatic scores by graded cell."""


@dataclass(frozen=True)
class Entry:
    """A finished submission."""

    batch: str
    work: str
    """The digest of what was handed in."""
    was: Scores | None
    """The automatic scores that the gradebook held before, where they differ from these; None: never graded before."""
    result: SubmissionResult
    """Without notebook and answers."""


class Journal:
    """One unit's journal, open for a batch. Use under the course's lock."""

    def __init__(self, course: Course, of: Unit, terms: Mapping[str, Any], *, anew: bool = False) -> None:
        """Go on with the unfinished batch of these terms, or begin a new one (`anew`: always).

        Raises `JournalError` where the folder cannot be written.
        """
        self.unit, self._folder = of, course.private / of.name
        self._path = self._folder / "journal.jsonl"
        self.last: dict[str, Entry] = {}
        """The latest result of each student, from whichever batch."""
        self._begun: dict[str, dict[str, Any]] = {}
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._load()
            given = terms.get("seed")
            self.batch = "" if anew else next((b for b, line in self._begun.items() if line["terms"] == terms), "")
            seed = self._kept_seed() if self.batch else None
            self.resumed = seed is not None
            """Whether this goes on with a batch that was begun earlier."""
            if seed is None:
                self.batch, seed = secrets.token_hex(6), secrets.randbits(62) if given is None else int(given)
                self._keep_seed(seed)
                self._tidy(terms)
            self.seed: int = seed
            self.begun: str = self._begun[self.batch]["at"]
            """When the batch was begun, in words."""
            self._file = self._open()
        except OSError as error:
            raise self.trouble(error) from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def done(self, student: str, work: str) -> Entry | None:
        """The entry of a submission that this batch has finished, if what was handed in is still the same."""
        entry = self.last.get(student)
        return entry if entry and (entry.batch, entry.work) == (self.batch, work) else None

    def append(self, work: str, was: Scores | None, result: SubmissionResult) -> None:
        """Write down a finished submission; on return it is on the disk. Raises `JournalError`."""
        line = {"done": self.batch, "work": work, "was": was, "result": keep.as_plain(result)}
        self._write(line)
        self.last[result.student] = Entry(self.batch, work, was, result)

    def finish(self) -> None:
        """The batch is complete: the next run begins a new one, with other draws."""
        self._write({"end": self.batch})
        self._seed_path(self.batch).unlink(missing_ok=True)

    def _write(self, line: Mapping[str, Any]) -> None:
        data = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        end = os.lseek(self._file, 0, os.SEEK_END)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
            os.fsync(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):  # half a line would swallow the next one
                os.ftruncate(self._file, end)
            raise self.trouble(error) from error

    def _load(self) -> None:
        for line in self._lines():
            try:
                if "begin" in line:
                    self._begun[line["begin"]] = {"terms": line["terms"], "at": str(line["at"])}
                elif "end" in line:
                    self._begun.pop(line["end"], None)
                else:
                    result = keep.from_plain(line["result"], self.unit)
                    self.last[result.student] = Entry(line["done"], line["work"], line["was"], result)
            except (KeyError, TypeError, ValueError, AttributeError):  # of another version of the kit
                continue

    def _lines(self) -> Iterator[dict[str, Any]]:
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            for text in file:
                with contextlib.suppress(ValueError):
                    line = json.loads(text)
                    if text.endswith(b"\n") and isinstance(line, dict):
                        yield line

    def _tidy(self, terms: Mapping[str, Any]) -> None:
        """Write the journal anew with what still matters, and begin the batch in it.

        That is the latest result of each student, and unfinished batches of another scope; those of the same scope are
        superseded by this one.
        """
        others = {b: line for b, line in self._begun.items() if line["terms"]["scope"] != terms["scope"]}
        self._begun = {**others, self.batch: {"terms": dict(terms), "at": time.strftime("%Y-%m-%d %H:%M:%S")}}
        draft = self._path.with_suffix(".part")
        with draft.open("w", encoding="utf-8", errors="replace") as file:
            for batch, begun in self._begun.items():
                file.write(json.dumps({"begin": batch, **begun}) + "\n")
            for entry in self.last.values():
                plain = {"work": entry.work, "was": entry.was, "result": keep.as_plain(entry.result)}
                file.write(json.dumps({"done": entry.batch, **plain}, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        for path in self._folder.glob("*.seed"):
            if path.stem not in self._begun:
                path.unlink(missing_ok=True)

    def _open(self) -> int:
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":  # a torn last line must not join the next one
            os.write(descriptor, b"\n")
        return descriptor

    def _seed_path(self, batch: str) -> Path:
        return self._folder / f"{batch}.seed"

    def _kept_seed(self) -> int | None:
        try:
            return int(self._seed_path(self.batch).read_text())
        except (OSError, ValueError):  # without its draws a batch cannot go on
            return None

    def _keep_seed(self, seed: int) -> None:
        descriptor = os.open(self._seed_path(self.batch), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(str(seed))
            file.flush()
            os.fsync(file.fileno())

    def trouble(self, error: OSError) -> JournalError:
        """What a disk that takes nothing more means for the batch."""
        place = error.filename if isinstance(error.filename, str) else self._path
        return JournalError(
            f"{place}: cannot be written ({error.strerror}), expected room on a disk that can be written. Free some and "
            "run the same command again: it goes on where it stopped."
        )

"""The `coursekit` command: parse, call one function, print, exit code.

Exit codes: 0 all well; 1 something was found wrong (a fault in an audit, a submission that could not be recorded);
2 the command could not do its work, with one line that says why.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coursekit.course import UNITS, Course, Unit, unit
from coursekit.errors import CoursekitError


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except (CoursekitError, OSError) as error:
        print(f"coursekit {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"coursekit {args.command}: interrupted. What was recorded stays.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="coursekit", description="Build, check and grade the course.")
    parser.add_argument("--course", type=Path, default=None, help="the course's folder (default: found from here)")
    commands = parser.add_subparsers(dest="command", required=True)

    doctor = commands.add_parser("doctor", help="versions, device, threads, sandbox, and what is missing")
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(run=_doctor)

    build = commands.add_parser("build", help="solution notebooks from the exercises, lectures from their text")
    build.add_argument("units", nargs="*", help="such as 01 (default: all)")
    build.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is stale")
    build.add_argument("--lectures", action="store_true", help="execute the lectures, too (minutes)")
    build.set_defaults(run=_build)

    release = commands.add_parser("release", help="derive assignments with nbgrader and build the student bundle")
    release.add_argument("units", nargs="*", help="such as 01 (default: all)")
    release.add_argument("--bundle", type=Path, default=None, help="where the zip goes (default: bundles/)")
    release.set_defaults(run=_release)

    collect = commands.add_parser("collect", help="sort a download into submitted/, whatever platform it comes from")
    collect.add_argument(
        "source", type=Path, help="folder, zip, download of Moodle, Canvas or Gradescope, or nbgrader's exchange"
    )
    collect.add_argument("--assignment", default=None, help="such as 01 (default: the only one released)")
    collect.add_argument("--into", type=Path, default=None, help="where to (default: submitted/)")
    _layout_options(collect)
    collect.set_defaults(run=_collect)

    grade = commands.add_parser("grade", help="grade a class into nbgrader's gradebook")
    grade.add_argument(
        "submitted", nargs="?", type=Path, default=None, help="folder, notebook or download (default: submitted/)"
    )
    _layout_options(grade)
    _grading_options(grade)
    _regrading_options(grade)
    grade.set_defaults(run=_grade)

    export = commands.add_parser("export", help="scores as CSV, manual grades and late penalties in them")
    export.add_argument("--assignment", default=None, help="such as 01 (default: the only one released)")
    export.add_argument("--format", choices=("csv", "canvas", "moodle"), default="csv")
    export.add_argument("--column", default="", help='the column in Canvas, such as "Recurrent networks (4711)"')
    export.add_argument("--roster", type=Path, default=None, help="CSV with names and numbers that the platform knows")
    export.add_argument("--to", type=Path, default=None, help="file to write (default: standard output)")
    export.set_defaults(run=_export)

    similar = commands.add_parser("similar", help="which answers resemble each other more than chance; runs nothing")
    similar.add_argument("submitted", nargs="?", type=Path, default=None, help="folder (default: submitted/)")
    similar.add_argument("--assignment", default=None, help="such as 01 (default: the only one released)")
    similar.add_argument("--pairs", type=int, default=50, help="at most so many pairs")
    similar.add_argument("--json", action="store_true")
    similar.set_defaults(run=_similar)

    audit = commands.add_parser("audit", help="prove the exercises, or judge one notebook")
    audit.add_argument("--submission", type=Path, default=None, help="judge this notebook instead; nothing is recorded")
    audit.add_argument("--only", default="", help="exercises whose id contains this")
    audit.add_argument("--seeds", type=int, default=20)
    audit.add_argument("--json", action="store_true")
    _grading_options(audit)
    audit.set_defaults(run=_audit)

    coverage = commands.add_parser("coverage", help="which rows of the syllabus the lectures show")
    coverage.add_argument("--json", action="store_true")
    coverage.set_defaults(run=_coverage)

    worlds = commands.add_parser(
        "worlds", help="contact sheets, rendering speed, what the oracles read, what data/ weighs"
    )
    worlds.add_argument("names", nargs="*", help="such as birds (default: all)")
    worlds.add_argument("--json", action="store_true")
    worlds.add_argument(
        "--out", type=Path, default=Path("contact_sheets"), help="folder of the sheets (default: contact_sheets/)"
    )
    worlds.add_argument("--seed", type=int, default=0)
    worlds.add_argument(
        "--write-cards", action="store_true", help="write data/cards/NAME.md for every world, and nothing else"
    )
    worlds.set_defaults(run=_worlds)
    return parser


def _layout_options(parser: argparse.ArgumentParser) -> None:
    layouts = ("auto", "folder", "zip", "moodle", "canvas", "gradescope", "exchange")
    parser.add_argument("--layout", choices=layouts, default="auto", help="of the source (default: recognised)")
    parser.add_argument(
        "--roster",
        type=Path,
        default=None,
        help="CSV: id, first_name, last_name, email; or Canvas's or Moodle's own export",
    )


def _grading_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--assignment", default=None, help="such as 01 (default: the only one released)")
    parser.add_argument("--jobs", type=int, default=2, help="submissions at a time")
    parser.add_argument("--seed", type=int, default=None, help="of the hidden draws (default: secret)")
    parser.add_argument("--time-limit", type=float, default=120.0, help="seconds for one submission")
    parser.add_argument("--cell-limit", type=float, default=20.0, help="seconds for one cell")
    parser.add_argument("--memory-limit", type=float, default=2.0, help="GB for one submission")
    parser.add_argument("--trust-submissions", action="store_true", help="run without a sandbox where there is none")


def _regrading_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--student", action="append", default=[], metavar="NAME", help="this student only (repeatable)")
    parser.add_argument(
        "--exercise", action="append", default=[], metavar="ID", help="change this exercise's score only (repeatable)"
    )
    parser.add_argument("--anew", action="store_true", help="begin anew, whatever a killed run has done")
    parser.add_argument("--names", action="store_true", help="the class report says whose lines its examples are")
    parser.add_argument("--lines", action="store_true", help="a line for each finished submission, no progress bar")
    parser.add_argument("--scheduler", default=None, metavar="ADDRESS", help="run the submissions on this Dask cluster")


def _doctor(args: argparse.Namespace) -> int:
    from coursekit.doctor import as_text, examine

    report = examine()
    print(json.dumps(report, indent=1) if args.json else as_text(report))
    return 0 if report["ready"] else 1


def _build(args: argparse.Namespace) -> int:
    from coursekit.grading.build import build

    stale = build(Course.find(args.course), _units(args.units), check=args.check, lectures=args.lectures)
    for path in stale:
        print(f"{'stale' if args.check else 'wrote'} {path}")
    return 1 if args.check and stale else 0


def _release(args: argparse.Namespace) -> int:
    from coursekit.grading.release import release

    course = Course.find(args.course)
    release(course, _units(args.units), bundle=args.bundle, on_written=lambda path: print(f"wrote {path}", flush=True))
    return 0


def _collect(args: argparse.Namespace) -> int:
    from coursekit.grading.collect import find_unit
    from coursekit.grading.gather import as_text
    from coursekit.grading.intake import take_in

    course = Course.find(args.course)
    of = find_unit(course, args.assignment)
    done = take_in(course, of, args.source, layout=args.layout, roster=args.roster, into=args.into)
    print(as_text(done))
    return 1 if done.refused or done.unmatched else 0


def _export(args: argparse.Namespace) -> int:
    from coursekit.files import replace
    from coursekit.grading.collect import find_unit
    from coursekit.grading.export import export, with_roster
    from coursekit.grading.host import Ledger
    from coursekit.grading.roster import read_roster

    course = Course.find(args.course)
    of = find_unit(course, args.assignment)
    with contextlib.closing(Ledger(course, of)) as ledger:
        standings, maximum = ledger.standings(), ledger.maximum()
    if args.roster is not None:
        standings = with_roster(standings, read_roster(args.roster))
    text = export(standings, maximum, of, form=args.format, column=args.column)
    if args.to is None:
        sys.stdout.write(text.replace("\r\n", "\n"))
        return 0
    replace(args.to, text)
    waiting = sum(s.waiting for s in standings)
    print(
        f"wrote {args.to}: {len(standings)} students{f', {waiting} with answers to grade by hand' if waiting else ''}"
    )
    return 0


def _similar(args: argparse.Namespace) -> int:
    from coursekit.grading.collect import collect, find_unit
    from coursekit.grading.similar import as_json, as_text, write_similarity

    course = Course.find(args.course)
    of = find_unit(course, args.assignment)
    report = write_similarity(course, of, collect(args.submitted or course.submitted, of), most=args.pairs)
    print(json.dumps(as_json(report)) if args.json else as_text(report))
    return 0


def _grade(args: argparse.Namespace) -> int:
    course = Course.find(args.course)  # before the imports, which take a second

    from coursekit.grading import regrade
    from coursekit.grading.batch import grade
    from coursekit.grading.clean import one_line
    from coursekit.grading.collect import find_unit
    from coursekit.grading.gather import as_text
    from coursekit.grading.intake import submissions as handed_in
    from coursekit.grading.report import report_path, table

    of = find_unit(course, args.assignment)
    exercises = regrade.choose_exercises(of, args.exercise)
    handed, gathered = handed_in(course, of, args.submitted, layout=args.layout, roster=args.roster)
    submissions = regrade.choose_students(handed, args.student)
    if gathered is not None:
        print(as_text(gathered))
    print(f"grading {len(submissions)} submissions of {of.name}", flush=True)
    with _Watch(len(submissions), lines=args.lines or not sys.stdout.isatty()) as watch:
        batch = grade(
            submissions,
            of,
            course,
            **_options(args),
            exercises=exercises,
            part=bool(args.student),
            anew=args.anew,
            workers=_cluster(args, course, of),
            names=args.names,
            on_start=watch.start,
            on_result=watch.finished,
        )
    print(table(batch.results))
    if batch.regraded:
        print(regrade.as_text(batch.changes))
        print(f"changes: {regrade.path(course, of)}")
    for failure in batch.failures:
        print(f"not written: {one_line(failure)}", file=sys.stderr)
    print(f"class report: {report_path(course, of)}")
    return 1 if batch.failures else 0


class _Watch:
    """What the terminal shows while a class is graded: a line for each submission, or a bar."""

    def __init__(self, total: int, *, lines: bool) -> None:
        self.total, self.lines = total, lines
        self.bar: Any = None
        self.done = 0

    def start(self, done: int, since: str) -> None:
        self.done = done
        if done:
            print(f"going on with the run of {since}: {done} of {self.total} were done", flush=True)
        if not self.lines:
            from coursekit.training.progress import Bar

            self.bar = Bar("grading", self.total, done=done, rate=True)

    def finished(self, result: Any) -> None:
        from coursekit.grading.report import line

        self.done += 1
        if self.bar is not None:
            self.bar.update(self.done)
        if self.lines:
            print(line(result), flush=True)

    def __enter__(self) -> _Watch:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close(self.done)


def _cluster(args: argparse.Namespace, course: Course, of: Unit) -> Any:
    """The workers behind a scheduler, or None for those of this machine."""
    if args.scheduler is None:
        return None
    from coursekit.grading.remote import Cluster

    options = _options(args)
    return Cluster(args.scheduler, of, limits=options["limits"], hidden=[course.root], trust=options["trust"])


def _audit(args: argparse.Namespace) -> int:
    if args.submission is not None:
        return _audit_submission(args)
    from coursekit.exercises.audit import all_keys, as_json, as_table, audit_exercise
    from coursekit.training.progress import track

    keys = [key for key in all_keys() if args.only in key.question.id]
    seeds = range(100, 100 + args.seeds)
    quiet = args.json or not sys.stdout.isatty()
    rows = [audit_exercise(key, seeds=seeds) for key in (keys if quiet else track(keys, "auditing"))]
    print(json.dumps(as_json(rows)) if args.json else as_table(rows))
    return 1 if any(row.faults for row in rows) else 0


def _audit_submission(args: argparse.Namespace) -> int:
    from coursekit.checks.score import as_text
    from coursekit.grading.batch import assess
    from coursekit.grading.collect import collect, find_unit

    course = Course.find(args.course)
    of = find_unit(course, args.assignment)
    [result] = assess(collect(args.submission, of)[:1], of, course, **_options(args))
    if args.json:
        print(json.dumps(_as_json(result)))
        return 0
    print(
        f"{result.status}: {result.earned:g} of {result.possible:g} points{f' ({result.detail})' if result.detail else ''}"
    )
    print("\n".join(f"note: {note}" for note in result.notes))
    for verdict in result.verdicts.values():
        print(as_text(verdict))
    return 0


def _as_json(result: Any) -> dict[str, Any]:
    return {
        "status": result.status,
        "detail": result.detail,
        "earned": result.earned,
        "possible": result.possible,
        "notes": list(result.notes),
        "exercises": {
            name: {
                "status": verdict.status,
                "earned": verdict.earned,
                "possible": verdict.possible,
                "diagnosis": verdict.diagnosis.name if verdict.diagnosis else None,
            }
            for name, verdict in result.verdicts.items()
        },
    }


def _coverage(args: argparse.Namespace) -> int:
    from coursekit.coverage import as_text, count

    report = count(Course.find(args.course))
    print(json.dumps(report) if args.json else as_text(report))
    return 0


def _worlds(args: argparse.Namespace) -> int:
    from coursekit.datasets.worlds import WORLDS, world
    from coursekit.worlds_report import as_json, as_text, data_megabytes, examine, faults, line

    if args.write_cards:
        from coursekit.datasets.cards import write_cards
        from coursekit.shipped import folder

        for path in write_cards(folder() / "cards"):
            print(f"wrote {path}")
        return 0
    names = [world(name).name for name in args.names] or list(WORLDS)
    rows = []
    for name in names:
        rows.append(examine(name, out=args.out, seed=args.seed))
        if not args.json:
            print(line(rows[-1]), flush=True)
    size = data_megabytes()
    print(json.dumps(as_json(rows, size)) if args.json else f"{as_text(rows, size)}\ncontact sheets: {args.out}")
    return 1 if faults(rows, size) else 0


def _options(args: argparse.Namespace) -> dict[str, Any]:
    from coursekit.grading.results import Limits

    memory = int(args.memory_limit * 2**30)
    limits = Limits(cell_seconds=args.cell_limit, wall_seconds=args.time_limit, memory_bytes=memory)
    return {"seed": args.seed, "jobs": args.jobs, "limits": limits, "trust": args.trust_submissions}


def _units(names: Sequence[str]) -> list[Unit]:
    if names:
        return [unit(name) for name in names]
    from coursekit.exercises import catalogue

    return [u for u in UNITS if u in catalogue.units()]


if __name__ == "__main__":
    sys.exit(main())

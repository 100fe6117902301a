"""The `coursekit` command: parse, call one function, print, exit code.

Exit codes: 0 all well; 1 something was found wrong (a fault in an audit, a submission that could not be recorded);
2 the command could not do its work, with one line that says why.
"""

from __future__ import annotations

import argparse
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

    grade = commands.add_parser("grade", help="grade a class into nbgrader's gradebook")
    grade.add_argument("submitted", nargs="?", type=Path, default=None, help="folder or notebook (default: submitted/)")
    _grading_options(grade)
    grade.set_defaults(run=_grade)

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


def _grading_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--assignment", default=None, help="such as 01 (default: the only one released)")
    parser.add_argument("--jobs", type=int, default=2, help="submissions at a time")
    parser.add_argument("--seed", type=int, default=None, help="of the hidden draws (default: secret)")
    parser.add_argument("--time-limit", type=float, default=120.0, help="seconds for one submission")
    parser.add_argument("--memory-limit", type=float, default=2.0, help="GB for one submission")
    parser.add_argument("--trust-submissions", action="store_true", help="run without a sandbox where there is none")


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

    for path in release(Course.find(args.course), _units(args.units), bundle=args.bundle):
        print(f"wrote {path}")
    return 0


def _grade(args: argparse.Namespace) -> int:
    course = Course.find(args.course)  # before the imports, which take a second

    from coursekit.grading.batch import grade
    from coursekit.grading.collect import collect, find_unit
    from coursekit.grading.report import line, report_path, table

    of = find_unit(course, args.assignment)
    submissions = collect(args.submitted or course.submitted, of)
    print(f"grading {len(submissions)} submissions of {of.name}")
    batch = grade(submissions, of, course, **_options(args), on_result=lambda result: print(line(result), flush=True))
    print(table(batch.results))
    for failure in batch.failures:
        print(f"not written: {failure}", file=sys.stderr)
    print(f"class report: {report_path(course, of)}")
    return 1 if batch.failures else 0


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

    limits = Limits(wall_seconds=args.time_limit, memory_bytes=int(args.memory_limit * 2**30))
    return {"seed": args.seed, "jobs": args.jobs, "limits": limits, "trust": args.trust_submissions}


def _units(names: Sequence[str]) -> list[Unit]:
    if names:
        return [unit(name) for name in names]
    from coursekit.exercises import catalogue

    return [u for u in UNITS if u in catalogue.units()]


if __name__ == "__main__":
    sys.exit(main())

"""Hostile submissions against `coursekit grade`, and against plain `nbgrader autograde`.

The catalogue of ``tests/attacks`` is graded in one batch with honest students in it, as an ordinary user and, where this
runs as root, as root too::

    python benchmarks/attacks.py --json
    python benchmarks/attacks.py --only memory
    python benchmarks/attacks.py --nbgrader

- ``contained``: attacks of which nothing got out: no file written, read or changed outside, no secret on a page, nobody
  reached who listens, no process signalled or left over, the batch ended well, the neighbours and (where no harm was
  meant) the author got their exact points. An attack counts where it was contained in every run.
- ``points_forged``: points given beyond what the same answers earn honestly.
- ``points_lost``: points that answers earn and that were not given.

With ``--nbgrader`` each submission is also graded by nbgrader's own engine, alone with one honest neighbour after it,
each time in a fresh copy of the course, in namespaces of its own (no network, nothing writable but a throwaway
folder), under limits and a time limit. That needs Linux, root and util-linux's `unshare` and `setpriv`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pwd
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "attacks"), str(ROOT / "tests" / "grading")]

# Found on the path that is set above.
import arena  # noqa: E402
import browser  # noqa: E402
import room  # noqa: E402
from attack import Attack  # noqa: E402
from every_attack import ATTACKS  # noqa: E402

CELL_SECONDS, WALL_SECONDS = 6.0, 40.0
ALONE_SECONDS = 150.0
"""For nbgrader's grading of an attack and its neighbour."""
_GB = 1 << 30


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--only", default="", metavar="NAME", help="attacks whose name or class contains this")
    parser.add_argument("--user", default="nobody", metavar="NAME", help="the ordinary user, where this runs as root")
    parser.add_argument("--root", action="store_true", help="as root only")
    parser.add_argument("--nbgrader", action="store_true", help="against nbgrader's own engine, too")
    parser.add_argument("--play", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--alone", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--template", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    attacks = [a for a in ATTACKS.values() if args.only in a.name or args.only == a.kind]
    if args.play:
        return play(attacks, args.template, Path(args.play))
    if args.alone:
        return alone(ATTACKS[args.only], args.template, Path(args.alone))
    if not attacks:
        parser.error(f"no attack's name contains {args.only!r}.")
    if not hasattr(os, "fork") or (args.root and os.geteuid() != 0):
        parser.error("--root: run this as root.")
    with tempfile.TemporaryDirectory(prefix="attacks-") as scratch:
        os.chmod(scratch, 0o755)
        report = measure(attacks, Path(scratch), args)
    print(json.dumps(report) if args.json else as_text(report))
    return 0 if report["contained"] == report["attacks"] and not report["points_forged"] else 1


def measure(attacks: list[Attack], scratch: Path, args: argparse.Namespace) -> dict[str, Any]:
    with arena.attacked_unit():
        template = arena.make_template(scratch / "template", ROOT / "nbgrader_config.py")
    template.chmod(0o755)
    command = [sys.executable, __file__, "--template", str(template), "--only", args.only]
    runs: dict[str, list[dict[str, Any]]] = {}
    if os.geteuid() != 0:
        runs["user"] = _played(command, scratch / "user", [])
    else:
        runs["root"] = _played(command, scratch / "root", [])
        if not args.root:
            runs["user"] = _played(command, scratch / "user", _as_user(args.user, scratch / "user", ()))
    if args.nbgrader:
        if os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("setpriv")):
            print("nbgrader: not tried, it needs root, `unshare` and `setpriv` to be shut in", file=sys.stderr)
        else:
            runs["nbgrader"] = [
                _alone(attack, template, scratch / f"alone-{k}", args.user) for k, attack in enumerate(attacks)
            ]
    return summary(attacks, runs)


def _played(command: Sequence[str], place: Path, wrapper: Sequence[str]) -> list[dict[str, Any]]:
    """The whole catalogue in one batch, in a process of its own."""
    place.mkdir(exist_ok=True)
    subprocess.run([*wrapper, *command, "--play", str(place)], check=True, cwd="/")
    rows: list[dict[str, Any]] = json.loads((place / "rows.json").read_text())
    return rows


def play(attacks: list[Attack], template: Path, place: Path) -> int:
    command = arena.coursekit_grade(jobs=2, cell=CELL_SECONDS, wall=WALL_SECONDS)
    with arena.attacked_unit():
        rows = arena.play(template, place, attacks, command, {})
    for row in rows:
        row.breaches += _shown(place / "course", row)
    (place / "rows.json").write_text(json.dumps([row.as_json() for row in rows]))
    return 0


def alone(attack: Attack, template: Path, place: Path) -> int:
    """nbgrader's grading of one attack and an honest neighbour; the row on standard output."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # one attack signals everybody
    grade = [
        sys.executable,
        "-m",
        "nbgrader",
        "autograde",
        room.UNIT.name,
        "--Execute.timeout=15",
        "--Execute.iopub_timeout=20",
    ]
    then = {"browser": ["generate_feedback", room.UNIT.name, "--force"], "spreadsheet": ["export"]}.get(attack.proof)
    if then is not None:
        after = shlex.join([sys.executable, "-m", "nbgrader", *then])
        grade = ["sh", "-c", f"{shlex.join(grade)}; ended=$?; {after}; exit $ended"]
    for name, limit in ((resource.RLIMIT_AS, 12 * _GB), (resource.RLIMIT_FSIZE, 2 * _GB), (resource.RLIMIT_NPROC, 900)):
        resource.setrlimit(name, (limit, limit))
    arena.BATCH_SECONDS = ALONE_SECONDS
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with arena.attacked_unit():
        rows = arena.play(
            template, place / "play", [attack], grade, {"COURSEKIT_ENGINE": "stock", "PATH": path, "TMPDIR": str(place)}
        )
    row, shared = rows
    row.breaches += shared.breaches
    pages = (
        [p.read_text("utf-8", "replace") for p in (place / "play/course/feedback").glob("*/*/*.html")]
        if attack.proof == "browser"
        else []
    )
    print(json.dumps({**row.as_json(), "pages": pages}))
    return 0


def _alone(attack: Attack, template: Path, place: Path, user: str) -> dict[str, Any]:
    nothing = {
        "name": attack.name,
        "kind": attack.kind,
        "expected": 0.0,
        "given": 0.0,
        "forged": 0.0,
        "lost": 0.0,
        "breaches": [],
    }
    if attack.unguarded:
        return {**nothing, "contained": None, "ending": f"not tried: {attack.unguarded}"}
    place.mkdir()
    shut = (
        f"mount -t tmpfs -o size=3g,mode=0755 none {place}; chown {user} {place}; mount -o remount,bind,ro /; "
        "for d in /dev/shm /var/tmp; do mount -t tmpfs -o size=64m,mode=1777 none $d; done; ip link set lo up || true"
    )
    wrapper = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--ipc", "--uts"]
    command = [sys.executable, __file__, "--alone", str(place), "--template", str(template), "--only", attack.name]
    whole = [*wrapper, *_as_user(user, place, [shut]), *command]
    try:
        done = subprocess.run(
            whole, capture_output=True, text=True, errors="replace", timeout=ALONE_SECONDS + 60, cwd="/"
        )
        row: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (subprocess.TimeoutExpired, ValueError, IndexError) as error:
        ended = isinstance(error, subprocess.TimeoutExpired)
        if not ended and "Traceback" in done.stderr:  # ours, not nbgrader's: that one's words are kept elsewhere
            raise RuntimeError(f"{attack.name}: the benchmark itself failed: {done.stderr[-2000:]}") from error
        why = "took too long" if ended else "took its watcher with it"
        return {**nothing, "contained": False, "breaches": [why], "ending": why}
    for page in row.pop("pages"):
        if browser.CHROMIUM and (acted := browser.acts(page)):
            row["breaches"].append(f"its feedback page {acted}")
            row["contained"] = False
    print(
        f"nbgrader: {attack.name}: {'contained' if row['contained'] else row['breaches'] or 'wrong score'}",
        file=sys.stderr,
    )
    return row


def _shown(course: Path, row: arena.Row) -> Iterator[str]:
    """What the pages of an attack on browsers do in one."""
    if browser.CHROMIUM is None or row.name not in ATTACKS or ATTACKS[row.name].proof != "browser":
        return
    for page in course.glob("feedback/*/*/*.html"):
        if row.student == page.parts[-3] and (acted := browser.acts(page.read_text("utf-8"))):
            yield f"its feedback page {acted}"
    for notebook in course.glob("autograded/*/*/*.ipynb"):
        student = notebook.parts[-3]
        if student == row.student and (acted := browser.acts(browser.formgraded(notebook, student))):
            yield f"its page in formgrader {acted}"
    report = course / "reports" / room.UNIT.name / "index.html"
    if acted := browser.acts(report.read_text("utf-8")):
        yield f"the class report {acted}"


def _as_user(user: str, place: Path, more: Iterable[str]) -> list[str]:
    """A command prefix: what follows runs as `user`, who owns `place` and, in a view of the file system of its own, can
    reach Python and the course even where they lie in somebody's closed home folder."""
    account = pwd.getpwnam(user)
    place.mkdir(exist_ok=True)
    lines, closed = ["set -e"], {}
    for needed in dict.fromkeys((sys.base_prefix, sys.prefix, str(ROOT))):
        for folder in reversed(Path(needed).parents):
            if not folder.stat().st_mode & 0o001:
                closed.setdefault(folder, []).append(needed)
                break
    staging = 0
    for folder, needs in closed.items():
        for needed in needs:
            lines += [f"mkdir -p {place}/.staging-{staging}", f"mount --bind {needed} {place}/.staging-{staging}"]
            staging += 1
        lines.append(f"mount -t tmpfs -o mode=755 none {folder}")
        for k, needed in enumerate(needs, staging - len(needs)):
            lines += [
                f"mkdir -p {needed}",
                f"mount --move {place}/.staging-{k} {needed}",
                f"rmdir {place}/.staging-{k}",
            ]
    lines += [f"chown {user} {place}", *more]
    drop = f"setpriv --reuid={account.pw_uid} --regid={account.pw_gid} --clear-groups"
    who = f"{drop} env HOME={place} XDG_CACHE_HOME={place}/.cache TMPDIR={place}"
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", "; ".join([*lines, f'exec {who} "$@"']), "sh"]


def summary(attacks: list[Attack], runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    by_name = {run: {row["name"]: row for row in rows} for run, rows in runs.items()}
    ours = [run for run in runs if run != "nbgrader"]
    rows = []
    for attack in attacks:
        found = {run: by_name[run][attack.name] for run in runs}
        rows.append({"name": attack.name, "class": attack.kind, "tries": attack.tries, **found})
    shared = [f"{run}: {what}" for run in ours for what in by_name[run]["the class"]["breaches"]]
    classes = {
        kind: {
            "attacks": len(of := [row for row in rows if row["class"] == kind]),
            **{run: {
                "contained": sum(bool(row[run]["contained"]) for row in of),
                "tried": sum(row[run]["contained"] is not None for row in of),
                "points_forged": sum(row[run]["forged"] for row in of),
                "points_lost": sum(row[run]["lost"] for row in of),
            } for run in runs},
        }
        for kind in dict.fromkeys(attack.kind for attack in attacks)
    }  # fmt: skip
    return {
        "attacks": len(rows),
        "contained": 0 if shared else sum(all(row[run]["contained"] for run in ours) for row in rows),
        "points_forged": sum(row[run]["forged"] for row in rows for run in ours),
        "points_lost": sum(row[run]["lost"] for row in rows for run in ours),
        "nobody_in_particular": shared,
        "classes": classes,
        "rows": rows,
    }


def as_text(report: dict[str, Any]) -> str:
    runs = [run for run in ("user", "root", "nbgrader") if any(run in row for row in report["rows"])]
    lines = []
    for row in report["rows"]:
        cells = []
        for run in runs:
            r = row[run]
            word = "not tried" if r["contained"] is None else "contained" if r["contained"] else "NOT CONTAINED"
            cells.append(f"{run}: {word} {r['given']:g}/{r['expected']:g} {r['ending']}")
            cells += [f"    {what[:150]}" for what in r["breaches"][:3]]
        lines.append(f"{row['class']:10s} {row['name']}\n    " + "\n    ".join(cells))
    lines += [f"of nobody in particular: {what}" for what in report["nobody_in_particular"]]
    for kind, counts in report["classes"].items():
        parts = [
            f"{run} {c['contained']}/{c['tried']} contained, {c['points_forged']:g} forged, {c['points_lost']:g} lost"
            for run in runs
            for c in [counts[run]]
        ]
        lines.append(f"{kind:10s} {counts['attacks']:3d} attacks  {' | '.join(parts)}")
    lines.append(
        f"{report['attacks']} attacks, {report['contained']} contained, {report['points_forged']:g} points forged, "
        f"{report['points_lost']:g} lost"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())

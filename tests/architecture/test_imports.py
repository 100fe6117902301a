"""Imports run one way, leaves first. Read from the source, so that an import within a function counts, too."""

from __future__ import annotations

import ast
import functools
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "coursekit"

FOUNDATION = {"errors", "course", "files", "runtime", "shipped"}
MAY_IMPORT = {
    "__init__": set(),
    "errors": set(),
    "course": {"errors"},
    "runtime": {"errors", "course"},
    "files": set(),
    "shipped": {"errors", "files"},
    "torchvision_door": set(),
    "datasets": FOUNDATION,
    "oracles": FOUNDATION
    | {"datasets"},  # readers of pictures: networks themselves, so models and training may build on them
    "models": FOUNDATION | {"datasets", "oracles"},
    "losses": FOUNDATION | {"datasets"},
    "metrics": FOUNDATION | {"datasets"},
    "training": FOUNDATION | {"datasets", "oracles", "models", "losses", "metrics"},
    "plots": FOUNDATION | {"datasets", "models", "losses", "metrics", "training"},
    "live": FOUNDATION | {"training", "plots"},
    "widgets": FOUNDATION | {"datasets", "models", "losses", "metrics", "training", "plots"},
    "checks": {"errors", "runtime"},
    "exercises": FOUNDATION | {"checks", "datasets", "metrics"},
    "grading": FOUNDATION | {"checks", "datasets", "metrics", "exercises"},
    "coverage": FOUNDATION | {"grading", "exercises"},
    "doctor": FOUNDATION | {"grading", "exercises"},
    "demo": FOUNDATION | {"grading", "exercises", "checks", "training.progress"},
    "contact_sheets": FOUNDATION | {"datasets", "oracles"},
    "worlds_report": FOUNDATION | {"datasets", "models", "oracles", "contact_sheets"},
    "cli": FOUNDATION
    | {"datasets", "grading", "exercises", "checks", "coverage", "doctor", "training.progress", "worlds_report"},
}
"""Layer -> what it may import of the kit, besides itself. A progress bar is all that the commands take of `training`."""


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


@functools.cache
def tree(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def imported(name: str, *, at_import: bool = False) -> Iterator[str]:
    """Absolute names of what a module imports; `at_import`: only what runs when it is imported."""
    for node in _nodes(tree(name), at_import):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in MODULES else str(node.module)


def _nodes(parent: ast.AST, at_import: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(parent):
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if at_import and (function or _for_types_only(node)):
            continue
        yield node
        yield from _nodes(node, at_import)


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def layer(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def kit(names: Iterator[str]) -> list[str]:
    return [name for name in names if name.partition(".")[0] == "coursekit"]


def test_every_layer_has_its_place() -> None:
    assert {layer(name) for name in MODULES} <= MAY_IMPORT.keys()
    graphlib.TopologicalSorter(
        {name: {n.partition(".")[0] for n in below} for name, below in MAY_IMPORT.items()}
    ).prepare()


@pytest.mark.parametrize("name", MODULES)
def test_imports_run_one_way(name: str) -> None:
    home = layer(name)
    allowed = MAY_IMPORT[home]
    for other in kit(imported(name)):
        fine = layer(other) in allowed | {home, "__init__"} or other.removeprefix("coursekit.") in allowed
        assert fine, f"{name} imports {other}; {home} may import {sorted(allowed)}"


def test_the_asking_side_never_imports_the_knowing_side() -> None:
    """Nor does anybody else: the catalogue looks for it, and finds nothing in a student's edition."""
    assert len([name for name in MODULES if ".asked" in name]) > 3
    for name in MODULES:
        if ".known" not in name:
            assert not [other for other in imported(name) if ".known" in other], name


def test_what_runs_beside_a_submission_cannot_know_an_answer() -> None:
    """Whatever the worker loads, directly or not, holds no reference and no instructor's module."""
    start = ["coursekit.grading.worker", *(name for name in MODULES if ".asked" in name)]
    seen, waiting = set(), list(start)
    while waiting:
        name = waiting.pop()
        if name not in seen and name in MODULES:
            seen.add(name)
            waiting += kit(imported(name))
    assert len(seen) > 10
    assert not [name for name in seen if ".known" in name]
    banned = {f"coursekit.grading.{n}" for n in ("assess", "host", "classroom", "batch")} | {"coursekit.exercises.bank"}
    assert not seen & banned


def test_one_file_imports_nbgrader() -> None:
    users = [name for name in MODULES if any(n.partition(".")[0] == "nbgrader" for n in imported(name))]
    assert users == ["coursekit.grading.host"]


def test_references_share_no_code_with_networks_and_losses() -> None:
    """A second look at the rule that matters most, from the other end."""
    for name in MODULES:
        if layer(name) in ("checks", "exercises"):
            assert not {layer(n) for n in kit(imported(name))} & {"models", "losses", "training", "plots", "widgets"}


def test_there_is_no_cycle() -> None:
    graph = {}
    for name in MODULES:
        needs = set(kit(imported(name, at_import=True))) - {name}
        # A package's own modules are reached through it; its `__init__` is a summary of them.
        graph[name] = {n for n in needs if n in MODULES and not name.startswith(f"{n}.")}
    assert list(graphlib.TopologicalSorter(graph).static_order())


def test_no_module_imports_a_private_name_of_another() -> None:
    for name in MODULES:
        for node in ast.walk(tree(name)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("coursekit"):
                assert not [alias.name for alias in node.names if alias.name.startswith("_")], name


HEAVY = (
    "torch",
    "numpy",
    "matplotlib",
    "IPython",
    "nbformat",
    "nbgrader",
    "sqlalchemy",
    "jinja2",
    "torchvision",
    "sklearn",
)


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("coursekit", HEAVY),
        ("coursekit.errors", HEAVY),
        ("coursekit.course", HEAVY),
        ("coursekit.torchvision_door", HEAVY),
        ("coursekit.cli", HEAVY),
        ("coursekit.exercises", ("nbgrader", "sqlalchemy", "matplotlib", "torchvision", "jinja2")),
        ("coursekit.grading.worker", ("nbgrader", "sqlalchemy", "jinja2")),
    ],
)
def test_importing_is_light(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {module}\nprint([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=120)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")

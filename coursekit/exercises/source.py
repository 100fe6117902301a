"""An answer from a catalogue as code that stands alone in a notebook: how the kit makes itself a class of students."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import math
import re
import symtable
import textwrap
import types
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from coursekit.errors import ExerciseError

PROVIDED = {"Callable", "math", "torch", "F", "Tensor", "nn"}
"""What the first cell of an assignment imports."""


def as_code(answer: Any, name: str) -> str:
    """Source that defines `name` as `answer`, with every helper that it uses."""
    pieces: dict[str, str] = {}
    target = _express(answer, pieces)
    texts = list(pieces.values())
    if target == name:
        return "\n\n".join(texts).strip() + "\n"
    if name in pieces:  # a mistake that calls the right answer would end up calling itself
        rename = functools.partial(re.sub, rf"\b{name}\b", f"_{name}")
        texts, target = [rename(text) for text in texts], rename(target)
    return "\n\n".join([*texts, f"{name} = {target}"]).strip() + "\n"


def _express(value: Any, pieces: dict[str, str]) -> str:
    """An expression for `value`; definitions that it needs are added to `pieces`, in order."""
    if isinstance(value, types.FunctionType):
        return _function(value, pieces)
    if isinstance(value, type) and value.__module__.startswith("coursekit.exercises"):
        return _definition(value.__name__, value, pieces)
    if isinstance(value, functools.partial):
        inner = [_express(value.func, pieces), *(_express(v, pieces) for v in value.args)]
        inner += [f"{key}={_express(v, pieces)}" for key, v in value.keywords.items()]
        pieces.setdefault("import functools", "import functools")
        return f"functools.partial({', '.join(inner)})"
    if isinstance(value, Tensor):
        return f"torch.tensor({_express(value.tolist(), pieces)}, dtype={value.dtype})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {_express(v, pieces)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        inner_text = ", ".join(_express(v, pieces) for v in value)
        return f"[{inner_text}]" if isinstance(value, list) else f"({inner_text},)" if value else "()"
    if isinstance(value, set) and value:
        return "{" + ", ".join(_express(v, pieces) for v in sorted(value, key=repr)) + "}"
    if isinstance(value, re.Pattern):
        pieces.setdefault("import re", "import re")
        return f"re.compile({value.pattern!r}, {value.flags & ~re.UNICODE})"  # UNICODE is every str pattern's own
    if isinstance(value, types.ModuleType):
        pieces.setdefault(f"import {value.__name__}", f"import {value.__name__}")
        return value.__name__
    if isinstance(value, torch.dtype):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if value is None or isinstance(value, bool | int | float | str | slice):
        return repr(value)
    for library in (torch, torch.nn.functional):
        known = getattr(library, getattr(value, "__name__", ""), None)
        if known is not None and known == value:  # torch's own functions say that they live elsewhere
            pieces.setdefault(f"import {library.__name__}", f"import {library.__name__}")
            return f"{library.__name__}.{value.__name__}"
    module, qualname = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if module and qualname and "<" not in qualname and not module.startswith("coursekit"):
        root = module if module != "builtins" else ""
        if root:
            pieces.setdefault(f"import {root}", f"import {root}")
        return f"{root}.{qualname}" if root else qualname
    raise ExerciseError(f"cannot write {value!r} as code, expected functions, classes, tensors and plain values.")


def _function(function: types.FunctionType, pieces: dict[str, str]) -> str:
    if not function.__module__.startswith("coursekit"):
        pieces.setdefault(f"import {function.__module__}", f"import {function.__module__}")
        return f"{function.__module__}.{function.__qualname__}"
    if function.__module__.startswith("coursekit.") and ".known." not in function.__module__:
        pieces.setdefault(
            f"from {function.__module__} {function.__name__}", f"from {function.__module__} import {function.__name__}"
        )
        return function.__name__
    if function.__name__ == "<lambda>":
        text = _lambda_source(function)
        _needs(function, text, pieces)
        return f"({text})"
    return _definition(function.__name__, function, pieces)


def _definition(name: str, item: Any, pieces: dict[str, str]) -> str:
    if name in pieces:
        return name
    text = textwrap.dedent(inspect.getsource(item))
    pieces[name] = ""  # holds the place: a recursive function needs itself
    _needs(item, text, pieces)
    pieces[name] = pieces.pop(name) or text.rstrip()
    return name


def _needs(item: Any, text: str, pieces: dict[str, str]) -> None:
    """Add what the free names in `text`, the item's source, stand for, unless a notebook has it anyway."""
    scope = dict(vars(inspect.getmodule(item)))  # type: ignore[arg-type]
    written = inspect.unwrap(item)  # a decorator such as torch.no_grad() has a closure of its own
    if isinstance(written, types.FunctionType) and written.__closure__:
        scope |= {name: cell.cell_contents for name, cell in zip(written.__code__.co_freevars, written.__closure__)}
    for name in _free_names(text):
        if name in PROVIDED or name not in scope or hasattr(builtins, name):
            continue
        value = scope[name]
        if name in pieces:
            _agrees(name, value, pieces)
            continue
        if isinstance(value, types.ModuleType):
            pieces[name] = f"import {value.__name__} as {name}"
        elif getattr(value, "__name__", None) == name and isinstance(value, types.FunctionType | type):
            if value.__module__.startswith("coursekit.exercises") and ".known." in value.__module__:
                _definition(name, value, pieces)
            else:
                pieces[name] = f"from {value.__module__} import {name}"
        elif not _is_typing(value):
            pieces[name] = f"{name} = {_express(value, pieces)}"


def _agrees(name: str, value: Any, pieces: dict[str, str]) -> None:
    """One notebook has one value for a name; two closures that mean different ones by it cannot both be written."""
    by_its_name = getattr(value, "__name__", None) == name or isinstance(value, types.ModuleType) or _is_typing(value)
    if not by_its_name and pieces[name] and pieces[name] != (text := f"{name} = {_express(value, dict(pieces))}"):
        raise ExerciseError(
            f"{name!r} stands for two things, {pieces[name]!r} and {text!r}, expected one: rename one of them."
        )


def _free_names(text: str) -> list[str]:
    """Names that a piece of source takes from outside: not its parameters, nor what it assigns itself."""

    def walk(table: symtable.SymbolTable) -> Iterator[str]:
        yield from (
            symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced()
        )
        for child in table.get_children():
            yield from walk(child)

    return list(dict.fromkeys(walk(symtable.symtable(text, "a catalogue", "exec"))))


def _is_typing(value: Any) -> bool:
    return type(value).__module__ in ("typing", "types") or getattr(value, "__module__", "") in (
        "typing",
        "collections.abc",
    )


def _lambda_source(function: types.FunctionType) -> str:
    """The lambda's own text: found by the position that its code object remembers."""
    lines, lambdas = _written(function.__module__)
    code = function.__code__
    # The first instruction that has a column lies within the lambda's body.
    spots = [p for p in code.co_positions() if p[0] is not None and p[2] is not None and p[0] >= code.co_firstlineno]
    found = [
        node
        for node in lambdas[code.co_firstlineno]
        if any(_inside(node.body, line, column) for line, _, column, _ in spots[1:] or spots)
        and tuple(a.arg for a in (*node.args.posonlyargs, *node.args.args)) == code.co_varnames[: code.co_argcount]
    ]
    if len(found) != 1:
        raise ExerciseError(
            f"{function.__module__}, line {code.co_firstlineno}: expected one lambda there, found {len(found)}."
        )
    # Parenthesised by the caller, so that a body over several lines stays one expression.
    return " ".join(_segment(lines, found[0]).split("\n"))


def _segment(lines: list[bytes], node: ast.Lambda) -> str:
    """As `ast.get_source_segment`, which splits the whole file each time: columns are counted in bytes of UTF-8."""
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    cut = lines[first : last + 1]
    cut[-1] = cut[-1][: node.end_col_offset]
    cut[0] = cut[0][node.col_offset :]
    return b"".join(cut).decode()


def _inside(node: ast.AST, line: int | None, column: int | None) -> bool:
    start, end = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
    return start <= (line, column) <= end


@functools.cache
def _written(name: str) -> tuple[list[bytes], dict[int, list[ast.Lambda]]]:
    """The lines of a module, and its lambdas by the line on which each begins."""
    text = inspect.getsource(importlib.import_module(name))
    lambdas: dict[int, list[ast.Lambda]] = defaultdict(list)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Lambda):
            lambdas[node.lineno].append(node)
    return text.encode().splitlines(keepends=True), lambdas

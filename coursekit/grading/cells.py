"""A notebook's cells in IPython, inside the sandbox: outputs recorded and limited, a time limit on each cell.

Made once in the warm process, before the forks. Tracebacks are short on purpose: IPython's own cost 0.2 s each, most of it
spent colouring source files that a grader has no need for.
"""

from __future__ import annotations

import base64
import io
import linecache
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

from coursekit.grading.results import Output

_RING_AGAIN_SECONDS = 0.5
_MOST_MESSAGE = 2_000
_MOST_FRAMES = 8
_MIME_PREFIXES = ("text/", "image/")


class CellTimeout(BaseException):
    """The cell has used up its time. Not an `Exception`, so that ``except Exception`` does not catch it."""


class Alarm:
    """Raises `CellTimeout` in the block when its time is up, and again until the block has ended."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.rang = self._armed = False
        signal.signal(signal.SIGALRM, self._ring)

    def __enter__(self) -> Alarm:
        self.rang, self._armed = False, True
        signal.setitimer(signal.ITIMER_REAL, self.seconds, _RING_AGAIN_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self.silence()

    def silence(self) -> None:
        self._armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self._armed:
            self.rang = True
            raise CellTimeout(f"stopped after {self.seconds:g} s")


class Recorder:
    """The outputs of the cell that runs now, in nbformat's form, within a budget for the whole submission."""

    def __init__(self) -> None:
        self.left = 0
        self._outputs: list[Output] = []
        self._cut = False

    def start(self) -> None:
        self._outputs, self._cut = [], False

    def finish(self) -> list[Output]:
        outputs, self._outputs = self._outputs, []
        for output in outputs:
            if output["output_type"] == "stream":
                output["text"] = "".join(output["text"])
        return outputs

    def stream(self, name: str, text: str) -> None:
        taken = text[: max(self.left, 0)]
        if taken:
            self.left -= len(taken)
            last = self._outputs[-1] if self._outputs else {}
            if last.get("output_type") != "stream" or last["name"] != name:
                last = {"output_type": "stream", "name": name, "text": []}
                self._outputs.append(last)
            last["text"].append(taken)
        if len(taken) < len(text):
            self._mark()

    def rich(self, kind: str, data: dict[str, Any], metadata: dict[str, Any], **more: Any) -> None:
        bundle = {mime: _text(value) for mime, value in data.items() if mime.startswith(_MIME_PREFIXES)}
        size = sum(map(len, bundle.values()))
        if size > self.left:
            bundle = {mime: text for mime, text in bundle.items() if mime == "text/plain" and len(text) <= self.left}
            self._mark()
            size = sum(map(len, bundle.values()))
        if bundle:
            self.left -= size
            details = {mime: _plain(metadata[mime]) for mime in bundle if mime in metadata}
            self._outputs.append({"output_type": kind, "data": bundle, "metadata": details, **more})

    def error(self, name: str, message: str, lines: list[str]) -> None:
        self._outputs.append({"output_type": "error", "ename": name, "evalue": message, "traceback": lines})

    def clear(self) -> None:
        self._outputs = []

    def _mark(self) -> None:
        if not self._cut:
            self._cut = True
            text = "\n[output cut: this submission has used up the output it may produce]\n"
            self._outputs.append({"output_type": "stream", "name": "stdout", "text": [text]})


def _plain(details: Any) -> dict[str, Any]:
    """What matters of an output's metadata: a picture's alt text and size."""
    pairs = details.items() if isinstance(details, dict) else ()
    return {str(name): value for name, value in pairs if type(value) in (str, int, float)}


def _text(value: Any) -> str:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else str(value)


class _Stream(io.TextIOBase):
    """Standard output or error of a cell."""

    encoding = "utf-8"

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder, self._name = recorder, name

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() needs a string, got {type(text).__name__}.")
        self._recorder.stream(self._name, text)
        return len(text)


RECORDER = Recorder()
"""One for the process: IPython makes the objects below itself and hands them nothing."""


class _Publisher(DisplayPublisher):  # type: ignore[misc]
    def publish(self, data: Any, metadata: Any = None, source: Any = None, **more: Any) -> None:
        RECORDER.rich("display_data", data, metadata or {})

    def clear_output(self, wait: bool = False) -> None:
        RECORDER.clear()


class _Hook(DisplayHook):  # type: ignore[misc]
    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        RECORDER.rich("execute_result", format_dict, md_dict or {}, execution_count=self.prompt_count)

    def finish_displayhook(self) -> None:
        pass


class Shell(InteractiveShell):  # type: ignore[misc]
    """IPython without files, history, colours and long tracebacks."""

    display_pub_class = Type(_Publisher)
    displayhook_class = Type(_Hook)

    def showtraceback(self, exc_tuple: Any = None, *_: Any, **__: Any) -> None:
        value, trace = (exc_tuple or sys.exc_info())[1:]
        if value is not None:
            name, message = type(value).__name__, _message(value)
            RECORDER.error(name, message, [*_lines(trace), *_syntax(value), f"{name}: {message}"])

    def showsyntaxerror(self, *_: Any, **__: Any) -> None:
        self.showtraceback()

    def _format_exception_for_storage(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {}  # IPython 9 formats every error once more, in full, for a history that is not kept

    def enable_gui(self, gui: Any = None) -> None:
        pass


def make_shell() -> Shell:
    """The one shell of this process, with figures shown as in a notebook."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "NoColor"
    config.InteractiveShell.banner1 = ""
    config.InlineBackend.figure_formats = {"png"}
    config.InlineBackend.print_figure_kwargs = {"bbox_inches": None, "dpi": 72}
    shell: Shell = Shell.instance(config=config)
    shell.enable_matplotlib("inline")
    return shell


def run(shell: Shell, source: str, alarm: Alarm) -> str | None:
    """Run one cell; its error in one line, or None. Outputs go to `RECORDER`."""

    def execute() -> BaseException | None:
        result = shell.run_cell(source, store_history=True)
        error: BaseException | None = result.error_before_exec or result.error_in_exec
        shell.last_execution_result = None  # it would keep the error's frames, and all that they hold, alive
        return error

    return timed(execute, alarm)


def timed(action: Callable[[], BaseException | None], alarm: Alarm) -> str | None:
    """Do `action` within the alarm's time; the error it returned or raised, in one line, or None."""
    output, errors = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Stream(RECORDER, "stdout"), _Stream(RECORDER, "stderr")
    try:
        with alarm:
            error = action()
    except BaseException as raised:  # a time-out may hit IPython itself; and a cell may do anything to it
        alarm.silence()
        error = raised
        RECORDER.error(type(raised).__name__, _message(raised), [])
    finally:
        sys.stdout, sys.stderr = output, errors
    if alarm.rang and not isinstance(error, CellTimeout):  # the cell caught it
        error = CellTimeout(f"stopped after {alarm.seconds:g} s")
        RECORDER.error("CellTimeout", str(error), [])
    return None if error is None else ": ".join(filter(None, (type(error).__name__, _message(error))))


def _message(error: BaseException) -> str:
    try:
        return str(error)[:_MOST_MESSAGE]
    except Exception as failure:  # a __str__ that raises
        return f"<unprintable: {type(failure).__name__}>"


def _lines(trace: TracebackType | None) -> list[str]:
    """Where it went wrong: each line of a cell on the way, and the innermost line of a library."""
    found = []
    last = ""
    for frame, number in traceback.walk_tb(trace):
        code = frame.f_code
        last = f"  {code.co_filename.rpartition('/')[2]}, line {number}, in {code.co_name}"
        if "ipykernel" in code.co_filename or code.co_filename.startswith("<ipython-input"):
            text = linecache.getline(code.co_filename, number).strip()
            found.append(f"line {number}, in {code.co_name}: {text}")
            last = ""
        if len(found) > 2 * _MOST_FRAMES:
            del found[_MOST_FRAMES:-_MOST_FRAMES]
    return [*found, last] if last and found else found


def _syntax(error: BaseException) -> list[str]:
    if not isinstance(error, SyntaxError) or not error.text:
        return []
    return [f"line {error.lineno}: {error.text.rstrip()}"]

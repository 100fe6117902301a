"""What a stranger wrote, made safe for a teacher's or student's browser.

nbgrader's feedback and formgrader pages render a student's markdown and rich outputs as they are; so the notebook
that they get holds only what cannot act.
"""

from __future__ import annotations

import html
import re
from collections.abc import Container
from typing import Any

import nh3
from nbformat import NotebookNode

from coursekit.grading.mend import shallow
from coursekit.grading.pictures import IMAGES, image

MAX_OUTPUT_TEXT = 20_000
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_LINK = re.compile(r"(?i)\b(?:(?:java|vb)script[\s\\]*:|data\\?:(?=[\w.+-]+\\?/))")
"""Schemes that act; Markdown takes a backslash before a punctuation mark away."""
_ATTACHED = re.compile(r"attachment\\?:(?=\S)(?:(?P<name>[A-Za-z0-9_.-]+)(?=\)))?")
"""A link to an attachment. Where it leads nowhere, nbgrader's pages end in an error."""


def clean_text(text: str, pasted: Container[str] = ()) -> str:
    """Markdown without HTML: a `<` that could open a tag gets a space behind it, and links that run code are cut.

    A space, not an entity: mathematics and code show an entity as it is written. Links to attachments stay if these are
    among the `pasted` ones.
    """
    plain = html.unescape(text)  # Markdown does it too, in links
    if html.unescape(plain) != plain:  # escaped twice, which is nobody's prose
        plain = plain.replace("&", "& ")
    return _ATTACHED.sub(lambda link: _attached(link, pasted), _LINK.sub("blocked:", _TAG.sub("< ", plain)))


def _attached(link: re.Match[str], pasted: Container[str]) -> str:
    name = link["name"] or ""
    return f"attachment:{name}" if name in pasted else f"not-kept:{name}"


def one_line(text: str) -> str:
    """Text for a terminal: what it would act on (escape sequences, line ends, marks that reverse the text) becomes "?"."""
    return "".join(c if c.isprintable() else "?" for c in text)


def clean_outputs(outputs: list[dict[str, Any]]) -> list[NotebookNode]:
    """Outputs with text, PNG and JPEG images, and HTML stripped of everything active. Malformed ones are dropped."""
    return [
        cleaned for output in outputs if isinstance(output, dict) and (cleaned := _clean_output(output)) is not None
    ]


def _clean_output(output: dict[str, Any]) -> NotebookNode | None:
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return _output("stream", name=name, text=_short(output.get("text")))
    if kind == "error":
        trace = output.get("traceback")
        return _output(
            "error",
            ename=_short(output.get("ename"))[:200],
            evalue=_short(output.get("evalue"))[:2000],
            traceback=[_short(line) for line in trace[:50]] if isinstance(trace, list) else [],
        )
    data = output.get("data")
    if kind not in ("display_data", "execute_result") or not isinstance(data, dict):
        return None
    kept = {mime: text for mime in IMAGES if (text := image(data, mime)) is not None}
    if "text/html" in data:
        kept["text/html"] = nh3.clean(_short(data["text/html"]))
    kept["text/plain"] = _short(data.get("text/plain", ""))
    return _output("display_data", data=kept, metadata={})


def _output(kind: str, **fields: Any) -> NotebookNode:
    return shallow(output_type=kind, **fields)


def _short(text: Any) -> str:
    if isinstance(text, list):
        text = "".join(part for part in text if isinstance(part, str))
    if not isinstance(text, str):
        return ""
    safe = text.encode("utf-8", "replace").decode()
    if len(safe) <= MAX_OUTPUT_TEXT:
        return safe
    return f"{safe[:MAX_OUTPUT_TEXT]}\n[... {len(safe) - MAX_OUTPUT_TEXT} more characters]"

"""What a stranger wrote can be read in a browser, and can do nothing there: tried on nbgrader's own Markdown filter."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

import nbformat
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nbconvert.filters import markdown2html

from coursekit.grading.clean import MAX_OUTPUT_TEXT, clean_outputs, clean_text
from coursekit.grading.pictures import MAX_IMAGE

HARMLESS_TAGS = {
    "p", "a", "img", "code", "pre", "em", "strong", "br", "hr", "blockquote", "ul", "ol", "li", "div", "span", "del", "b",
    "table", "thead", "tbody", "tr", "td", "th", "h1", "h2", "h3", "h4", "h5", "h6", "sup", "section", "dl", "dt", "dd",
}  # fmt: skip


class Page(HTMLParser):
    """Collects what could act in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.acts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in HARMLESS_TAGS:
            self.acts.append(tag)
        for name, value in attributes:
            # A browser drops control characters and blanks from a link's scheme.
            scheme, colon, _ = re.sub(r"[\x00-\x20]", "", value or "").lower().partition(":")
            if name.startswith("on") or name in ("srcdoc", "style", "formaction"):
                self.acts.append(f"{tag} {name}")
            elif name in ("href", "src") and colon and scheme in ("javascript", "vbscript", "data"):
                self.acts.append(f"{tag} {name}={value}")

    def handle_decl(self, decl: str) -> None:
        self.acts.append(decl)

    handle_pi = handle_comment = unknown_decl = handle_decl


def shown(text: str) -> str:
    """As formgrader shows it."""
    return str(markdown2html(clean_text(text)))


ATTACKS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//x.example/a.js></SCRIPT>",
    "</p><script\n>alert(1)</script >",
    "<img src=x onerror=alert(1)>",
    '<svg onload="alert(1)"><circle/></svg>',
    "<svg/onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<details open ontoggle=alert(1)>",
    "<math><mi xlink:href='javascript:alert(1)'>x</mi></math>",
    "<style>*{background:url(//x.example)}</style>",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml-stylesheet href='javascript:alert(1)'?>",
    "[a](javascript:alert(1))",
    "![a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](<javascript:alert(1)>)",
    "[a](<java\tscript:alert(1)>)",
    "[a](javascript\\:alert(1))",
    "[a](java&#115;cript:alert(1))",
    "[a](&#x6A;avascript&colon;alert(1))",
    "[a](java&Tab;script:alert(1))",
    "[a](java&amp;#115;cript:alert(1))",
    "[a](java&amp;amp;#115;cript:alert(1))",
    "[a](vbscript:x)",
    "[a](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[a](data\\:text\\/html,x)",
    "[a][b]\n\n[b]: javascript:alert(1)",
    "<javascript:alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&amp;lt;script&amp;gt;",
    "`code` <img src=x onerror=alert(1)> ``",
    "$x$ <img src=x onerror=alert(1)> $$",
    "$$ \\begin{a} <script>alert(1)</script> \\end{a} $$",
    "\\begin{align}<script>alert(1)</script>\\end{align}",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_in_markdown_becomes_text(attack: str) -> None:
    assert Page(shown(attack)).acts == []


def test_the_attacks_are_attacks() -> None:
    """Uncleaned, most of them do act: the witness sees them."""
    acting = [attack for attack in ATTACKS if Page(str(markdown2html(attack))).acts]
    assert len(acting) > 20


pieces = [
    "<", ">", "script", "img src=x ", "onerror=x", "java", "javascript", ":", "\\", "(", ")", "[a]", "](", "[b]: ", "&lt;",
    "&#115;", "&colon;", "&Tab;", "&amp;", "&", "#115;", "`", "``", "$", "$$", "\n", "\n\n", " ", "\t", "data:text/html,", "!",
    "/", "?", "s", "\\begin{a}", "\\end{a}", "\x00", "~~~\n",
]  # fmt: skip


@settings(max_examples=400, deadline=None, database=None)
@given(st.lists(st.sampled_from(pieces), max_size=14).map("".join))
def test_no_mixture_of_dangerous_pieces_acts(text: str) -> None:
    assert Page(shown(text)).acts == []
    assert Page(shown(f"[a]({text})")).acts == []


@pytest.mark.parametrize(
    "text",
    [
        "$a<b$ and also a<b, x<-1, $y < z$",
        "`if a<b: return c` is code",
        "    indented<code",
        "$$\\begin{matrix} a & b \\\\ c &d \\end{matrix}$$",
        "The data: 3 & 4, R&D, [the source](https://example.org/?a=1&b=2), what JavaScript does.",
        "a *star*, a_b, 100 %, \\frac{1}{2}",
        "R&amp;D, 1 &lt; 2, caf&eacute;",
    ],
)
def test_mathematics_and_prose_stay_readable(text: str) -> None:
    """What a person sees is what was written, but for a blank after a `<`."""

    def seen(page: str) -> str:
        return html.unescape(re.sub(r"<[^>]*>", "", page)).replace("< ", "<")

    assert seen(shown(text)) == seen(str(markdown2html(text)))
    assert "&amp;lt;" not in shown(text)


def clean(output: Any) -> Any:
    found = clean_outputs([output])
    for node in found:
        nbformat.validate(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[node])]))
    return found[0] if found else None


def test_html_output_loses_what_acts() -> None:
    page = '<b>bold</b><script>alert(1)</script><img src="x" onerror="alert(1)"><a href="javascript:alert(1)">a</a><svg></svg>'
    kept = clean({"output_type": "display_data", "data": {"text/html": page, "text/plain": "p"}})
    assert Page(kept.data["text/html"]).acts == [] and "<b>bold</b>" in kept.data["text/html"]
    assert kept.data["text/plain"] == "p"


def test_only_text_html_and_pictures_are_kept() -> None:
    data = {
        "image/svg+xml": "<svg onload=alert(1)>",
        "application/javascript": "alert(1)",
        "text/latex": "$<script>$",
        "text/markdown": "<script>",
        "application/vnd.jupyter.widget-view+json": {"model_id": "x"},
        "image/png": "iVBORw0K\nGgo=",
        "image/jpeg": '"><script>alert(1)</script>',
        "text/plain": ["a", "b", 3],
    }
    kept = clean({"output_type": "execute_result", "data": data, "metadata": {"x": 1}})
    assert kept.data == {"image/png": "iVBORw0K\nGgo=", "text/plain": "ab"}
    assert kept.metadata == {}


def test_a_huge_picture_or_text_is_cut() -> None:
    kept = clean({"output_type": "display_data", "data": {"image/png": "A" * (MAX_IMAGE + 1)}})
    assert kept.data == {"text/plain": ""}
    kept = clean({"output_type": "stream", "name": "stdout", "text": "x" * (MAX_OUTPUT_TEXT + 5)})
    assert kept.text.endswith("[... 5 more characters]") and len(kept.text) < MAX_OUTPUT_TEXT + 50


def test_streams_and_errors_keep_their_text() -> None:
    assert clean({"output_type": "stream", "name": "stderr", "text": ["a\n", "b"]}) == {
        "output_type": "stream", "name": "stderr", "text": "a\nb"
    }  # fmt: skip
    kept = clean({"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["1", 2]})
    assert (kept.ename, kept.evalue, kept.traceback) == ("E", "v", ["1", ""])


plain = st.none() | st.integers() | st.text(max_size=10) | st.lists(st.text(max_size=3) | st.integers(), max_size=3)
anything = plain | st.dictionaries(st.text(max_size=10), plain, max_size=3)
mimes = st.sampled_from(["text/html", "text/plain", "image/png", "image/svg+xml", "x"])
kinds = st.sampled_from(["stream", "error", "display_data", "execute_result", "pyout"])
outputs = st.fixed_dictionaries(
    {"output_type": kinds},
    optional={
        "data": st.dictionaries(mimes, anything, max_size=3) | anything,
        **dict.fromkeys(("name", "text", "ename", "evalue", "traceback", "metadata"), anything),
    },
)


@settings(max_examples=300, deadline=None, database=None)
@given(outputs | anything)
@example({"output_type": "error"})
@example({"output_type": ["stream"], "text": "x"})
@example({"output_type": "display_data", "data": {"text/html": None, "image/png": 3}})
def test_malformed_outputs_are_dropped_or_made_whole(output: Any) -> None:
    clean(output)

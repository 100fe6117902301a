"""Pictures in what a stranger handed in: which may be shown to others."""

from __future__ import annotations

import re
from typing import Any

IMAGES = {"image/png": "iVBORw0KGgo", "image/jpeg": "/9j/"}
"""Formats that cannot act, and how their base64 begins. (An SVG may hold a script.)"""
MAX_IMAGE = 2 << 20
MAX_PASTED = 20
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")


def image(data: dict[str, Any], mime: str) -> str | None:
    """The base64 text of an image in a bundle of data, if it is one and not too large."""
    text = data.get(mime)
    fine = isinstance(text, str) and len(text) <= MAX_IMAGE and _BASE64.fullmatch(text) is not None
    return text if fine else None


def pasted(attachments: Any) -> dict[str, dict[str, str]]:
    """Of a cell's attachments (nbformat 4.1: name -> mime type -> base64) the pictures, by names that a link can hold."""
    kept: dict[str, dict[str, str]] = {}
    for name, data in attachments.items() if isinstance(attachments, dict) else ():
        if len(kept) == MAX_PASTED or not _NAME.fullmatch(name) or not isinstance(data, dict):
            continue
        for mime, begin in IMAGES.items():
            text = image(data, mime)
            if text is not None and text.startswith(begin):
                kept[name] = {mime: text}
                break
    return kept

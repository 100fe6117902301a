"""Files are written whole or not at all."""

from __future__ import annotations

from pathlib import Path


def replace(path: Path, text: str) -> None:
    """Write `text` to `path`; whoever reads meanwhile, or after a crash, sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise

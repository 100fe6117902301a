"""Files are written whole or not at all."""

from __future__ import annotations

from pathlib import Path


def replace(path: Path, content: str | bytes) -> None:
    """Write `content` to `path`; whoever reads meanwhile, or after a crash, sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        draft.replace(path)
    except BaseException:  # an interrupt, too, must not leave the draft behind; it goes on from here
        draft.unlink(missing_ok=True)
        raise

"""Data cards as Markdown: one for each world, written from what the code says."""

from __future__ import annotations

from pathlib import Path

from coursekit.datasets.world import PictureWorld, World
from coursekit.datasets.worlds import WORLDS
from coursekit.files import replace
from coursekit.runtime import generator


def render(world: World) -> str:
    """The card of a world as Markdown."""
    card = world.card
    lines = [
        f"# {card.title}",
        "",
        f'`worlds.world("{world.name}")`',
        "",
        card.shows,
        "",
        "| | |",
        "|---|---|",
        f"| stands for | {card.stands_for} |",
        f"| one example | {_example(world)} |",
        f"| style, not told | {card.style} |",
        f"| limits | {card.limits} |",
        f"| source | {card.source} |",
    ]
    if world.names:
        lines += ["", "| attribute | values |", "|---|---|"]
        lines += [f"| {name} | {_short(values)} |" for name, values in world.names.items()]
    if isinstance(world, PictureWorld) and world.captioning is not None:
        captions = world.draw(3, generator=generator(0)).captions or []
        lines += ["", "Captions, for example:", "", *(f"- {caption}" for caption in captions)]
    return "\n".join(lines) + "\n"


def _example(world: World) -> str:
    """What draw() gives, read off two examples."""
    sample = world.draw(2, generator=generator(0))
    parts = []
    for name, value in (("x", sample.x), ("y", sample.y), *sample.more.items()):
        if isinstance(value, list):
            parts.append(f"{name}: text, such as “{value[0]}”")
        elif value is not None:
            shape = ", ".join(["N", *map(str, value.shape[1:])])
            parts.append(f"{name}: ({shape}) {str(value.dtype).removeprefix('torch.')}")
    if isinstance(world, PictureWorld) and len(world.sizes) > 1:
        parts.append(f"sizes {', '.join(map(str, world.sizes))} px")
    return "; ".join(parts).replace("|", "\\|")


def _short(values: tuple[str, ...]) -> str:
    return ", ".join(values) if len(values) <= 20 else f"{values[0]} to {values[-1]} ({len(values)})"


def write_cards(folder: Path) -> list[Path]:
    """Write NAME.md into the folder for every world; the paths, in the order of WORLDS."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, world in WORLDS.items():
        paths.append(folder / f"{name}.md")
        replace(paths[-1], render(world))
    return paths

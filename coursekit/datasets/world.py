"""What a world is: data that can be drawn without end, whose truth is known, with a card that says what it is for.

    birds = worlds.world("birds")
    batch = birds.draw(64, generator=generator(0))        # Sample: pictures, attributes, captions
    same = birds.render(batch.labels, generator=generator(1), size=64)   # the same birds in another style

Pictures are (N, C, H, W) float32 in [-1, 1]. Attributes are class ids: (N, A) int64, one column for each entry of
`names`, in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from coursekit.datasets.arguments import require_at_least, require_generator
from coursekit.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a data card says about a world."""

    title: str
    shows: str
    """One sentence: what one example is."""
    stands_for: str
    """The real data that it stands in for, or "nothing: a task of its own"."""
    style: str
    """What varies without being named by an attribute."""
    limits: str
    """What must not be concluded from it; what it does not show."""
    source: str = "rendered by the kit (MIT); no photograph, person or text went into it"


@dataclass(frozen=True, eq=False)
class Sample:
    """N examples. Its len() is N."""

    x: Tensor | list[str]
    """Pictures (N, C, H, W), videos (N, T, C, H, W), sequences or points as tensors, or N texts."""
    labels: Tensor | None = None
    """(N, A) int64: ids into the world's `names`, one column each."""
    y: Tensor | list[str] | None = None
    """What belongs to x where the task is a mapping: the other picture of a pair, the target, the translation."""
    captions: list[str] | None = None
    more: Mapping[str, Tensor] = field(default_factory=dict)
    """What only this world knows, such as boxes (N, K, 4)."""

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, kw_only=True)
class World:
    """A named source of samples."""

    name: str
    card: Card
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Attribute -> the names of its values."""
    drawing: Callable[[int, torch.Generator], Sample] | None = None

    def draw(self, n: int, *, generator: torch.Generator) -> Sample:
        """n fresh examples; equal seeds give equal examples."""
        require_at_least(1, n=n)
        require_generator(generator)
        assert self.drawing is not None
        return self.drawing(n, generator)

    def describe(self, row: Tensor) -> dict[str, str]:
        """The names of one row (A,) of labels."""
        return {name: values[int(k)] for (name, values), k in zip(self.names.items(), row)}


@dataclass(frozen=True, kw_only=True)
class PictureWorld(World):
    """A world of pictures: attributes are drawn, pictures are rendered from them in a style that is drawn, too."""

    sizes: tuple[int, ...]
    """Edges H = W in pixels that it is made for; the first is the default."""
    channels: int = 3
    sampling: Callable[[int, torch.Generator], Tensor] | None = None
    """(n, generator) -> (n, A) int64. None: every attribute independent and uniform."""
    rendering: Callable[[Tensor, int, torch.Generator], Tensor]
    """(labels (N, A), size, generator) -> (N, C, size, size) in [-1, 1]."""
    captioning: Callable[[Tensor, torch.Generator], list[str]] | None = None

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """(n, A) int64 attributes."""
        require_at_least(1, n=n)
        require_generator(generator)
        if self.sampling is not None:
            return self.sampling(n, generator)
        columns = [torch.randint(len(values), (n,), generator=generator) for values in self.names.values()]
        return torch.stack(columns, 1)

    def render(self, labels: Tensor, *, generator: torch.Generator, size: int | None = None) -> Tensor:
        """Pictures (N, C, size, size) of attributes (N, A); equal seeds give equal styles whatever the attributes."""
        require_generator(generator)
        size = self.sizes[0] if size is None else size
        require_at_least(16, size=size)
        self.check(labels)
        return self.rendering(labels, size, generator)

    def captions(self, labels: Tensor, *, generator: torch.Generator) -> list[str]:
        """A caption for each row of labels."""
        require_generator(generator)
        if self.captioning is None:
            raise InputError.of(
                f"captions of the world {self.name!r}", got="none", expected="a world with a caption grammar",
                do="Use birds.",
            )  # fmt: skip
        self.check(labels)
        return self.captioning(labels, generator)

    def draw(self, n: int, *, generator: torch.Generator, size: int | None = None) -> Sample:
        """n fresh pictures with their attributes, and captions where the world has a grammar."""
        labels = self.sample(n, generator=generator)
        x = self.render(labels, generator=generator, size=size)
        captions = self.captions(labels, generator=generator) if self.captioning else None
        return Sample(x, labels, captions=captions)

    def labels(self, rows: Sequence[Mapping[str, str]]) -> Tensor:
        """(N, A) int64 from named attributes; each row names all of them. The inverse of `describe`."""
        for row in rows:
            for name, values in self.names.items():
                if row.get(name) not in values:
                    raise InputError.of(
                        f"`{name}` in the world {self.name!r}", got=row.get(name),
                        expected=f"one of {', '.join(values)}", do="Name every attribute of every row.",
                    )  # fmt: skip
        ids = [[values.index(row[name]) for name, values in self.names.items()] for row in rows]
        return torch.tensor(ids, dtype=torch.int64).reshape(-1, len(self.names))

    def check(self, labels: Tensor) -> None:
        """Raise InputError unless labels are (N, A) int64 ids of `names`."""
        most = torch.tensor([len(values) for values in self.names.values()]) - 1
        shaped = isinstance(labels, Tensor) and labels.dim() == 2 and labels.shape[1] == len(most)
        if not shaped or labels.dtype != torch.int64 or bool(((labels < 0) | (labels > most)).any()):
            raise InputError.of(
                f"labels of the world {self.name!r}",
                got=f"{labels.dtype} {tuple(labels.shape)}" if isinstance(labels, Tensor) else labels,
                expected=f"int64 (N, {len(most)}) with ids up to {most.tolist()} ({', '.join(self.names)})",
                do="Draw them with sample(), or name them with labels().",
            )

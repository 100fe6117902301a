"""Makes `import torchvision` work beside a torch without CUDA, in any order of imports.

A torchvision wheel that was built for CUDA cannot load its compiled operators beside a CPU-only torch, and its import
stops at "operator torchvision::nms does not exist". Declaring the schemas of the two operators that it registers fake
kernels for is enough for transforms, datasets, models and utils; the detection operators stay unavailable.

Installed as ``coursekit_torchvision.pth``, so that it is in place before a notebook's first line. Standard library only,
until somebody imports torchvision.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_libraries: list[object] = []  # torch drops a schema when its library object is collected


class Door(importlib.abc.MetaPathFinder):
    """Stands before the import of torchvision; finds nothing itself."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name == "torchvision":
            sys.meta_path.remove(self)
            declare_missing_operators()
        return None


def declare_missing_operators() -> None:
    """Declare the operators' schemas if torchvision's compiled library cannot be loaded."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return
    finder = importlib.machinery.PathFinder.find_spec("torchvision._C", spec.submodule_search_locations)
    import torch

    try:
        if finder is None or finder.origin is None:
            raise OSError("no compiled operators")
        torch.ops.load_library(finder.origin)
    except (OSError, ImportError, RuntimeError):
        library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in SCHEMAS:
            library.define(schema)
        _libraries.append(library)


def install() -> None:
    """Put the door in place, once."""
    if "torchvision" not in sys.modules and not any(isinstance(finder, Door) for finder in sys.meta_path):
        sys.meta_path.insert(0, Door())

"""What this machine has, what it lacks, and what to do about it."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
from typing import Any

PACKAGES = (
    "torch", "torchvision", "numpy", "matplotlib", "jupyterlab", "ipywidgets", "jupytext", "nbgrader", "nbval", "pytest",
    "safetensors", "scikit-learn",
)  # fmt: skip


def examine() -> dict[str, Any]:
    """Versions, device, threads, sandbox abilities; `problems` pairs each lack with its remedy."""
    problems: list[dict[str, str]] = []
    versions: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
            problems.append(
                {"what": f"{name} is not installed", "remedy": "pip install -c constraints.txt -e '.[dev]'"}
            )
    report: dict[str, Any] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": os.cpu_count(),
        "packages": versions,
        "problems": problems,
    }
    if versions["torch"]:
        report |= _torch(problems)
    report["sandbox"] = _sandbox(problems)
    if not shutil.which("alembic") and versions["nbgrader"]:
        remedy = "activate the virtual environment (`nbgrader` itself calls `alembic`; coursekit finds it anyway)"
        problems.append({"what": "alembic is not on PATH", "remedy": remedy})
    report["ready"] = all(versions[name] for name in ("torch", "nbgrader", "jupyterlab"))
    return report


def _torch(problems: list[dict[str, str]]) -> dict[str, Any]:
    import torch

    from coursekit.runtime import device

    facts: dict[str, Any] = {"device": str(device()), "threads": torch.get_num_threads()}
    if torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    try:
        importlib.import_module("torchvision.transforms")
        facts["torchvision"] = "works"
    except Exception as error:  # whatever stops torchvision is the finding
        facts["torchvision"] = f"{type(error).__name__}: {error}"
        problems.append(
            {"what": "torchvision cannot be imported", "remedy": "reinstall coursekit with pip (it installs the door)"}
        )
    return facts


def _sandbox(problems: list[dict[str, str]]) -> dict[str, Any]:
    from coursekit.grading.sandbox import abilities

    found = {}
    for name, ability in abilities().items():
        found[name] = ability.available
        if not ability.available:
            problems.append({"what": f"sandbox: no {name}", "remedy": ability.remedy})
    return found


def as_text(report: dict[str, Any]) -> str:
    lines = [f"python {report['python']}, {report['system']}, {report['cores']} cores"]
    if "device" in report:
        gpu = f" ({report['gpu']})" if "gpu" in report else ""
        lines.append(
            f"device {report['device']}{gpu}, {report['threads']} threads, torchvision {report['torchvision']}"
        )
    lines += [f"  {name:14s} {version or 'missing'}" for name, version in report["packages"].items()]
    lines += [f"  sandbox: {name:14s} {'yes' if present else 'no'}" for name, present in report["sandbox"].items()]
    lines += [f"problem: {p['what']}. Remedy: {p['remedy']}" for p in report["problems"]]
    lines.append("ready" if report["ready"] else "not ready")
    return "\n".join(lines)

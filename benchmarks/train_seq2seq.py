"""Train what lecture 1.6 (attention) ships: weights of seed 0, and the scores of all seeds.

    python benchmarks/train_seq2seq.py                    # everything, seeds 0 1 2, about 30 minutes on one core
    python benchmarks/train_seq2seq.py arithmetic --seeds 1

The networks are the lecture's own: this script runs the cells that the lecture tags `model`, and adds only the lists
of what to train. It writes data/unit01/{reversal,arithmetic}.safetensors (16-bit) and data/unit01/seq2seq.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jupytext
import torch
from safetensors.torch import load_file, save_file

from coursekit import shipped
from coursekit.runtime import seeded, threads

ROOT = Path(__file__).resolve().parent.parent
LECTURE = ROOT / "lectures" / "01_recurrent_networks" / "6_attention.py"
DATA = ROOT / "data" / "unit01"
LENGTHS = [5, 10, 15, 20, 25, 30, 35, 40]
SHIPPED_REMEDIES = {"attention": "one_way", "attention + bidirectional": "two_way"}
WIDTHS = [32, 64, 128]


def lecture_code() -> dict[str, Any]:
    """The names that the lecture's cells tagged `model` define."""
    names: dict[str, Any] = {"__name__": "lecture"}
    for cell in jupytext.read(LECTURE).cells:
        if "model" in cell.metadata.get("tags", []):
            exec(compile(cell.source, str(LECTURE), "exec"), names)
    return names


def train_lengths(lecture: dict[str, Any], seed: int, record: dict[str, Any]) -> dict[str, torch.nn.Module]:
    """Reversal of 5 to 40 letters: the fixed vector against three kinds of attention."""
    record.setdefault("at", LENGTHS)
    nets = {}
    for name in ("fixed", "dot", "general", "concat"):
        with seeded(seed):
            if name == "fixed":
                net = lecture["Seq2Seq"](30, 30, 48, both_ways=True)
            else:
                net = lecture["Attentive"](30, 30, 48, kind=name, both_ways=True)
        draw = lecture["strings"](5, 40, seed)
        for steps, lr in ((1500, 5e-3), (500, 1e-3)):
            lecture["practise"](net, draw, steps=steps, lr=lr, label=f"lengths, {name}, seed {seed}")
        put(record, "right", name, seed, [round(lecture["score"](net, n), 4) for n in LENGTHS])
        if name != "fixed":
            put(record, "on_diagonal", name, seed, [round(lecture["peaks_at"](net, n), 4) for n in LENGTHS])
        nets[name] = net
    return nets


def train_remedies(lecture: dict[str, Any], seed: int, record: dict[str, Any]) -> dict[str, torch.nn.Module]:
    """Reversal of 3 to 15 letters: what helps a fixed vector of width 32?"""
    record.setdefault("at", [5, 10, 15])
    nets = {}
    seq2seq, attentive = lecture["Seq2Seq"], lecture["Attentive"]
    makers: dict[str, Callable[[], torch.nn.Module]] = {
        "baseline": lambda: seq2seq(30, 30, 32),
        "bigger state (128)": lambda: seq2seq(30, 30, 128),
        "bidirectional": lambda: seq2seq(30, 30, 32, both_ways=True),
        "vector at every step": lambda: lecture["Reminded"](30, 30, 32),
        "attention": lambda: attentive(30, 30, 32),
        "attention + input feeding": lambda: lecture["Feeding"](30, 30, 32),
        "attention + bidirectional": lambda: attentive(30, 30, 32, both_ways=True),
    }
    for name, make in makers.items():
        with seeded(seed):
            net = make()
        draw = lecture["strings"](3, 15, seed)
        for steps, lr in ((1500, 5e-3), (500, 1e-3)):
            lecture["practise"](net, draw, steps=steps, lr=lr, label=f"remedies, {name}, seed {seed}")
        put(record, "right", name, seed, [round(lecture["score"](net, n), 4) for n in record["at"]])
        if name in SHIPPED_REMEDIES:
            put(record, "on_neighbour", name, seed, round(lecture["peaks_at"](net, 8, shift=1), 2))
            nets[SHIPPED_REMEDIES[name]] = net
    return nets


def train_arithmetic(lecture: dict[str, Any], seed: int, record: dict[str, Any]) -> dict[str, torch.nn.Module]:
    """Sums of two numbers of up to two digits among six distractors, at three widths."""
    record.setdefault("widths", WIDTHS)
    _, questions, answers = lecture["sums"](120_000, 2, 6, held_out=False, seed=100 + seed)
    tests = {
        group: lecture["sums"](500, 2, 6, held_out=group == "held_out", seed=1)[1:] for group in ("known", "held_out")
    }
    nets = {}
    for width in WIDTHS:
        with seeded(seed):
            net = lecture["Attentive"](len(lecture["QUESTION"]), len(lecture["ANSWER"]), width, both_ways=True)
        draw = lecture["drawing"](questions, answers, seed)
        for steps, lr in ((3000, 5e-3), (1000, 1e-3)):
            lecture["practise"](net, draw, steps=steps, lr=lr, label=f"arithmetic, width {width}, seed {seed}")
        for group, test in tests.items():
            put(record, group, str(width), seed, round(lecture["solved"](net, *test), 4))
        nets[f"width{width}"] = net
    return nets


def put(record: dict[str, Any], what: str, name: str, seed: int, value: object) -> None:
    """Append the value of a run; seeds come in order, so a list's index is its seed."""
    runs = record.setdefault(what, {}).setdefault(name, [])
    assert len(runs) == seed, f"{what} of {name}: got seed {seed}, expected {len(runs)}"
    runs.append(value)


JOBS: dict[str, tuple[Any, str]] = {
    "lengths": (train_lengths, "reversal"),
    "remedies": (train_remedies, "reversal"),
    "arithmetic": (train_arithmetic, "arithmetic"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", choices=[*JOBS, []], help="which runs (default: all)")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, counted from 0 (default: 3)")
    options = parser.parse_args()
    DATA.mkdir(parents=True, exist_ok=True)
    path = DATA / "seq2seq.json"
    lecture = lecture_code()
    with threads(1):
        for job in options.jobs or JOBS:
            run, file = JOBS[job]
            record: dict[str, Any] = {}
            begun = time.process_time()
            for seed in range(options.seeds):
                nets = run(lecture, seed, record)
                if seed == 0:
                    save(nets, DATA / f"{file}.safetensors")
            command, seconds = f"python benchmarks/train_seq2seq.py {job}", time.process_time() - begun
            kept = json.loads(path.read_text()) if path.exists() else {}
            path.write_text(json.dumps({**kept, job: record}, indent=1) + "\n")
            for written in (DATA / f"{file}.safetensors", path):
                shipped.record(written, command=command, seed=0, seconds=seconds)
            print(job, json.dumps(record))


def save(nets: dict[str, torch.nn.Module], path: Path) -> None:
    """Every net's weights under its name, in 16 bits, beside those of other nets that the file holds."""
    tensors = load_file(path) if path.exists() else {}
    for name, net in nets.items():
        tensors |= {f"{name}.{key}": t.half().contiguous() for key, t in net.state_dict().items()}
    save_file(tensors, path)
    path.chmod(0o644)  # safetensors makes files that only their owner can read


if __name__ == "__main__":
    main()

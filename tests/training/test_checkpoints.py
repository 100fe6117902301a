"""A run that was stopped goes on as if it had not been; a file that does not fit says why."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from nets import equal, images, points, ring, squares
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from coursekit import files
from coursekit.errors import CheckpointError, InputError, TrainingError
from coursekit.runtime import generator, seeded
from coursekit.training import checkpoints
from coursekit.training.checkpoints import kept, resume, save
from coursekit.training.classify import Learner, LearnerConfig, train_classifier
from coursekit.training.gan import Gan, GanConfig, train_gan
from coursekit.training.run import Run


def gan(steps: int = 20, **changes: Any) -> Gan:
    """Batch norm, dropout, an average, several updates of D, fused Adam in another memory layout: all that can go astray."""
    options = {"latent": 4, "d_steps": 2, "ema": 0.9, "channels_last": True} | changes
    data = generator(7)
    made = Gan(*images(), GanConfig(steps=steps, **options), generators={"data": data})
    made.drawn = lambda k: torch.rand(6, 1, 8, 8, generator=data) * 2 - 1  # data from a generator of its own
    return made


def learner(steps: int = 20, **changes: Any) -> Learner:
    with seeded(0):
        net = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)
        )
    made = Learner(net, LearnerConfig(steps=steps, **changes))
    made.drawn = lambda k: (squares(6)(k), torch.arange(6) % 3)
    return made


LOOPS: dict[str, tuple[Callable[..., Run], Callable[..., Any]]] = {
    "gan": (gan, train_gan),
    "classifier": (learner, train_classifier),
}
each_loop = pytest.mark.parametrize("name", LOOPS)


def everything(run: Run) -> dict[str, Any]:
    parts = run.parts()
    return {
        "step": run.step,
        "networks": {k: dict(net.state_dict()) for k, net in parts.networks.items()},
        "optimizers": {k: o.state_dict() for k, o in parts.optimizers.items()},
        "generators": {k: g.get_state() for k, g in parts.generators.items()},
    }


@each_loop
def test_ten_steps_and_ten_after_a_restart_equal_twenty_bit_for_bit(name: str, tmp_path: Path) -> None:
    make, train = LOOPS[name]
    straight = make()
    expected = list(train(straight, straight.drawn))

    stopped = make()
    first = list(itertools.islice(kept(train(stopped, stopped.drawn), stopped, tmp_path / "run"), 10))
    del stopped  # all that is left is the file
    again = make()
    assert resume(again, tmp_path / "run") == 10
    rest = list(kept(train(again, again.drawn), again, tmp_path / "run"))

    assert first + rest == expected and len(expected) == 20
    assert equal(everything(again), everything(straight))
    done = make()
    assert resume(done, tmp_path / "run") == 20 and equal(everything(done), everything(straight))
    assert list(train(done, done.drawn)) == []


def test_moments_take_the_memory_layout_of_their_weights(tmp_path: Path) -> None:
    """Fused Adam walks through both side by side: in another order it would pair them wrongly."""
    one, two = gan(steps=2), gan(steps=2)
    list(train_gan(one, one.drawn))
    save(one, tmp_path / "run")
    resume(two, tmp_path / "run")
    strides = {p.stride() for p in two.discriminator.parameters() if p.ndim == 4 and p.shape[1] > 1}
    assert strides == {(128, 1, 32, 8)}
    for p, state in two.d_adam.state.items():
        assert state["exp_avg"].stride() == p.stride() == state["exp_avg_sq"].stride()


def test_where_there_is_no_file_nothing_happens(tmp_path: Path) -> None:
    run, other = gan(), gan()
    assert resume(run, tmp_path / "absent") == 0 and equal(everything(run), everything(other))


def test_a_checkpoint_is_saved_every_so_often_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    monkeypatch.setattr(checkpoints, "save", lambda run, path: saved.append(run.step))
    run = gan(steps=10)
    list(kept(train_gan(run, run.drawn), run, tmp_path / "run", every=4))
    assert saved == [0, 4, 8, 10]
    with pytest.raises(InputError, match="every"):
        next(kept(train_gan(run, run.drawn), run, tmp_path / "run", every=0))


def test_a_run_may_go_on_for_longer(tmp_path: Path) -> None:
    short, long = gan(steps=3), gan(steps=5)
    list(kept(train_gan(short, short.drawn), short, tmp_path / "run"))
    assert resume(long, tmp_path / "run") == 3
    assert [r.step for r in train_gan(long, long.drawn)] == [3, 4]


def test_an_interrupt_in_the_middle_of_a_step_leaves_the_last_good_file(tmp_path: Path) -> None:
    """Ctrl-C where it cannot wait for the end of the step: D has moved, G has not, so this step is not kept."""
    run, straight = gan(), gan()

    def batches(k: int) -> Tensor:
        if k == 2 * 7 + 1:  # the second update of D in step 7
            raise KeyboardInterrupt
        return run.drawn(k)

    with pytest.raises(KeyboardInterrupt):
        list(kept(train_gan(run, batches), run, tmp_path / "run", every=5))
    again = gan()
    assert resume(again, tmp_path / "run") == 5
    rest = list(train_gan(again, again.drawn))
    assert rest == list(train_gan(straight, straight.drawn))[5:] and equal(everything(again), everything(straight))


@pytest.fixture(autouse=True)
def interrupts_arrive() -> Iterator[None]:
    """A shell starts what it puts in the background with interrupts ignored, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_waits_for_the_end_of_the_step(tmp_path: Path) -> None:
    run, again, straight = gan(), gan(), gan()

    def batches(k: int) -> Tensor:
        if k == 2 * 7 + 1:
            signal.raise_signal(signal.SIGINT)
        return run.drawn(k)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        list(kept(train_gan(run, batches), run, tmp_path / "run", every=5))
    assert signal.getsignal(signal.SIGINT) is before and run.whole
    assert resume(again, tmp_path / "run") == 8  # step 7 is done
    list(train_gan(again, again.drawn)), list(train_gan(straight, straight.drawn))
    assert equal(everything(again), everything(straight))


def test_a_second_interrupt_does_not_wait(tmp_path: Path) -> None:
    run = gan()

    def batches(k: int) -> Tensor:
        if k == 2 * 7:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            pytest.fail("still here")
        return run.drawn(k)

    with pytest.raises(KeyboardInterrupt):
        list(kept(train_gan(run, batches), run, tmp_path / "run", every=5))
    assert not run.whole and resume(gan(), tmp_path / "run") == 5


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from nets import points, ring
from coursekit.training.checkpoints import kept
from coursekit.training.gan import Gan, GanConfig, train_gan

gan = Gan(*points(), GanConfig(steps=10**9, latent=4))
for record in kept(train_gan(gan, ring(8)), gan, sys.argv[2], every=10**9):
    print(record.step, flush=True)
"""


def test_a_real_interrupt_of_a_real_process_keeps_a_checkpoint(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if int(line) >= 5:
                break
        os.kill(process.pid, signal.SIGINT)
        rest, errors = process.stdout.read(), process.stderr.read()  # (`communicate` would lose what is buffered)
    assert process.returncode == -signal.SIGINT and errors.rstrip().endswith("KeyboardInterrupt")
    printed = [line, *rest.splitlines()]
    run = Gan(*points(), GanConfig(steps=10**9, latent=4))
    done = resume(run, tmp_path / "run")
    # The step under way was finished and kept; whether it was also printed depends on where the signal came.
    assert done - 1 - int(printed[-1]) in (0, 1)
    straight = Gan(*points(), GanConfig(steps=done, latent=4))
    list(train_gan(straight, ring(8)))
    assert equal(everything(run), everything(straight))


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    run = gan()

    def batches(k: int) -> Tensor:
        return run.drawn(k) * (torch.nan if k >= 2 * 7 else 1.0)

    with pytest.raises(TrainingError, match="step 7, the discriminator: the loss is nan"):
        list(kept(train_gan(run, batches), run, tmp_path / "run", every=5))
    assert resume(gan(), tmp_path / "run") == 5


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    run = gan()
    save(run, tmp_path / "run")
    before = (tmp_path / "run").read_bytes()
    with torch.no_grad():
        run.generator[0].weight[0, 0] = torch.inf
    with pytest.raises(TrainingError, match=r"step 0: networks/generator/0\.weight is not finite"):
        save(run, tmp_path / "run")
    assert (tmp_path / "run").read_bytes() == before


def test_a_crash_while_writing_leaves_the_file_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = gan(steps=5)
    save(run, tmp_path / "run")

    def full(self: Path, content: bytes) -> int:
        with open(self, "wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError("No space left on device")

    list(train_gan(run, run.drawn))
    monkeypatch.setattr(files.Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        save(run, tmp_path / "run")
    monkeypatch.undo()
    assert resume(gan(), tmp_path / "run") == 0 and [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_file_that_is_further_on_is_not_overwritten(tmp_path: Path) -> None:
    """Somebody forgot to resume: hours of training would be lost to the first save."""
    run = gan(steps=4)
    list(kept(train_gan(run, run.drawn), run, tmp_path / "run"))
    before = (tmp_path / "run").read_bytes()
    fresh = gan()
    with pytest.raises(CheckpointError, match=r"holds step 4, and this run is at step 0.*resume\(run, path\) first"):
        next(kept(train_gan(fresh, fresh.drawn), fresh, tmp_path / "run"))
    assert (tmp_path / "run").read_bytes() == before


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A checkpoint of step 2."""
    run = gan(steps=2)
    list(kept(train_gan(run, run.drawn), run, tmp_path / "run"))
    return tmp_path / "run"


def refused(path: Path, message: str, run: Run | None = None) -> None:
    run = run or gan()
    before = everything(run)
    before = {k: v if isinstance(v, int) else pickle.loads(pickle.dumps(v)) for k, v in before.items()}
    with pytest.raises(CheckpointError, match=message) as caught:
        resume(run, path)
    assert str(path) in str(caught.value)
    assert equal(everything(run), before)  # a file that is refused has changed nothing


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(file: Path, share: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    refused(file, "cannot be read as safetensors .* truncated, corrupt or of another kind; expected")


def test_a_flipped_bit_is_noticed(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)
    refused(file, "its content has changed since it was written")


def test_a_header_that_was_edited_is_noticed(file: Path) -> None:
    content = file.read_bytes()
    edited, count = re.subn(rb'(step\\*": )2', rb"\g<1>9", content)  # JSON within JSON: its quotes carry backslashes
    assert count == 1 and len(edited) == len(content)
    file.write_bytes(edited)
    refused(file, "its content has changed since it was written")


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(tmp_path / "ran"),))

    (tmp_path / "run").write_bytes(pickle.dumps(Bomb()))
    refused(tmp_path / "run", "cannot be read as safetensors")
    torch.save({"bomb": Bomb()}, tmp_path / "run")
    refused(tmp_path / "run", "cannot be read as safetensors")
    assert not (tmp_path / "ran").exists()


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "cannot be read")


def test_weights_alone_are_no_checkpoint(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(2)}, tmp_path / "run")
    refused(tmp_path / "run", "is safetensors but no checkpoint")
    save_file(
        {"w": torch.zeros(2)},
        tmp_path / "run",
        metadata={"coursekit": json.dumps({"format": "coursekit checkpoint 0"})},
    )
    refused(tmp_path / "run", "is safetensors but no checkpoint")


def test_another_configuration_is_refused_and_every_difference_named(file: Path) -> None:
    refused(
        file,
        r"another configuration \(ema: 0\.9 in the file, 0\.5 here; lr_g: 0\.0002 in the file, 0\.1 here\)",
        gan(lr_g=0.1, ema=0.5),
    )
    refused(file, "another configuration", learner())


def test_another_network_is_refused(file: Path) -> None:
    wide = gan()
    wide.discriminator[0] = nn.Conv2d(1, 16, 4, 2, 1)
    refused(file, r"networks/discriminator/0\.bias is float32 \(8,\), expected float32 \(16,\)", wide)
    deep = gan()
    deep.generator.append(nn.Linear(8, 8))
    refused(file, r"networks/generator/7\.bias is absent, expected float32 \(8,\)", deep)


def test_an_optimiser_of_other_weights_is_refused(file: Path) -> None:
    """torch itself loads such a state without a word."""
    run = gan()
    run.d_adam.param_groups[0]["params"].reverse()
    refused(file, "the state of the optimiser 'discriminator' does not fit", run)
    run = gan()
    del run.d_adam.param_groups[0]["params"][-1]
    refused(file, "the state of the optimiser 'discriminator' does not fit", run)


def test_tied_weights_are_saved(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(4, 4, bias=False)
            self.two = nn.Linear(4, 4, bias=False)
            self.two.weight = self.one.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.two(torch.relu(self.one(x)))

    runs = []
    for _ in range(2):
        with seeded(0):
            runs.append(Learner(Tied(), LearnerConfig(steps=2)))
    list(train_classifier(runs[0], lambda k: (torch.randn(6, 4, generator=generator(k)), torch.arange(6) % 4)))
    save(runs[0], tmp_path / "run")
    resume(runs[1], tmp_path / "run")
    assert equal(everything(runs[0]), everything(runs[1])) and runs[1].net.one.weight is runs[1].net.two.weight


def test_equal_runs_write_equal_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run = gan(steps=2)
        list(kept(train_gan(run, run.drawn), run, tmp_path / name))
        time.sleep(0.01)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert {"networks/average/0.weight", "generators/noise"} < load_file(tmp_path / "one").keys()


def test_an_interrupt_handler_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append("theirs"))
    try:
        run = Gan(*points(), GanConfig(steps=3, latent=4))

        def batches(k: int) -> Tensor:
            signal.raise_signal(signal.SIGINT)
            return ring(8)(k)

        assert len(list(kept(train_gan(run, batches), run, tmp_path / "run"))) == 3 and seen == ["theirs"] * 3
    finally:
        signal.signal(signal.SIGINT, before)

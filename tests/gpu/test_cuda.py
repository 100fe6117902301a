"""Networks and loops on CUDA give what they give on the CPU.

Run them with ``pytest -m gpu``. Tolerances, relative to the largest number of the compared tensor:

- float32: 1e-4. Both devices round sums in another order; TF32, which keeps 10 bits, is switched off here.
- bfloat16: it keeps 8 bits, so one rounding is off by at most 2^-9 = 0.002 of the number; 0.03 allows for the errors of some
  ten layers, which add up like their square root and a little more.
- training: the differences of a step are fed to the next one, so the steps compared are few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from coursekit import losses
from coursekit.datasets import birds
from coursekit.models.captioner import Captioner
from coursekit.models.class_conditional import ClassDiscriminator, ClassGenerator
from coursekit.models.classifier import Classifier
from coursekit.models.dcgan import Discriminator, Generator
from coursekit.models.language import LanguageModel
from coursekit.models.points import PointCritic, PointGenerator
from coursekit.runtime import fabric, generator, precision, seeded
from coursekit.training.classify import Learner, LearnerConfig, train_classifier
from coursekit.training.gan import Gan, GanConfig, train_gan
from coursekit.training.loop import descend

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="torch finds no CUDA device: a GPU, its driver and a CUDA torch"
    ),
]
CUDA = "cuda"
EXACT, HALF = 1e-4, 0.03


@pytest.fixture(autouse=True)
def no_tf32() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def close(on_cpu: Tensor, on_cuda: Tensor, tolerance: float) -> None:
    on_cpu, on_cuda = on_cpu.detach().float(), on_cuda.detach().float().cpu()
    assert on_cpu.shape == on_cuda.shape and on_cuda.isfinite().all()
    off = ((on_cpu - on_cuda).abs().max() / on_cpu.abs().max().clamp_min(1e-12)).item()
    assert off <= tolerance, f"off by {off:.2e} of the largest, allowed {tolerance}"


Z = torch.randn(5, 64, generator=generator(4))
IDS = torch.randint(11, (5, 7), generator=generator(0))
BIRDS = birds.render(birds.sample(5, generator=generator(1)), generator=generator(2))
MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[Tensor, ...]]] = {
    "captioner": (lambda: Captioner(11), (BIRDS, IDS)),
    "captioner with attention": (lambda: Captioner(11, attention=True), (BIRDS, IDS)),
    "language model": (lambda: LanguageModel(11, layers=2), (IDS,)),
    "classifier": (lambda: Classifier(["a", "b", "c"], widths=(8, 16, 32)), (BIRDS,)),
    "DCGAN generator": (lambda: Generator(latent=64, width=8, fine=6), (Z,)),
    "DCGAN discriminator": (lambda: Discriminator(width=8), (BIRDS,)),
    "DCGAN discriminator with spectral norm": (lambda: Discriminator(width=8, norm="spectral", fine=6), (BIRDS,)),
    "point generator": (lambda: PointGenerator(latent=64), (Z,)),
    "point critic": (lambda: PointCritic(statistic=True), (Z[:, :2],)),
    "class-conditional generator": (lambda: ClassGenerator(classes=3, width=8), (Z, IDS[:, 0] % 3)),
    "class-conditional discriminator": (
        lambda: ClassDiscriminator(classes=3, channels=3, width=8),
        (BIRDS, IDS[:, 0] % 3),
    ),
}


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("name", MODELS)
def test_a_network_gives_the_values_and_gradients_of_the_cpu(name: str, half: bool) -> None:
    make, inputs = MODELS[name]
    outs, gradients = [], []
    for kind in ("cpu", CUDA):
        with seeded(0):
            net = make().to(kind)
        with torch.autocast(kind, torch.bfloat16, enabled=half and kind == CUDA):  # the CPU stays exact, as the witness
            out = net(*(x.to(kind) for x in inputs))
        out = out[0] if isinstance(out, tuple) else out
        out.float().square().mean().backward()
        outs.append(out)
        gradients.append(torch.cat([p.grad.float().cpu().flatten() for p in net.parameters()]))
    close(*outs, tolerance=HALF if half else EXACT)
    # A gradient goes through the network twice, there and back.
    close(*gradients, tolerance=2 * HALF if half else 10 * EXACT)


def test_greedy_captions_are_the_same() -> None:
    said = []
    for kind in ("cpu", CUDA):
        with seeded(0):
            net = Captioner(11, attention=True).to(kind)
        said.append(net.greedy(BIRDS.to(kind), bos=1, eos=2, limit=6))
    assert torch.equal(said[0].ids, said[1].ids.cpu())
    close(said[0].attention, said[1].attention, EXACT)


def dcgan() -> tuple[nn.Module, nn.Module]:
    with seeded(0):
        G = nn.Sequential(
            nn.Linear(16, 32 * 4 * 4), nn.Unflatten(1, (32, 4, 4)), nn.ConvTranspose2d(32, 32, 4, 2, 1), nn.BatchNorm2d(32),
            nn.ReLU(), nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.ConvTranspose2d(16, 3, 4, 2, 1), nn.Tanh(),
        )  # fmt: skip
        D = nn.Sequential(
            nn.Conv2d(3, 16, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, 32, 4, 2, 1), nn.BatchNorm2d(32), nn.LeakyReLU(0.2),
            nn.Conv2d(32, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(32 * 4 * 4, 1),
        )  # fmt: skip
    return G, D


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("game", ["NON_SATURATING", "HINGE"])
def test_the_adversarial_loop_records_what_it_records_on_the_cpu(game: str, half: bool) -> None:
    def batches(k: int) -> Tensor:
        return birds.render(birds.sample(16, generator=generator(k)), generator=generator(1000 + k))

    runs, steps = [], 3
    for kind in ("cpu", CUDA):
        config = GanConfig(steps=steps, latent=16, d_steps=2, ema=0.9, channels_last=True)
        bits = "bf16-mixed" if half and kind == CUDA else "32-true"
        gan = Gan(*dcgan(), config, game=getattr(losses, game), fabric=fabric(on=kind, precision=bits))
        runs.append((list(train_gan(gan, batches)), gan.sample(4)))
        assert next(gan.generator.parameters()).device.type == kind
    for one, other in zip(runs[0][0], runs[1][0]):
        for name in ("d_loss", "g_loss", "d_real", "d_fake"):
            # Of order 1, though some pass through 0: absolute. Adam's first steps are signs, so rounding can turn small ones.
            assert getattr(one, name) == pytest.approx(getattr(other, name), abs=0.1 if half else 5e-3), (
                one.step,
                name,
            )
    close(runs[0][1], runs[1][1], 0.2 if half else 0.02)


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
def test_the_supervised_loop_records_what_it_records_on_the_cpu(half: bool) -> None:
    runs = []
    for kind in ("cpu", CUDA):
        with seeded(0):
            net = Classifier(["a", "b", "c"], widths=(8, 16))
        bits = "bf16-mixed" if half and kind == CUDA else "32-true"
        learner = Learner(net, LearnerConfig(steps=4, channels_last=True), fabric=fabric(on=kind, precision=bits))
        runs.append(list(train_classifier(learner, lambda k: (BIRDS, torch.tensor([0, 1, 2, 0, 1])))))
    for one, other in zip(*runs):
        assert one.loss == pytest.approx(other.loss, abs=0.05 if half else 2e-3) and one.lr == other.lr


def test_the_plain_loop_records_what_it_records_on_the_cpu() -> None:
    runs = []
    for kind in ("cpu", CUDA):
        with seeded(0):
            net = LanguageModel(11).to(kind)
        ids = IDS.to(kind)

        def loss(step: int, net: nn.Module = net, ids: Tensor = ids) -> Tensor:
            logits, _ = net(ids[:, :-1])
            return nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())

        adam = torch.optim.Adam(net.parameters(), lr=1e-2)
        runs.append(list(descend(list(net.parameters()), loss, adam, steps=range(10))))
    assert [r.loss for r in runs[0]] == pytest.approx([r.loss for r in runs[1]], abs=1e-3)


def test_losses_are_the_same() -> None:
    scores = 5 * torch.randn(64, generator=generator(0))
    for game in (losses.MINIMAX, losses.NON_SATURATING, losses.LEAST_SQUARES, losses.HINGE, losses.WASSERSTEIN):
        close(game.d(scores, -scores), game.d(scores.to(CUDA), -scores.to(CUDA)), EXACT)
        close(game.g(scores), game.g(scores.to(CUDA)), EXACT)


def test_the_kit_knows_whether_bfloat16_is_fast() -> None:
    """Ampere (compute capability 8) and later multiply it in hardware."""
    assert (precision(CUDA) == "bf16-mixed") == (torch.cuda.get_device_capability()[0] >= 8)


def test_a_checkpoint_of_one_device_goes_on_on_the_other(tmp_path: object) -> None:
    from coursekit.training.checkpoints import resume, save

    path = tmp_path / "run"  # type: ignore[operator]
    for writer, reader in (("cpu", CUDA), (CUDA, "cpu")):
        one, two = (Gan(*dcgan(), GanConfig(steps=2, latent=16), fabric=fabric(on=kind)) for kind in (writer, reader))
        for _ in train_gan(one, lambda k: BIRDS):
            pass
        save(one, path)
        assert resume(two, path) == 2
        close(one.sample(3), two.sample(3), EXACT) if writer == "cpu" else close(two.sample(3), one.sample(3), EXACT)
        for p, q in zip(one.generator.parameters(), two.generator.parameters()):
            assert torch.equal(p.detach().cpu(), q.detach().cpu())
        two.config = GanConfig(steps=3, latent=16)
        assert [r.step for r in train_gan(two, lambda k: BIRDS)] == [2]

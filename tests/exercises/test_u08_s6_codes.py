"""The references of section 6 against scikit-learn's neighbours, closed forms and torch's own mask."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn

from coursekit.exercises.u08_text_to_image.asked.s6_codes import TinyWriter
from coursekit.exercises.u08_text_to_image.known import s6_codes as known
from coursekit.exercises.u08_text_to_image.nets import made
from coursekit.runtime import generator


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("code", [known.RESIDUAL_CODES.reference, known.residual_codes])
def test_codes_are_scikit_learns_neighbours(code) -> None:
    z, book = normal(2, 3, 4, 5, seed=1), normal(9, 3, seed=2)
    search = NearestNeighbors(n_neighbors=1).fit(book.numpy())
    rest, codes = z.permute(0, 2, 3, 1).reshape(-1, 3), []
    for _ in range(3):
        nearest = torch.from_numpy(search.kneighbors(rest.numpy(), return_distance=False)[:, 0])
        codes.append(nearest.view(2, 4, 5))
        rest = rest - book[nearest]
    got, total = code(z, book, 3)
    assert torch.equal(got, torch.stack(codes, 1)) and got.dtype == torch.int64
    torch.testing.assert_close(total, z - rest.view(2, 4, 5, 3).permute(0, 3, 1, 2))


@pytest.mark.parametrize("code", [known.RESIDUAL_CODES.reference, known.residual_codes])
def test_more_depth_is_nearer_where_the_book_holds_zero(code) -> None:
    z = normal(1, 3, 6, 6, seed=3)
    book = torch.cat([torch.zeros(1, 3, dtype=torch.float64), 0.6 * normal(30, 3, seed=4)])
    errors = [float((code(z, book, depth)[1] - z).square().sum()) for depth in (1, 2, 3, 4)]
    assert all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise(errors)) and errors[3] < errors[0] / 4


@pytest.mark.parametrize("quantise", [known.QUANTISE.reference, known.quantise])
def test_quantised_features_and_their_gradients_in_closed_form(quantise) -> None:
    z, book = normal(2, 3, 2, 2, seed=1).requires_grad_(), normal(4, 3, seed=2).requires_grad_()
    codes = torch.tensor([[[0, 1], [1, 1]], [[2, 0], [2, 2]]])
    q, loss = quantise(z, book, codes, 0.25)
    e = nn.functional.embedding(codes, book).permute(0, 3, 1, 2).detach()
    torch.testing.assert_close(q.detach(), e)
    torch.testing.assert_close(loss.detach(), 1.25 * (z.detach() - e).pow(2).sum((1, 2, 3)) / 4)
    top = normal(2, 3, 2, 2, seed=3)
    got = torch.autograd.grad((q * top).sum(), (z, book), retain_graph=True, allow_unused=True)
    torch.testing.assert_close(got[0], top)
    assert got[1] is None or not got[1].any()
    of_z, of_book = torch.autograd.grad(loss.sum(), (z, book))
    torch.testing.assert_close(of_z, 0.25 * 2 * (z.detach() - e) / 4)
    # The minimum of the codebook's loss is the mean of the features that chose a code: there the slope is 0.
    rows, flat = z.detach().permute(0, 2, 3, 1).reshape(-1, 3), codes.flatten()
    for k in range(3):
        chose = rows[flat == k]
        torch.testing.assert_close(of_book[k], 2 * len(chose) * (book[k].detach() - chose.mean(0)) / 4)
    assert not of_book[3].any()


@pytest.mark.parametrize("nll", [known.CODE_NLL.reference, known.code_nll])
def test_costs_are_those_of_a_network_that_reads_one_more_code_at_a_time(nll) -> None:
    """The chain rule, place by place: a sequence that ends there has nothing to look ahead at."""
    net = made(TinyWriter, 3, torch.float64)
    text, codes = torch.tensor([[6, 8], [7, 7]]), torch.tensor([[0, 4, 2], [3, 3, 1]])
    nats = nll(net, text, codes, 5)
    for place in range(3):
        before = torch.cat([text, torch.full((2, 1), 5), codes[:, :place]], 1)
        size = before.shape[1]
        hidden = nn.Transformer.generate_square_subsequent_mask(size).isinf()
        hidden[:2, :2] = False
        logits = net(before, hidden)[:, -1]
        torch.testing.assert_close(
            nats[:, place], nn.functional.cross_entropy(logits, codes[:, place], reduction="none")
        )
    nn.init.zeros_(net.head.weight)
    nn.init.zeros_(net.head.bias)
    torch.testing.assert_close(nll(net, text, codes, 5), torch.full((2, 3), math.log(9), dtype=torch.float64))

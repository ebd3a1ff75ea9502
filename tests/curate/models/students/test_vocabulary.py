"""Normalisers of large vocabularies: screened against computed in full."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from curate.models.students import vocabulary
from curate.models.students.packing import HIGHEST_RANK, Target
from curate.models.students.vocabulary import Vocabulary, Wanted

ENTRIES, WIDTH, ROWS = 70_000, 48, 96


class Drawn:
    """The last layer of a model, drawn; a few entries of each row hold most of the mass."""

    def __init__(self, **config: Any) -> None:
        torch.manual_seed(3)
        self.layer = torch.nn.Linear(WIDTH, ENTRIES, bias=False)
        torch.nn.init.normal_(self.layer.weight, std=0.5)
        self.states = torch.randn(ROWS, WIDTH)
        self.config = SimpleNamespace(get_text_config=lambda: SimpleNamespace(**config))

    def get_output_embeddings(self) -> Any:
        return self.layer


def logs(head: Vocabulary, states: Any, exact: bool) -> Any:
    ids = (np.arange(len(states)) * 731) % ENTRIES
    which = np.full(len(states), exact)
    rows = np.arange(len(states))
    none = np.zeros(len(states), dtype=np.bool_)
    with torch.inference_mode():
        return np.array(head.values(states, rows, ids.tolist(), which, none).logs)


@pytest.fixture
def screening(monkeypatch: pytest.MonkeyPatch) -> None:
    """Screen on any CPU: without AMX it is slower and gives the same."""
    monkeypatch.setattr(vocabulary, "_has_amx", lambda: True)


@pytest.mark.usefixtures("screening")
@pytest.mark.parametrize(
    "config", [{}, {"final_logit_softcapping": 20.0}, {"logits_scaling": 2.0}, {"logit_scale": 0.5}]
)
def test_screened_agrees_with_full(config: dict[str, float]) -> None:
    drawn = Drawn(**config)
    head = Vocabulary(drawn)
    assert head.screens
    gaps = logs(head, drawn.states, exact=False) - logs(head, drawn.states, exact=True)
    assert np.abs(gaps).max() > 0, "else nothing was screened"
    assert np.sqrt(np.square(gaps).mean()) < vocabulary._DOUBT
    assert abs(gaps.mean()) < 1e-4, "as a span of as many tokens would see it"


@pytest.mark.usefixtures("screening")
def test_rows_read_for_more_than_a_sum_are_not_screened() -> None:
    drawn = Drawn()
    head = Vocabulary(drawn)
    rows, ids = np.arange(ROWS), ((np.arange(ROWS) * 731) % ENTRIES).tolist()
    wanted = rows % 3 == 0
    with torch.inference_mode():
        whole = torch.log_softmax(drawn.layer(drawn.states).double(), dim=-1)
        values = head.values(drawn.states, rows, ids, np.zeros_like(wanted), wanted)
    logs, entropies, ranks = map(np.array, values)
    assert logs[wanted] == pytest.approx(whole[rows, ids].numpy()[wanted], abs=1e-5)
    expected = torch.special.entr(whole.exp()).sum(dim=-1).numpy()
    assert entropies[wanted] == pytest.approx(expected[wanted], abs=1e-5)
    assert np.isnan(entropies[~wanted]).all()
    assert (ranks[~wanted] == 0).all()


def test_ranks_are_counted_over_all_tiles_for_every_token_of_a_row() -> None:
    drawn = Drawn()
    # Of each row the likeliest, some further down, and one beyond the last rank that is told.
    with torch.inference_mode():
        logits = drawn.layer(drawn.states)
        order = logits.argsort(dim=-1, descending=True)
    depths = [0, 1, 37, 98, 99, 100, 30_000]
    rows = np.array([row for depth in depths for row in range(depth % 5, ROWS)])
    ids = [int(order[row, depth]) for depth in depths for row in range(depth % 5, ROWS)]
    expected = [min(depth + 1, HIGHEST_RANK) for depth in depths for _ in range(depth % 5, ROWS)]
    every = np.ones(ROWS, dtype=np.bool_)
    with torch.inference_mode():
        values = Vocabulary(drawn).values(drawn.states, rows, ids, every, every)
    assert list(values.ranks) == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_as_likely_is_not_ahead(dtype: Any) -> None:
    drawn = Drawn()
    drawn.layer = drawn.layer.to(dtype)
    with torch.no_grad():
        drawn.layer.weight[60_000] = drawn.layer.weight[3]
    states = 4 * drawn.layer.weight[[3, 60_000]].detach()
    rows, every = np.arange(2), np.ones(2, dtype=np.bool_)
    with torch.inference_mode():
        values = Vocabulary(drawn).values(states, rows, [3, 60_000], every, every)
    assert values.ranks == [1, 1]


@pytest.mark.usefixtures("screening")
@pytest.mark.parametrize("config", [{}, {"final_logit_softcapping": 20.0}, {"logits_scaling": 2.0}])
def test_full_is_the_definition(config: dict[str, float]) -> None:
    drawn = Drawn(**config)
    logits = drawn.states.double() @ drawn.layer.weight.T.double() / config.get("logits_scaling", 1)
    if cap := config.get("final_logit_softcapping"):
        logits = torch.tanh(logits / cap) * cap
    ids = (torch.arange(ROWS) * 731) % ENTRIES
    expected = torch.log_softmax(logits, dim=-1)[torch.arange(ROWS), ids].detach().numpy()
    assert np.abs(logs(Vocabulary(drawn), drawn.states, exact=True) - expected).max() < 1e-5


def test_single_logits_are_rounded_as_those_of_the_normaliser_are() -> None:
    drawn = Drawn()
    drawn.layer = drawn.layer.to(torch.bfloat16)
    # States along entries, so that these hold nearly all of their rows' mass.
    states = 4 * drawn.layer.weight[(torch.arange(ROWS) * 731) % ENTRIES].detach()
    found = logs(Vocabulary(drawn), states, exact=True)
    with torch.inference_mode():
        logits = drawn.layer(states).float()
    picked = (torch.arange(ROWS), (torch.arange(ROWS) * 731) % ENTRIES)
    expected = torch.log_softmax(logits, dim=-1)[picked].numpy()
    assert found.max() <= 0
    assert np.abs(found - expected).max() < 1e-5, "logits of 40 are 4e-6 apart in float32"


@pytest.mark.usefixtures("screening")
def test_rows_in_doubt_are_done_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Drawn()
    head = Vocabulary(drawn)
    # Logits in the hundreds are off by whole nats in bfloat16.
    states = torch.cat([drawn.states[:40], 30 * drawn.states[40:]])
    done: list[int] = []
    original = head._normalisers

    def counted(some: Any) -> Any:
        done.append(len(some))
        return original(some)

    monkeypatch.setattr(head, "_normalisers", counted)
    screened = logs(head, states, exact=False)
    again = sum(done)
    assert 0 < again < ROWS
    full = logs(head, states, exact=True)
    assert np.sqrt(np.square(screened - full).mean()) < vocabulary._DOUBT


def test_only_what_a_short_span_reads_must_be_exact() -> None:
    # The rationale's last token and the answer's first are predicted by neighbours; both spans of
    # the second target read state 4.
    long, short = (1, 40), (41, 44)
    targets = [Target(tuple(range(50)), (short, long)), Target(tuple(range(50)), (long, (5, 6)))]
    paths = [np.arange(50), 50 + np.arange(50)]
    wanted = Wanted.of([0, 1], targets, paths)
    assert wanted.places[wanted.exact].tolist() == [40, 41, 42, 54]
    assert len(wanted.places) == 39 + 3 + 39


def test_a_small_vocabulary_or_another_type_is_never_screened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vocabulary, "_has_amx", lambda: True)
    drawn = Drawn()
    assert Vocabulary(drawn).screens
    drawn.layer = drawn.layer.to(torch.bfloat16)
    assert not Vocabulary(drawn).screens
    drawn.layer = torch.nn.Linear(WIDTH, 1000, bias=False)
    assert not Vocabulary(drawn).screens
    monkeypatch.setattr(vocabulary, "_has_amx", lambda: False)
    assert not Vocabulary(Drawn()).screens

"""What the report foresees of another threshold is what a run under that threshold gives."""

from pathlib import Path

import numpy as np
import pytest

from curate.engine.run import RunResult
from curate.report.html.audit import Audit
from curate.report.html.frontier import frontier
from curate.report.html.what_if import WhatIf, what_ifs
from tests.curate.imported_sums import do, write

LENGTH = "{use: length, unit: words, min: 2, max: 12}"
DIVERSITY = "{use: diversity, by: [path], near_duplicate: 0.3}"
CHAINS = {
    "last": f"[{{use: completeness}}, {{use: correctness}}, {LENGTH}]",
    "before correctness": f"[{{use: completeness}}, {LENGTH}, {{use: correctness}}]",
    "before siblings": f"[{{use: completeness}}, {LENGTH}, {{use: correctness}}, {DIVERSITY}]",
    "before a pass rate": f"[{LENGTH}, {{use: correctness}}, {{use: consistency, min: 0.7}}]",
    "before a high rate": f"[{LENGTH}, {{use: correctness}}, {{use: consistency, max: 0.9}}]",
    "before all questions": f"[{LENGTH}, {{use: correctness}}, {{use: duplicates, jaccard: 0.4}}]",
}
FREE = ("arms=[random]", "select.one_per=null")


@pytest.fixture(scope="module", params=CHAINS)
def chain(request: pytest.FixtureRequest) -> str:
    return CHAINS[request.param]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("what-if")
    write(folder)
    return folder


@pytest.fixture(autouse=True)
def _store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_STORE", str(folder / "store"))


def run(folder: Path, chain: str, *overrides: str) -> RunResult:
    return do(folder, f"filters={chain}", *FREE, *overrides)


def at(curve: WhatIf, value: float) -> tuple[int, int]:
    """Read the least and the most rows off a curve of a ``max``, between its points too."""
    place = int(np.searchsorted(curve.values, value, side="right")) - 1
    if place < 0:
        return 0, 0  # below all that were compared
    return int(curve.sure[place]), int(curve.sure[place] + curve.unsure[place])


def test_moving_a_threshold_gives_what_the_curve_says(folder: Path, chain: str) -> None:
    found = what_ifs(Audit.read(run(folder, chain).folder))
    longest = next(one for one in found if (one.filter, one.parameter) == ("length", "max"))
    moved = False
    for value in (2, 3, 5, 7, 8, 11, 12, 14, 17, 30):
        funnel = run(folder, chain, f"filters.length.max={value}").funnel
        least, most = at(longest, value)
        live = funnel.filters[-1].live
        assert least <= live <= most, value
        moved |= live != longest.sure[list(longest.values).index(longest.now)]
        if chain == CHAINS["last"]:
            assert least == most, "nothing behind it: stored scores suffice"
    assert moved
    assert longest.now == 12
    assert (longest.unsure[longest.values == 12] == 0).all(), "the present is known"


def test_a_curve_rises_with_what_its_side_lets_in(folder: Path, chain: str) -> None:
    for curve in what_ifs(Audit.read(run(folder, chain).folder)):
        most = (curve.sure + curve.unsure)[curve.values != curve.now]
        steps = np.diff(most) if curve.side == "max" else -np.diff(most)
        assert (steps >= 0).all()
        assert (curve.unsure >= 0).all()


def test_a_smaller_budget_takes_what_the_frontier_says(folder: Path) -> None:
    whole = run(folder, CHAINS["before siblings"], "select.per_question=2")
    found = frontier(Audit.read(whole.folder))
    assert found is not None
    assert found.clusters is not None
    assert found.rows[-1] == whole.funnel.picks[0].rows
    for place in (3, len(found.rows) // 2, len(found.rows) - 2):
        budget = int(found.rows[place])
        less = run(
            folder, CHAINS["before siblings"], "select.per_question=2",
            f"select.budget.rows={budget}",
        )  # fmt: skip
        taken = less.audit.filter("selected")
        assert taken.height == budget
        assert taken["question_id"].n_unique() == found.questions[place]
        assert taken.select("question_id", "cluster").n_unique() == found.clusters[place]
        again = frontier(Audit.read(less.folder))
        assert again is not None
        assert (again.rows[-1], again.taken) == (found.rows[-1], budget)

"""Effects beside a run: kept by design, carried by what is published, and told in its card."""

from pathlib import Path

import pytest

from curate.errors import InputError
from curate.release.effect.facts import Effect
from curate.release.effect.kept import keep, kept
from curate.release.effect.words import UNMEASURED, design_words, lead
from curate.release.files import hashes
from curate.release.repositories.push import push
from tests.curate.imported_sums import TERMS, do, write
from tests.curate.release.effect.effects import effect_of


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write(tmp_path)
    return do(tmp_path, TERMS).folder


def test_a_card_says_that_no_effect_was_measured_before_anything_else(run: Path) -> None:
    card = (run / "dataset/README.md").read_text()
    title, first = card.partition("\n# ")[2].split("\n\n")[:2]
    assert title == "sums 0.1.0"
    assert first == UNMEASURED


def test_a_published_card_begins_with_what_the_selection_did(run: Path, tmp_path: Path) -> None:
    keep(effect_of(run), run)
    before = hashes(run)
    where = Path(push(run, f"file://{tmp_path / 'repo'}").where)
    card = (where / "README.md").read_text()
    assert card.partition("\n# ")[2].split("\n\n")[1] == (
        "**Effect on org/small**, asked 1,500 questions of asdiv.jsonl: the selection beside a "
        "random one of its size: better, +3.1 (+1.1 to +5.1) points of right answers. Beside no "
        "training: better, +3.1 (+1.1 to +5.1) points of right answers."
    )
    assert UNMEASURED not in card
    assert "## Effect on org/small" in card
    assert "`curate effect runs/sums --test asdiv.jsonl`" in card
    assert "| selected | 3 | 48 | 3.0 | 9,000 | 40.0 ±5.0 % |" in card
    (file,) = where.glob("effect-*.json")
    assert Effect.model_validate_json(file.read_bytes()) == effect_of(run)
    assert hashes(run) == before, "the run itself never changes"
    again = push(run, f"file://{tmp_path / 'repo'}")
    assert not again.fresh
    assert again.found == ()


def test_all_that_was_measured_is_told(run: Path, tmp_path: Path) -> None:
    keep(effect_of(run), run)
    keep(effect_of(run, epochs=1.0, gap=-0.04), run)
    assert len(kept(run)) == 2
    keep(effect_of(run, gap=0.001, seeds=5), run)
    assert len(kept(run)) == 2, "more seeds of a design are in place of fewer"
    card = (Path(push(run, f"file://{tmp_path / 'repo'}").where) / "README.md").read_text()
    assert "not distinguishable, +0.1 (-1.9 to +2.1)" in card
    assert "worse, -4.0 (-6.0 to -2.0) points" in card


def test_what_was_measured_after_publishing_waits_for_the_next_version(
    run: Path, tmp_path: Path
) -> None:
    push(run, f"file://{tmp_path / 'repo'}")
    keep(effect_of(run), run)
    again = push(run, f"file://{tmp_path / 'repo'}")
    assert not again.fresh
    assert again.found
    assert "the next one carries it" in again.found[0]


def test_a_foreign_file_or_effect_is_named(run: Path, tmp_path: Path) -> None:
    place = keep(effect_of(run).model_copy(update={"dataset_hash": "other"}), run)
    with pytest.raises(InputError, match=rf"{place.name[-20:]}.*of another selection"):
        push(run, f"file://{tmp_path / 'repo'}")
    place.write_text("{}")
    with pytest.raises(InputError, match="is no effect as `curate effect` writes it"):
        push(run, f"file://{tmp_path / 'repo'}")


def test_a_run_is_its_folder_from_within_too(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = hashes(run)
    monkeypatch.chdir(run)
    place = keep(effect_of(run), Path())
    assert place.parent == run.parent
    assert list(kept(Path())) == list(kept(run)) != []
    assert hashes(run) == before


def test_answers_that_were_cut_are_told(run: Path) -> None:
    whole = effect_of(run)
    assert not any("cut off" in line for line in design_words(whole))
    arms = [whole.arms[0].model_copy(update={"cut": 0.85}), *whole.arms[1:]]
    cut = whole.model_copy(update={"arms": arms})
    (line,) = (line for line in design_words(cut) if "cut off" in line)
    assert line == (
        "Answers cut off at 320 tokens, which are hardly right: 85% of random; "
        "`--set answer_tokens=640` gives them room."
    )


def test_fewer_nats_are_better(run: Path) -> None:
    assert "better, -0.200 (-0.220 to -0.180) nats a token" in lead(effect_of(run, 0.2, "golds"))
    assert "worse, +0.200 (+0.180 to +0.220) nats a token" in lead(effect_of(run, -0.2, "golds"))

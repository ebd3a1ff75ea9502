"""Runs with new questions: where they come from, and what their answers are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from curate.engine import asking
from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, ready, run
from curate.errors import InputError
from curate.models.teachers.base import Generator
from curate.models.teachers.open import Access, open_generator
from curate.recipe.files import read_recipe
from curate.release.repositories import push
from tests.curate import sums
from tests.curate.engine.test_kill import lines
from tests.curate.engine.test_rewriting import write, write_questions
from tests.servers.openai_server import Fault, read_book, serving

COUNT = 6
TEACHER = sums.source(samples=4)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / sums.STORE))
    write_questions(tmp_path, COUNT)
    return tmp_path


def pose(name: str = "posed", **more: Any) -> dict[str, Any]:
    return {"use": "pose", "name": name, "model": f"tiny-{name}"} | more


def saying(text: Callable[[int], str], match: str = "Write a new problem") -> list[Fault]:
    """Have a server answer those that are asked for a problem like each question's."""
    return [
        Fault(200, match=f"holds {n} red", asking="", body={
            "model": "m", "usage": {"prompt_tokens": 9, "completion_tokens": 9},
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": text(n)}}],
        })
        for n in range(20, 20 + COUNT)
    ]  # fmt: skip


def own(n: int) -> str:
    question = f"A sack has {n} nuts, {n} figs and 9 dates. How many?"
    return f"So be it.\nQuestion: {question}\nAnswer: {2 * n + 9}"


def do(folder: Path, *overrides: str, **options: Any) -> RunResult:
    file = read_recipe(str(folder / "recipe.yaml"), overrides)
    return run(file, RunOptions(runs=folder / "runs", **options), Progress(quiet=True))


def questions(result: RunResult) -> pl.DataFrame:
    return pl.read_parquet(result.folder / "audit" / "questions-*.parquet")


def written(folder: Path, url: str, *sources: dict[str, Any], posing: str, **more: Any) -> None:
    """Write a recipe whose posing source is behind another url."""
    write(folder, url, *sources, **more)
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    reached = {"backend": "openai", "url": url, "in_flight": 4}
    for source in sources:
        if source["use"] == "pose":
            recipe["runtime"]["sources"][source["name"]] = reached | {"url": posing}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))


def test_new_questions_join_the_others_with_what_they_state(folder: Path) -> None:
    with serving(folder / "book") as url, serving(folder / "posed", saying(own)) as posing:
        written(folder, url, TEACHER, pose(), posing=posing, splits={"validation": 0.5})
        result, again = do(folder), do(folder)
        replayed = do(folder, replay=True)
    table = questions(result)
    new = table.filter(posed_by="posed")
    assert table.height == 2 * COUNT
    assert new["question"].str.starts_with("A sack has").all()
    assert sorted(map(int, new["gold"])) == [2 * n + 9 for n in range(20, 20 + COUNT)]
    old = table.filter(pl.col("posed_by").is_null())
    pairs = new.join(old, left_on="parent_question_id", right_on="question_id", suffix="_old")
    assert pairs.height == COUNT
    assert (pairs["split"] == pairs["split_old"]).all()
    assert (pairs["group_id"] == pairs["group_id_old"]).all()
    assert set(table["split"]) == {"train", "validation"}
    assert result.audit.height == 2 * COUNT * 4
    assert result.audit.filter(posed_by="posed")["verdict_correctness"].struct.field("keep").any()
    assert lines(folder / "book") == 2 * COUNT * 4
    assert lines(folder / "posed") == COUNT
    assert (again.tally.sampled, again.tally.reused) == (0, 2 * COUNT * 4 + COUNT)
    hashes = {each.summary.dataset_hash for each in (result, again, replayed)}
    assert len(hashes) == 1
    kept = pl.read_parquet(result.folder / "audit" / "posed-*.parquet")
    assert set(kept["outcome"]) == {"posed"}
    assert sorted(kept["posed_question_id"]) == sorted(new["question_id"])
    assert result.funnel.sources[1].posed == {"posed": COUNT}


@pytest.mark.parametrize(
    ("text", "outcome", "quarantined"),
    [
        (lambda _: "I would rather not.", "no_question", 0),
        (lambda n: f"Question: A box holds {n} red, {n + 3} blue and 7 green beads. How many?"
         "\nAnswer: 5", "known_question", 0),
        (lambda n: f"Question: How many of {n}?\nAnswer: a few", "gold_unparseable", COUNT),
        (lambda n: f"Question: What is it?\nAnswer: {n}", "conflicting_gold", 1),
    ],
    ids=["none", "known", "unreadable", "conflict"],
)  # fmt: skip
def test_what_is_no_sound_new_question_is_said(
    folder: Path, text: Callable[[int], str], outcome: str, quarantined: int
) -> None:
    with serving() as url, serving(folder / "posed", saying(text)) as posing:
        written(folder, url, TEACHER, pose(), posing=posing)
        result = do(folder)
    posed = result.funnel.sources[1].posed
    assert posed[outcome] >= COUNT - 1
    table = questions(result)
    assert table.filter(status="quarantined").height == quarantined
    assert table.filter(status="ok").height == COUNT
    assert result.audit.filter(pl.col("posed_by").is_not_null()).is_empty()


def test_answers_can_be_agreed_on(folder: Path) -> None:
    agreed = {"gold": {"share": 0.6, "fewest": 2}}
    with serving(folder / "book") as url, serving(folder / "posed", saying(own)) as posing:
        written(folder, url, TEACHER, pose(**agreed), posing=posing)
        result, again = do(folder), do(folder)
        strict = do(folder, "sources.posed.gold={share: 0.9, fewest: 2}")
    new = questions(result).filter(posed_by="posed")
    assert set(new["status"]) == {"ok"}
    assert set(new["gold_support"]) == {0.75}, "every third of a question's samples is wrong"
    assert sorted(map(int, new["gold"])) == [2 * n + 9 for n in range(20, 20 + COUNT)]
    assert lines(folder / "book") == 2 * COUNT * 4, "what was asked to agree is not asked again"
    assert (result.tally.sampled, result.tally.reused) == (2 * COUNT * 4 + COUNT, 0)
    assert again.tally.sampled == 0
    unsure = questions(strict).filter(posed_by="posed")
    assert set(unsure["reason"]) == {"no_agreement"}
    assert unsure["gold"].is_null().all()
    assert strict.funnel.sources[1].posed == {"posed": COUNT, "no_agreement": COUNT}
    assert (strict.tally.sampled, strict.tally.reused) == (0, 2 * COUNT * 4 + COUNT)
    kept = pl.read_parquet(strict.folder / "audit" / "posed-*.parquet")
    votes = kept.filter(outcome="no_agreement")
    assert votes.height == 4 * COUNT, "what was said stays to be seen"
    assert set(votes["source"]) == {"teacher"}


def test_rounds_agree_on_their_own_questions(folder: Path) -> None:
    def deeper(n: int) -> str:
        return f"Question: A chest has {n} pearls, 2 rubies and {n} opals. How many?"

    faults = [
        Fault(200, match=f"A sack has {n}", body=saying(deeper)[n - 20].body)
        for n in range(20, 20 + COUNT)
    ]
    with serving() as url, serving(folder / "posed", [*faults, *saying(own)]) as posing:
        written(folder, url, TEACHER, pose(rounds=2, gold={"share": 0.6}), posing=posing)
        new = questions(do(folder)).filter(posed_by="posed")
    assert new.height == 2 * COUNT
    assert set(new["status"]) == {"ok"}, "what was agreed on in a round before stands"
    assert set(new["gold_support"]) == {0.75}


def test_the_poser_is_gone_before_others_are_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def spied(access: Access, options: Any) -> Generator:
        generator = open_generator(access, options)
        order.append(f"open {access.teacher.model}")
        close = generator.close

        def closed() -> None:
            order.append(f"close {access.teacher.model}")
            close()

        monkeypatch.setattr(generator, "close", closed)
        return generator

    monkeypatch.setattr(asking, "open_generator", spied)
    with serving() as url, serving(folder / "posed", saying(own)) as posing:
        written(folder, url, TEACHER, pose(gold={"share": 0.6}), posing=posing)
        do(folder)
    assert order[:4] == [
        "open tiny-posed", "close tiny-posed", "open tiny-teacher", "close tiny-teacher"
    ]  # fmt: skip


@pytest.mark.parametrize("reason", ["length", "error"])
def test_half_a_question_is_none(folder: Path, reason: str) -> None:
    faults = saying(lambda n: f"Question: A sack has {n} nuts, {n} fi")
    for fault in faults:
        if reason == "length":
            fault.body["choices"][0]["finish_reason"] = "length"
        else:
            fault.status, fault.body = 400, {"error": {"message": "flagged"}}
    with serving() as url, serving(folder / "posed", faults) as posing:
        written(folder, url, TEACHER, pose(gold={"share": 0.6}), posing=posing)
        result = do(folder)
    outcome = {"length": "cut_off", "error": "failed"}[reason]
    assert result.funnel.sources[1].posed == {outcome: COUNT}
    assert questions(result).height == COUNT


def test_files_are_found_wrong_before_anything_is_paid(folder: Path) -> None:
    (folder / "old.jsonl").write_text('{"question": "A box", "completion": "7"}\n')
    wrong = {"question": "question", "completion": "nowhere"}
    old = {"use": "import", "name": "old", "path": "old.jsonl", "columns": wrong}
    with serving() as url, serving(folder / "posed", saying(own)) as posing:
        written(folder, url, TEACHER, pose(), old, posing=posing)
        with pytest.raises(InputError, match="nowhere"):
            do(folder)
    assert read_book(folder / "posed") == []


def test_the_order_of_questions_decides_nothing(folder: Path) -> None:
    same = saying(lambda _: "Question: Who?\nAnswer: 1")
    with serving() as url, serving(folder / "posed", same) as posing:
        written(folder, url, TEACHER, pose(), posing=posing)
        first = questions(do(folder)).filter(posed_by="posed")
        rows = (folder / "questions.jsonl").read_text().splitlines(keepends=True)
        (folder / "questions.jsonl").write_text("".join(rows[::-1]))
        again = questions(do(folder)).filter(posed_by="posed")
    assert first.equals(again)
    assert first["times_seen"].to_list() == [COUNT]


def test_terms_of_who_posed_are_wanted_too(folder: Path) -> None:
    with serving() as url, serving(folder / "posed", saying(own)) as posing:
        teacher = TEACHER | {"terms": "cc0-1.0"}
        written(folder, url, teacher, pose(), posing=posing, publish={"repo": "file://published"})
        result = do(folder)
        with pytest.raises(InputError, match="posed"):
            ready(read_recipe(str(folder / "recipe.yaml")))
        with pytest.raises(InputError, match="posed"):
            push.push(result.folder)


def test_where_nothing_is_posed_nobody_has_to_agree(folder: Path) -> None:
    with serving() as url:
        write(folder, url, TEACHER, pose(gold={"share": 0.6}), {**pose("next"), "about": ["posed"]})
        result = do(folder)
    assert [source.posed for source in result.funnel.sources] == [{}, {"no_question": COUNT}, {}]
    assert questions(result).height == COUNT


def test_new_ones_are_made_of_new_ones_in_rounds_or_by_another_source(folder: Path) -> None:
    def deeper(n: int) -> str:
        return f"Question: A chest has {n} pearls and 1 ruby. How many?\nAnswer: {n + 1}"

    faults = [Fault(200, match="A sack has", body=saying(deeper)[0].body), *saying(own)]
    with serving() as url, serving(folder / "posed", faults) as posing:
        written(folder, url, TEACHER, pose(rounds=2), posing=posing)
        table = questions(do(folder))
        chain = [pose("second", about=["posed"]), TEACHER | {"about": ["", "second"]}, pose()]
        written(folder, url, *chain, posing=posing)
        result = do(folder)
    chest = table.filter(pl.col("question").str.starts_with("A chest"))
    parent = table.filter(question_id=chest["parent_question_id"][0])
    assert parent["question"][0].startswith("A sack")
    assert chest["group_id"][0] == parent["group_id"][0]
    assert set(result.audit["posed_by"]) == {None, "second"}
    assert set(questions(result)["posed_by"]) == {None, "posed", "second"}


def test_posed_questions_can_be_joined_by_id(folder: Path) -> None:
    with serving() as url, serving(folder / "posed", saying(own)) as posing:
        written(folder, url, TEACHER, pose(), posing=posing)
        first = do(folder)
        rows = first.audit.select("question_id", "raw_output").to_dicts()
        (folder / "old.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        columns = {"id": "question_id", "completion": "raw_output"}
        old = {"use": "import", "name": "old", "path": "old.jsonl", "columns": columns}
        written(folder, url, old | {"join": "question_id"}, TEACHER, pose(), posing=posing)
        result = do(folder)
    assert result.audit.filter(source="old").height == len(rows)


EXCLUDED: list[tuple[list[dict[str, Any]], str, str]] = [
    (
        [TEACHER | {"about": ["", "posed"]}, pose()], "posed",
        "source 'teacher' goes on from 'posed', of which nothing is used; exclude it too",
    ),
    (
        [TEACHER, sums.source("other", about=[""]), pose(gold={"share": 0.6})], "teacher",
        "nobody is asked for one",
    ),
    ([TEACHER, sums.source("student", role="student")], "teacher", "'student' is all there is"),
]  # fmt: skip


@pytest.mark.parametrize(("sources", "excluded", "message"), EXCLUDED, ids=lambda e: str(e)[:20])
def test_what_an_excluded_source_leaves_undone_is_said_before_a_run(
    folder: Path, sources: list[dict[str, Any]], excluded: str, message: str
) -> None:
    write(folder, "http://127.0.0.1:9/v1", *sources)
    with pytest.raises(InputError, match=message):
        read_recipe(str(folder / "recipe.yaml"), [f"exclude_teachers=[{excluded}]"])


REFUSED: list[tuple[list[dict[str, Any]], str]] = [
    ([pose()], "'posed' is all there is, and its samples are no rows"),
    ([TEACHER, pose(about=["posd"])], "no source called 'posd' poses questions; did you mean"),
    ([TEACHER, pose(about=["posed"])], "would go on from its own questions; say `rounds: 2`"),
    ([TEACHER | {"about": [""]}, pose(gold={"share": 0.7})], "nobody is asked for one; add a"),
    (
        [TEACHER | {"samples": {"max": 4, "until": {"correct": 1}}}, pose(gold={"share": 0.7})],
        "'teacher' draws until enough are right, and what is right is to be agreed on",
    ),
    (
        [TEACHER, pose(), {"use": "rewrite", "name": "anew", "of": "posed", "model": "m"}],
        "'posed' poses questions, and its samples are no rows to go on from",
    ),
]


@pytest.mark.parametrize(("sources", "message"), REFUSED, ids=lambda each: str(each)[:30])
def test_what_can_not_be_is_refused(
    folder: Path, sources: list[dict[str, Any]], message: str
) -> None:
    write(folder, "http://127.0.0.1:9/v1", *sources)
    with pytest.raises(InputError, match=message):
        read_recipe(str(folder / "recipe.yaml"))


def test_who_is_to_agree_is_not_shown_the_answer(folder: Path) -> None:
    with serving() as url, serving(folder / "posed", saying(own)) as posing:
        teacher = TEACHER | {"prompt": "gold-shown"}
        written(folder, url, teacher, pose(gold={"share": 0.7}), posing=posing)
        with pytest.raises(InputError, match="prompt shows the known answer, and that of the"):
            do(folder)


def test_a_choice_brings_its_options(folder: Path) -> None:
    rows = [{"question": "Which floats? (A) iron (B) cork", "answer": "B"}]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = "Question: Which sinks? (A) a stone (B) a leaf\nAnswer: (A)"
    message = {"role": "assistant", "content": text}
    body = {"model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
    with serving() as url, serving(folder / "posed", [Fault(200, body=body)]) as posing:
        asked = {"path": "questions.jsonl", "gold": {"type": "choice"}}
        written(folder, url, TEACHER, pose(), posing=posing, questions=asked)
        new = questions(do(folder)).filter(posed_by="posed")
    assert new["choices"].to_list() == [["a stone", "a leaf"]]
    assert new["status"].to_list() == ["ok"]
    assert len(read_book(folder / "posed")) == 1

"""Runs in which samples are written anew: of which ones, in how many rounds, and after a kill."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.errors import InputError, RecordError
from curate.recipe.files import read_recipe
from curate.recipe.plan import make_plan
from filters.correctness import Correctness
from filters.equations import equations
from tests.curate import sums
from tests.curate.engine.test_kill import kill_at, lines, moments
from tests.servers.openai_server import Fault, read_book, serving

COUNT = 6
MEND = "{% block user %}{{ output }} [{{ problem }}]\n\n{{ question }}\n\nReason step{% endblock %}"
"""The server adds the three numbers that come last before the last two words."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / sums.STORE))
    write_questions(tmp_path, COUNT)
    (tmp_path / "mend.jinja").write_text(MEND)
    return tmp_path


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    with serving(folder / "book") as address:
        yield address


def write_questions(folder: Path, count: int) -> None:
    rows = [
        {"question": f"A box holds {n} red, {n + 3} blue and 7 green beads. How many?",
         "answer": str(2 * n + 10)}
        for n in range(20, 20 + count)
    ]  # fmt: skip
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def mend(of: str = "teacher", name: str = "mended", **more: Any) -> dict[str, Any]:
    where = {"where": {"correctness": "wrong_answer"}, "prompt": {"file": "mend.jinja"}}
    return {"use": "rewrite", "name": name, "of": of, "model": f"tiny-{name}"} | where | more


def write(folder: Path, url: str, *sources: Mapping[str, Any], **more: Any) -> None:
    """Write a recipe whose teachers are behind a url."""
    path = sums.write_recipe(folder, url, sources)
    recipe = yaml.safe_load(path.read_text())
    asked = [one["name"] for one in sources if one["use"] in {"generate", "rewrite", "pose"}]
    recipe["runtime"]["sources"] = {name: recipe["runtime"]["sources"][name] for name in asked}
    path.write_text(yaml.safe_dump(recipe | more, sort_keys=False))


def imported(folder: Path, texts: Sequence[str], name: str = "old", **more: Any) -> dict[str, Any]:
    """Write a file with these texts of each question; describe the source that reads it."""
    asked = [json.loads(line)["question"] for line in (folder / "questions.jsonl").open()]
    rows = [json.dumps({"question": one, "completion": list(texts)}) + "\n" for one in asked]
    (folder / f"{name}.jsonl").write_text("".join(rows))
    columns = {"question": "question", "completion": "completion"}
    return {"use": "import", "name": name, "path": f"{name}.jsonl", "columns": columns} | more


def do(folder: Path, *overrides: str, **options: Any) -> RunResult:
    file = read_recipe(str(folder / "recipe.yaml"), overrides)
    return run(file, RunOptions(runs=folder / "runs", **options), Progress(quiet=True))


def of(result: RunResult, source: str) -> pl.DataFrame:
    return result.audit.filter(source=source).sort("sample_id")


def test_wrong_samples_are_written_anew(folder: Path, url: str) -> None:
    write(folder, url, sums.source(samples=3), mend())
    result = do(folder)
    drawn, mended = of(result, "teacher"), of(result, "mended")
    wrong = drawn.filter(~pl.col("verdict_correctness").struct.field("keep"))
    assert (drawn.height, wrong.height) == (3 * COUNT, COUNT)
    assert sorted(mended["parent_id"]) == sorted(wrong["sample_id"])
    assert set(mended["question_id"]) == set(wrong["question_id"])
    assert mended["verdict_correctness"].struct.field("keep").all()
    assert set(mended["round"]) == {1}
    assert set(drawn["round"]) == {0}
    assert drawn["parent_id"].is_null().all()
    asked = [e["prompt"] for e in read_book(folder / "book") if e["model"] == "tiny-mended"]
    assert len(asked) == COUNT
    for text in wrong["raw_output"]:
        problem = Correctness.reasons["wrong_answer"]
        assert any(prompt.startswith(f"{text} [{problem}]") for prompt in asked)
    released = pl.read_parquet(result.folder / "dataset" / "data" / "default" / "**" / "*.parquet")
    assert released["parent_id"].drop_nulls().is_in(wrong["sample_id"].implode()).all()


def test_nothing_is_asked_twice_and_a_replay_is_the_same(folder: Path, url: str) -> None:
    write(folder, url, sums.source(samples=3), mend(samples=2))
    first = do(folder)
    before = lines(folder / "book")
    again, replayed = do(folder), do(folder, replay=True)
    assert lines(folder / "book") == before == 3 * COUNT + 2 * COUNT
    assert (again.tally.sampled, again.tally.reused) == (0, before)
    hashes = {each.summary.dataset_hash for each in (first, again, replayed)}
    assert len(hashes) == 1
    more = do(folder, "sources.mended.samples=3")
    assert more.tally.sampled == COUNT


def test_a_replay_says_what_the_record_lacks(folder: Path, url: str) -> None:
    write(folder, url, sums.source(samples=3))
    do(folder)
    write(folder, url, sums.source(samples=3), mend())
    with pytest.raises(RecordError, match=f"lacks {COUNT} samples of source 'mended'"):
        do(folder, replay=True)


def test_rounds_go_on_with_what_is_still_wrong(folder: Path) -> None:
    answer = {
        "model": "m", "usage": {"prompt_tokens": 9, "completion_tokens": 9},
        "choices": [{
            "index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Better counted. The answer is 2."},
        }],
    }  # fmt: skip
    faults = [Fault(200, match="The answer is 1.", body=answer)]
    with serving(folder / "book", faults) as url:
        old = imported(folder, ["Counted badly. The answer is 1."], gold_shown=True)
        write(folder, url, old, mend("old", rounds=5))
        mended = of(do(folder), "mended")
        asked = len(read_book(folder / "book"))
    assert asked == 2 * COUNT, "what is right is left alone"
    assert mended["gold_shown"].all(), "who wrote the first one knew the answer"
    first, second = mended.filter(round=1), mended.filter(round=2)
    assert first.height == second.height == COUNT
    assert set(first["answer"]) == {"2"}
    assert sorted(second["parent_id"]) == sorted(first["sample_id"])
    assert second["verdict_correctness"].struct.field("keep").all()


def test_rounds_end_where_nothing_changes(folder: Path) -> None:
    same = {"role": "assistant", "content": "Counted badly.  The answer is 1."}
    answer = {"model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": same}]}
    with serving(folder / "book", [Fault(200, body=answer)]) as url:
        old = imported(folder, ["Counted badly. The answer is 1."])
        write(folder, url, old, mend("old", rounds=5))
        mended = of(do(folder), "mended")
    assert mended.height == COUNT == len(read_book(folder / "book"))


def test_samples_that_read_the_same_are_written_anew_once(folder: Path, url: str) -> None:
    old = imported(folder, ["So. The answer is 1."] * 3 + ["Thus. The answer is 1."])
    write(folder, url, old, mend("old"))
    result = do(folder)
    assert of(result, "old").height == 4 * COUNT
    mended = of(result, "mended")
    assert mended.height == 2 * COUNT == len(read_book(folder / "book"))
    assert mended["sample_id"].is_unique().all()


def test_conditions_on_columns(folder: Path, url: str) -> None:
    old = imported(folder, ["One two three. The answer is 1.", "Four. The answer is 2."])
    write(folder, url, old, mend("old", where={"rationale_words": {"min": 2, "max": 3}}))
    result = do(folder)
    short = of(result, "old").filter(rationale_words=3)["sample_id"]
    assert sorted(of(result, "mended")["parent_id"]) == sorted(short)
    write(folder, url, old, mend("old", where={"answer": ["2", "3"], "gold_shown": False}))
    assert set(of(do(folder), "mended")["parent_id"]) & set(short) == set()
    write(folder, url, old, mend("old", where={"gold_shown": True}))
    assert of(do(folder), "mended").is_empty()
    write(folder, url, old, mend("old", where={"correctness": "kept"}))
    assert of(do(folder), "mended").is_empty()


def test_rewriting_goes_on_from_rewriting_in_any_order_of_the_sources(
    folder: Path, url: str
) -> None:
    right = {"correctness": "kept"}
    chain = [mend("mended", "polished", where=right), mend(), sums.source(samples=3)]
    write(folder, url, *chain)
    result = do(folder)
    mended, polished = of(result, "mended"), of(result, "polished")
    assert mended.height == polished.height == COUNT
    assert sorted(polished["parent_id"]) == sorted(mended["sample_id"])
    assert set(polished["round"]) == {2}
    write(folder, url, *chain[::-1])
    assert of(do(folder), "polished").equals(polished)


def test_texts_that_are_not_there_are_not_written_anew(folder: Path, url: str) -> None:
    write(folder, url, imported(folder, ["", "  "]), mend("old", where={}))
    result = do(folder)
    assert of(result, "mended").is_empty()
    assert read_book(folder / "book") == []


LATE: list[tuple[Any, str]] = [
    ({"diversity": "kept"}, "filter 'diversity' compares a sample with others"),
    ({"correctnes": "kept"}, "no filter and no column .* 'correctnes'; did you mean 'correctness'"),
    ({"correctness": "wrong_anser"}, "never gives 'wrong_anser'; did you mean 'wrong_answer'"),
    ({"correctness": {"min": 1}}, "'correctness' is a filter, whose verdict is no number"),
    ({"rd_masked": {"min": 1}}, "where wants measure 'score', which asks the student once all"),
    ({"cluster": 1}, "no filter of this recipe writes|which no filter|compares"),
    ({"answer": {"min": 1}}, "'answer' .* is no number, so it has no range"),
    ({"answer": 3}, "'answer' .* never is 3; wanted a text"),
    ({"gold_shown": "yes"}, "'gold_shown' .* never is 'yes'; wanted true or false"),
    ({"rationale_words": True}, "'rationale_words' .* never is True; wanted a number"),
    ({"choices": "A"}, "'choices' .* holds List"),
    ({"teacher_nll": {"max": 1}}, "reads 'teacher_.*', which is known only once all samples"),
    ({"hard": "kept"}, "filter 'hard' reads 'student_pass_rate', which is known only once all"),
    ({"student_pass_rate": {"max": 1}}, "'student_pass_rate' .* is known only once all samples"),
    ({"length_to_parent": {"max": 1}}, "reads 'parent_rationale', which is known only once all"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "message"), LATE, ids=lambda each: str(each)[:40])
def test_a_condition_that_cannot_be_known_so_early_is_refused(
    folder: Path, where: dict[str, Any], message: str
) -> None:
    filters = [
        {"use": "correctness"}, {"use": "diversity", "by": ["path"]},
        {"use": "band", "name": "hard", "column": "student_pass_rate", "max": 0.5},
    ]  # fmt: skip
    measures = {"score": {"student": "Qwen/Qwen2.5-0.5B"}}
    sources = sums.source(), sums.source("student", role="student"), mend(where=where)
    write(folder, "http://127.0.0.1:9/v1", *sources, filters=filters, measures=measures)
    with pytest.raises(InputError, match=message) as refusal:
        make_plan(read_recipe(str(folder / "recipe.yaml")).recipe)
    assert refusal.value.where == "sources: mended: where"


def test_a_rewriting_is_held_to_its_parent_whether_that_lives_or_not(
    folder: Path, url: str
) -> None:
    some = [str(2 * n + 10) for n in range(20, 20 + COUNT // 2)]
    expect = {"mend": {"length_to_parent": {"min": 0.1, "max": 9}, "answer": some}}
    filters = [{"use": "correctness"}, {"use": "compliance", "expect": expect}]
    columns = {"columns": ["computations_kept", "length_to_parent"], "before_filters": True}
    write(folder, url, sums.source(samples=3), mend(), filters=filters,
          measures={"compliance": columns})  # fmt: skip
    result = do(folder)
    drawn, mended = of(result, "teacher"), of(result, "mended")
    parents = dict(drawn.select("sample_id", "rationale").iter_rows())
    assert mended.height == COUNT
    for parent, text, ratio, kept in mended.select(
        "parent_id", "rationale", "length_to_parent", "computations_kept"
    ).iter_rows():
        assert ratio == len(text.split()) / len(parents[parent].split())
        kinds = equations(parents[parent])
        assert kept == len(kinds & equations(text)) / len(kinds)
    assert drawn["length_to_parent"].null_count() == drawn.height, "made from none"
    verdicts = mended["verdict_compliance"].struct
    assert verdicts.field("keep").to_list() == mended["answer"].is_in(some).to_list()
    assert verdicts.field("keep").sum() == COUNT // 2
    assert drawn.filter("live")["verdict_compliance"].struct.field("keep").all()
    assert "parent_rationale" not in result.audit.columns


def test_what_is_expected_of_a_prompt_that_nobody_answers_is_refused(folder: Path) -> None:
    expect = {"level-9": {"computations": {"min": 1}}}
    write(folder, "http://127.0.0.1:9/v1", sums.source(), mend(),
          filters=[{"use": "correctness"}, {"use": "compliance", "expect": expect}])  # fmt: skip
    with pytest.raises(InputError, match="no prompt of this recipe is called 'level-9'; there are"):
        make_plan(read_recipe(str(folder / "recipe.yaml")).recipe)
    many = imported(folder, ["It is 7."])
    write(folder, "http://127.0.0.1:9/v1", many, filters=[{"use": "compliance", "expect": expect}])
    make_plan(read_recipe(str(folder / "recipe.yaml")).recipe)  # files may hold any


def test_what_a_column_never_is_can_not_be_expected_of_it(folder: Path) -> None:
    for condition, message in (
        ({"answer_computed": {"min": 1}}, "'answer_computed' .* is no number"),
        ({"computations": "many"}, "'computations' .* never is 'many'; wanted a number"),
        ({"parent_rationale": 3}, "'parent_rationale' .* never is 3; wanted a text"),
    ):
        filters = [{"use": "compliance", "expect": {"*": condition}}]
        write(folder, "http://127.0.0.1:9/v1", sums.source(), filters=filters)
        with pytest.raises(InputError, match=message) as refusal:
            make_plan(read_recipe(str(folder / "recipe.yaml")).recipe)
        assert refusal.value.where == "filters[0]"


def test_a_condition_of_no_values_is_refused(folder: Path) -> None:
    write(folder, "http://127.0.0.1:9/v1", sums.source(), mend(where={"answer": []}))
    with pytest.raises(InputError, match="where"):
        read_recipe(str(folder / "recipe.yaml"))


def test_passes_of_two_sources_that_come_to_the_same_text_are_told_apart(folder: Path) -> None:
    message = {"role": "assistant", "content": "Better. The answer is 3."}
    faults = [
        Fault(200, match=f"The answer is {n}.", body={
            "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message | {
                "content": f"Better. The answer is {min(n + 1, 3)}."}}],
        })
        for n in (1, 2, 3)
    ]  # fmt: skip
    with serving(folder / "book", faults) as url:
        old = imported(folder, ["Badly. The answer is 1."])
        chain = mend("old", "p", rounds=2), mend("p", "r", rounds=2)
        write(folder, url, old, *chain)
        result, replayed = do(folder), do(folder, replay=True)
    assert result.audit["sample_id"].is_unique().all()
    assert replayed.summary.dataset_hash == result.summary.dataset_hash


RINGS: list[tuple[list[dict[str, Any]], str]] = [
    ([mend("nobody")], "no source is called 'nobody'"),
    ([mend("mended")], "would be made of its own samples"),
    ([mend("b", "a"), mend("a", "b")], "a, b go on from each other, so none can begin"),
]


@pytest.mark.parametrize(("sources", "message"), RINGS, ids=["unknown", "itself", "ring"])
def test_sources_that_could_never_begin_are_refused(
    folder: Path, sources: list[dict[str, Any]], message: str
) -> None:
    write(folder, "http://127.0.0.1:9/v1", sums.source(), *sources)
    with pytest.raises(InputError, match=message):
        read_recipe(str(folder / "recipe.yaml"))


def test_what_goes_on_from_an_excluded_source_is_refused(folder: Path, url: str) -> None:
    write(folder, url, imported(folder, ["So. The answer is 1."]), mend("old"), sums.source())
    with pytest.raises(InputError, match="'mended' goes on from 'old', of which nothing is used"):
        read_recipe(str(folder / "recipe.yaml"), ["exclude_teachers=[old]"])
    left = do(folder, "exclude_teachers=[old, mended]")
    assert set(left.audit["source"]) == {"teacher"}


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_again_and_again_it_asks_for_nothing_twice(tmp_path: Path, kills: int) -> None:
    book, chance = tmp_path / "book", random.Random(kills)
    write_questions(tmp_path, 60)
    (tmp_path / "mend.jinja").write_text(MEND)
    killed = 0
    with serving(book, delay=0.04) as url:
        drawn = sums.source(samples=6, seeds=True)
        write(tmp_path, url, drawn, mend(samples=3, rounds=2, seeds=True))
        for moment, late in moments(kills, chance, book):
            before = sums.recorded(tmp_path)
            killed += kill_at(moment(tmp_path), late, tmp_path)
            kept = sums.recorded(tmp_path)
            assert {key: kept.get(key) for key in before} == before
            if killed == kills:
                break
        asked = lines(book)
        finished = sums.curate(tmp_path, "run", "recipe.yaml", "--json")
        assert finished.returncode == 0, finished.stderr
    assert killed == kills
    entries = read_book(book)
    assert len(entries) - asked == json.loads(finished.stdout)["sampled"]
    replayed = sums.curate(tmp_path, "run", "recipe.yaml", "--json", "--replay")
    assert replayed.returncode == 0, replayed.stderr
    first, again = json.loads(finished.stdout), json.loads(replayed.stdout)
    assert again["dataset_hash"] == first["dataset_hash"]
    rows = pl.read_parquet(tmp_path / first["folder"] / "audit" / "samples-*.parquet")
    assert rows["seed"].is_unique().all()
    # What is asked for again gets another text, which is then the last of its seed.
    last = {entry["seed"]: entry["text"] for entry in entries}
    assert dict(rows.select("seed", "raw_output").iter_rows()) == last

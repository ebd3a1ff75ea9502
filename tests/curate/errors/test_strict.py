"""A wrong recipe gives one message a problem: path, value got, what is wanted, the way out."""

from pathlib import Path

import pytest

from curate.errors import InputError
from curate.errors.strict import parse_yaml
from curate.recipe.files import parse_recipe, read_recipe
from curate.recipe.plan import make_plan
from curate.sources.questions import load_questions

GOOD = """
name: small
questions: {path: questions.jsonl, gold: {type: number}}
sources:
  - {use: import, name: pool, path: pool.jsonl, columns: {question: q, completion: r}}
filters:
  - use: completeness
  - use: correctness
select: {seed: 3}
"""


def problem(text: str, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        make_plan(parse_recipe(text, overrides))
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_good_recipe_is_read() -> None:
    recipe = parse_recipe(GOOD)
    assert [each.name for each in recipe.filters] == ["completeness", "correctness"]
    assert recipe.select.seed == 3


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("select: {seed: 3}", "selct: {seed: 3}", ["selct: unknown key", "did you mean 'select'?"]),
        ("{seed: 3}", "{sed: 3}", ["select.sed: unknown key with value 3", "'seed'"]),
        ("{seed: 3}", "{seed: three}", ["select.seed: got 'three'", "integer"]),
        (
            "use: correctness",
            "use: corectness",
            ["filters[1].use: got 'corectness'", "'correctness'"],
        ),
        (
            "- use: completeness",
            "- {use: completeness, min_word: 2}",
            ["filters[0].min_word: unknown key with value 2", "'min_words'"],
        ),
        (
            "columns: {question: q, completion: r}",
            "colums: {question: q, completion: r}",
            ["sources[0].colums: unknown key", "'columns'"],
        ),
        ("use: import", "use: imports", ["sources[0].use: got 'imports'", "'import'"]),
        ("{use: import,", "{", ["sources[0]: got", "lacks the key 'use'"]),
        ("name: small", "", ["name: missing"]),
        ("name: small", "name: Not Small", ["name: got 'Not Small'"]),
        ("type: number", "type: nubmer", ["questions.gold.type: got 'nubmer'", "'number'"]),
        ("name: small", "name: small\nname: big", ["line 3: key 'name' is given twice"]),
        ("select: {seed: 3}", "select: {seed: 3", ["not YAML"]),
        ("select: {seed: 3}", "1: {seed: 3}", ["got the key 1; a word is wanted"]),
        ("select: {seed: 3}", "on: push", ["got the key True; a word is wanted (of which YAML"]),
        ("select: {seed: 3}", "null: {seed: 3}", ["got the key None; a word is wanted"]),
        (
            "questions: {path: questions.jsonl,",
            "questions: {limit: 99999999999999999999, path: questions.jsonl,",
            ["questions.limit: got 99999999999999999999; numbers of at most 18 digits are read"],
        ),
        ("q, completion", '"\\ud800", completion', ["columns.question: got '\\ud800', of which a"]),
        ("select: {seed: 3}", '"\\udc00": 3', ["got '\\udc00', of which a character"]),
        ("select: {seed: 3}", "self: {seed: 3}", ["self: unknown key with value {'seed': 3}"]),
        (
            "select: {seed: 3}",
            "select: {order_by: [rd_maskd]}",
            ["select: select reads column 'rd_maskd', which nobody writes", "'rd_masked'"],
        ),
        (
            "select: {seed: 3}",
            "select: {order_by: [rd_masked]}",
            ["select: select reads 'rd_masked'", "measures: {score: {student: ...}}"],
        ),
        (
            "select: {seed: 3}",
            "select: {one_per: cluster}",
            ["'cluster'", "add `- use: diversity`"],
        ),
        ("- use: completeness", "- use: consistency", ["filters[0]", "does not stand before it"]),
        ("select: {seed: 3}", "arms: [randon]", ["no arm is called 'randon'"]),
        ("select: {seed: 3}", "arms: ['without:corectness']", ["no filter is called 'corectness'"]),
        ("- use: completeness", "- use: correctness", ["'correctness' is the name of two items"]),
        (
            "filters:\n  - use: completeness\n  - use: correctness",
            "filters:",
            ["filters: got None; input should be a valid tuple"],
        ),
        (
            "select: {seed: 3}",
            "runtime: {sources: {pol: {backend: vllm}}}",
            ["no source is called 'pol'", "'pool'"],
        ),
    ],
)
def test_what_is_wrong_is_said(before: str, after: str, said: list[str]) -> None:
    assert before in GOOD
    message = problem(GOOD.replace(before, after))
    for words in said:
        assert words in message


def test_all_problems_are_said_at_once() -> None:
    message = problem(GOOD.replace("seed: 3", "sed: 3").replace("use: correctness", "use: x"))
    assert len(message.splitlines()) == 2


def test_of_many_problems_the_first_are_said() -> None:
    lines = problem(GOOD, f"filters={['x'] * 200}").splitlines()
    assert (len(lines), lines[0][:12], lines[-1]) == (21, "filters[0]: ", "and 180 more")


def test_overrides_address_items_by_place_and_by_name() -> None:
    recipe = parse_recipe(
        GOOD, ["select.seed=1e1", "filters.0.min_words=4", "sources.pool.max_unmatched=0.5"]
    )
    assert recipe.select.seed == 10
    assert recipe.filters[0].model_dump()["min_words"] == 4
    assert recipe.sources[0].model_dump()["max_unmatched"] == 0.5
    assert "no item 'pol'; did you mean 'pool'?" in problem(GOOD, "sources.pol.path=x")
    assert "has no '='" in problem(GOOD, "select.seed")


def test_variables_are_read_in_runtime_and_paths_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "/data")
    text = GOOD.replace("path: questions.jsonl", "path: '${WHERE}/q.jsonl'")
    assert parse_recipe(text).questions.path == "/data/q.jsonl"
    text += "description: '${WHERE}'\n"
    assert parse_recipe(text).description == "${WHERE}"
    assert "${NOWHERE} is not set" in problem(GOOD.replace("pool.jsonl", "'${NOWHERE}/p.jsonl'"))


def test_yaml_floats_need_no_dot() -> None:
    assert parse_yaml("a: 1e-6") == {"a": 1e-6}
    assert parse_yaml("a: 1e") == {"a": "1e"}


def test_an_unknown_recipe_names_the_shipped_ones() -> None:
    with pytest.raises(InputError, match="did you mean 'quickstart'"):
        read_recipe("quikstart")


def test_every_shipped_recipe_can_be_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_TEST_DATA", "/data")
    for path in sorted(Path("recipes").glob("*.yaml")):
        steps = list(make_plan(read_recipe(str(path)).recipe).describe())
        assert len(steps) > 4, path


LAUGHS = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)
DEEP = "[" * 3000 + "]" * 3000


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (LAUGHS, "more than 20,000 values"),
        ("a: &a {b: *a}", "within more than 40"),
        (f"a: {DEEP}", "within more than 40"),
        ("? [a, b]\n: c", "got the key"),
        ("? {a: b}\n: c", "got the key"),
        ("a: !!int many", "is not what its tag says"),
        ("a: !!float x", "is not what its tag says"),
        ("a: !!python/object:os.system b", "not YAML"),
        ("a: 2026-13-45", "is not what its tag says"),
        ("a: \x00", "not YAML"),
        ("a: \ud800", "not YAML"),
        ("on: 1\non: 2", "given twice"),
    ],
)
def test_yaml_that_nobody_means_is_one_sentence(text: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_yaml(text)
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 250


def test_a_number_of_thousands_of_digits_can_be_quoted() -> None:
    with pytest.raises(InputError, match=r"thousands of digits|not what its tag says"):
        parse_recipe(f"name: sums\nrelease: {'9' * 5000}")


def test_a_word_of_thousands_of_letters_is_quoted_in_part() -> None:
    with pytest.raises(InputError) as caught:
        parse_recipe(GOOD.replace("completeness", "a" * 10_000))
    assert max(map(len, str(caught.value).splitlines())) < 600


def test_a_recipe_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    for encoding in ("utf-16", "latin-1"):
        path = tmp_path / "r.yaml"
        path.write_bytes("name: caf\u00e9".encode(encoding))
        with pytest.raises(InputError, match=r"r\.yaml is not UTF-8"):
            read_recipe(str(path))


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("arms=[random, random]", "arm 'random' is named 2 times"),
        ("select.seed=99999999999999999999999", "select.seed: got 99999999999999999999999"),
        ("questions.path=hf://datasets/", "wanted hf://datasets/org/name"),
    ],
)
def test_what_would_fail_late_is_refused(override: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=problem):
        load_questions(read_recipe("first-look", [override]).recipe.questions, tmp_path)

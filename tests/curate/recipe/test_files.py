"""A recipe made in Python is written down, and reads as the same again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import polars as pl
import pytest

from curate.errors import InputError
from curate.errors.strict import parse_yaml
from curate.recipe.files import RecipeFile, parse_recipe, read_recipe, shipped_recipes
from curate.recipe.model import Recipe
from filters import FILTERS
from filters.contract import Filter
from tests.curate.registering import registered

SMALL: dict[str, Any] = {
    "name": "small",
    "questions": {"path": "questions.jsonl", "gold": {"type": "number"}},
    "sources": [{"use": "generate", "name": "teacher", "model": "tiny", "samples": 2}],
}


LICENCES: dict[str, str] = {
    "MIT": "did you mean 'mit'? They are listed at ",
    "Apache 2.0": "did you mean 'apache-2.0'? ",
    "CC BY-SA 4.0": "did you mean 'cc-by-sa-4.0'? ",
    "my own": "They are listed at huggingface.co/docs/hub/repositories-licenses; of any other ",
    "other": "write the name: `licence: {name: my-licence-1.0, link: https://...}`",
}


@pytest.mark.parametrize("licence", LICENCES)
def test_a_licence_that_the_hub_refuses_is_refused_with_the_nearest(licence: str) -> None:
    with pytest.raises(InputError) as refused:
        read_recipe("first-look", [f"licence='{licence}'"])
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"first-look.yaml: licence: got '{licence}'; ")
    assert LICENCES[licence] in line
    assert licence == "MIT" or "'mit'" not in line


@pytest.mark.parametrize("licence", ["apache-2.0", "mit", "cc-by-nc-nd-4.0", "openrail++", "null"])
def test_a_licence_that_the_hub_knows_is_as_it_was(licence: str) -> None:
    recipe = read_recipe("first-look", [f"licence={licence}"]).recipe
    assert recipe.licence == (None if licence == "null" else licence)


def without_runtime(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"runtime": type(recipe.runtime)()})


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_can_be_written_down(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_TEST_DATA", "/data")
    recipe = read_recipe(name).recipe
    again = parse_recipe(RecipeFile.of(recipe).text)
    assert again == without_runtime(recipe)
    assert RecipeFile.of(again).digest == RecipeFile.of(recipe).digest


def test_what_is_as_by_default_is_left_out() -> None:
    filters = [{"use": "correctness"}, {"use": "overrides", "file": "mine.csv", "name": "by-hand"}]
    file = RecipeFile.of(Recipe(**SMALL, filters=filters, select={"budget": {"rows": 5}}))
    assert parse_yaml(file.text) == {
        **SMALL,
        "filters": [
            {"use": "correctness"},
            {"use": "overrides", "name": "by-hand", "file": "mine.csv"},
        ],
        "select": {"budget": {"rows": 5}},
    }
    assert "filters" not in parse_yaml(RecipeFile.of(Recipe(**SMALL)).text)


def test_nothing_of_the_runtime_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    server = {"backend": "openai", "url": "http://me:s3cret@localhost/v1"}
    recipe = Recipe(**SMALL, runtime={"workers": 2, "sources": {"teacher": server}})
    assert "s3cret" not in RecipeFile.of(recipe).text
    assert RecipeFile.of(recipe).recipe.runtime.workers == 2, "it is run all the same"


def test_it_stands_where_it_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = RecipeFile.of(Recipe(**SMALL))
    assert file.folder == tmp_path
    assert file.lock == Path("runs/small/small.lock.json")


def test_what_no_file_can_hold_is_refused() -> None:
    class Calling(Filter):
        """Asks a function of Python's."""

        reasons: ClassVar = {"no": "the function said no"}
        use: Literal["calling"] = "calling"
        ask: Callable[[str], bool]

        def reads(self) -> tuple[str, ...]:
            return ("rationale",)

        def judge(self, frame: pl.DataFrame) -> pl.DataFrame:
            raise NotImplementedError

    with registered(FILTERS, Calling):
        recipe = Recipe(**SMALL, filters=[Calling(ask=str.isupper)])
        with pytest.raises(InputError, match=r"can't be written down .* texts, numbers"):
            RecipeFile.of(recipe)

"""A class of the user's own, from a script and from a notebook, works like one that is shipped."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

import curate
from tests.curate import sums
from tests.curate.imported_sums import write

CLASSES: Final = '''
from typing import ClassVar, Literal
import polars as pl
from curate.measures import MEASURES, DerivedMeasure
from curate.sources import ReadSource
from curate.sources.drafts import Drafts
from filters import FILTERS
from filters.columns import Column, Glossary
from filters.contract import Filter


class Mine(Filter):
    """Drop rationales with a word."""

    reasons: ClassVar = {"worded": "holds the word that is not wanted"}
    use: Literal["mine"] = "mine"
    word: str = "First"

    def reads(self):
        return ("rationale",)

    def judge(self, frame):
        bad = frame["rationale"].fill_null("").str.contains(self.word, literal=True)
        reasons = ["worded" if each else None for each in bad]
        return self.verdicts(~bad, pl.Series(reasons, dtype=pl.String))

    def would_pass(self, reason, score, evidence):
        return {"word": "never"}


class Own(ReadSource):
    """States each answer."""

    use: Literal["own"] = "own"

    def rows(self, questions, folder, tally):
        drafts = Drafts(self.name, gold_shown=True)
        for question, gold in questions.frame.select("question_id", "gold").iter_rows():
            drafts.add(question, self.name, None, f"It is easy. The answer is {gold}.")
        yield drafts.take()


class Letters(DerivedMeasure):
    """Writes how many letters a rationale has."""

    name: ClassVar = "letters"
    reads = ("rationale",)
    writes = Glossary(
        [Column("letters", pl.Int32(), "letters of a rationale", published=True, score="lower")]
    )

    def instrument(self):
        return {}

    def derive(self, frame):
        return pl.DataFrame({"letters": frame["rationale"].str.len_chars().cast(pl.Int32)})
'''
"""A filter, a source and a measure, as somebody types them."""

USES: Final = """
import io, json
from pathlib import Path
from rich.console import Console
from curate import Recipe, RunOptions, plan, read_recipe, run
from curate.engine.progress.progress import Progress
from curate.release.diff import diff
from curate.report.browse import BrowseOptions, browse
from curate.report.html.page import write_report
from curate.report.why import explain

QUESTIONS = {"path": "questions.jsonl", "gold": {"type": "number"}}
POOL = {
    "use": "import", "name": "pool", "path": "pool.jsonl",
    "columns": {"question": "question", "completion": "text"},
}


def do(recipe, **options):
    return run(recipe, RunOptions(**options), Progress(quiet=True))


def dropped(result, word):
    audit = result.audit.filter(pl.col("rationale").str.contains(word, literal=True))
    return audit["verdict_mine"].struct.field("keep").eq(False).sum()


def printed(thing):
    console = Console(file=io.StringIO(), width=150)
    console.print(thing)
    return console.file.getvalue()


def looked_at(result, other):
    worded = result.audit.filter(pl.col("verdict_mine").struct.field("keep").eq(False))
    page = write_report(result.folder, Path("page.html")).read_text()
    return {
        "show": printed(browse(result.folder, BrowseOptions(filter="mine"))),
        "list": printed(browse(result.folder, BrowseOptions())),
        "why": printed(explain(result.folder, worded["sample_id"][0])),
        "taken": printed(explain(result.folder, result.audit.filter("selected")["sample_id"][0])),
        "report": [word for word in ("worded", "letters", "mine") if word in page],
        "diff": diff(result.folder, other.folder).markdown(),
    }


def told(**facts):
    print(json.dumps(facts))
"""

SCRIPT: Final = f"""{CLASSES}{USES}
if __name__ == "__main__":
    recipe = Recipe(
        name="mine",
        questions=QUESTIONS,
        sources=[POOL, Own(name="easy")],
        filters=[Mine(), {{"use": "correctness"}}],
        select={{"per_question": 1, "seed": 3}},
        arms=["random", "without:mine"],
        runtime={{"workers": 2, "questions_per_shard": 16}},
    )
    first, again = do(recipe), do(recipe, replay=True)
    second = do(recipe.model_copy(update={{"filters": (Mine(word="easy"), recipe.filters[1])}}))
    alone = recipe.model_copy(update={{"runtime": type(recipe.runtime)()}})
    written = read_recipe(str(first.folder / "dataset" / "recipe.yaml")).recipe
    told(
        steps=list(plan(recipe).describe()),
        folder=str(first.folder),
        hashes=[each.dataset_hash for each in (first, again, second, do(alone))],
        dropped=[dropped(first, "First"), dropped(second, "First"), dropped(second, "easy")],
        sources=sorted(set(first.audit["source"])),
        written=written == alone,
        **looked_at(first, second),
    )
"""

CELLS: Final = (
    f"{CLASSES}{USES}",
    """
recipe = Recipe(name="mine", questions=QUESTIONS, sources=[POOL], filters=[Mine()])
first = do(recipe)
told(dropped=[dropped(first, "First"), dropped(first, "We add")])
""",
    # the cell above, changed and run again: no name, parameter or version tells the two apart
    CLASSES.replace("contains(self.word, literal=True)", 'contains("We add", literal=True)'),
    """
second = do(Recipe(name="mine", questions=QUESTIONS, sources=[POOL], filters=[Mine()]))
told(dropped=[dropped(second, "First"), dropped(second, "We add")], filters=FILTERS.names)
""",
    CLASSES,
    """
for _ in range(2):
    FILTERS.register(Mine)
    MEASURES.register(Letters)
Path("mine.yaml").write_text(json.dumps({
    "name": "mine", "questions": QUESTIONS, "sources": [POOL], "filters": [{"use": "mine"}],
    "select": {"order_by": ["letters"], "per_question": 1}, "arms": ["highest:letters"],
}))
third = do(read_recipe("mine.yaml"))
fourth = do(read_recipe("mine.yaml", ["filters.mine.word=' + '", "select.order_by=[-letters]"]))
again = do(read_recipe("mine.yaml"), replay=True)
columns = json.loads((third.folder / "dataset/manifest.json").read_text())["glossary"]
ranked = third.audit.filter("live").sort("question_id", "selection_rank")
told(
    hashes=[each.dataset_hash for each in (third, again, fourth)],
    dropped=[dropped(third, "First"), dropped(fourth, " + ")],
    measures=MEASURES.names,
    ordered=all(
        rows["letters"].is_sorted(nulls_last=True) for _, rows in ranked.group_by("question_id")
    ),
    column=[each for each in columns if each["name"] == "letters"],
    **looked_at(third, fourth),
)
""",
    """
try:
    do(read_recipe("mine.yaml", ["runtime.workers=2"]))
except Exception as error:
    told(error=f"{type(error).__name__}: {error}")
""",
)
NOTEBOOK: Final = """
import json, sys
for number, cell in enumerate(json.loads(sys.argv[1])):
    exec(compile(cell, f"<cell {number}>", "exec"), vars(sys.modules["__main__"]))
"""
"""Runs cells as a notebook does: in a main module that no file stands behind."""


def played(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """Run Python in a folder with questions and a pool; give what it tells, line by line."""
    write(folder)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=sums.environment(folder)
        | {"PYTHONPATH": str(Path(curate.__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def seen(facts: dict[str, Any]) -> None:
    """Hold that each way to look at a run knows the filter."""
    assert "worded" in facts["show"]
    assert "worded: holds the word that is not wanted" in facts["why"]
    assert 'would pass with filters.mine.word="never"' in facts["why"]
    assert {"worded", "mine"} <= set(facts["report"])
    assert "mine: worded" in facts["diff"]
    assert "`recipe.filters" in facts["diff"]


def test_a_script_hands_its_classes_over(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (facts,) = played(tmp_path, "script.py")
    assert {"own samples: easy", "filter mine"} <= set(facts["steps"])
    assert facts["sources"] == ["easy", "pool"]
    first, again, second, alone = facts["hashes"]
    assert first == again == alone != second
    assert facts["dropped"] == [60, 0, 60]
    assert facts["written"], "what is released is the recipe, but for its runtime"
    seen(facts)

    shown = sums.curate(tmp_path, "show", facts["folder"], "--filter", "mine")
    assert shown.returncode == 0, shown.stderr
    assert "worded" in shown.stdout
    assert "not installed here: source 'own', filter 'mine'" in shown.stderr
    refused = sums.curate(tmp_path, "run", facts["folder"])
    assert "'own' is no source of curate itself" in refused.stderr


def test_a_notebook_defines_changes_and_registers(tmp_path: Path) -> None:
    first, second, third, fourth = played(tmp_path, "-c", NOTEBOOK, json.dumps(CELLS))
    assert first["dropped"] == [60, 0]
    assert second["dropped"] == [0, 60], "a cell that was changed judges anew"
    assert second["filters"].count("mine") == 1

    assert third["hashes"][0] == third["hashes"][1] != third["hashes"][2]
    assert third["dropped"] == [60, 180]
    assert third["measures"].count("letters") == 1
    assert third["ordered"]
    ((column,),) = [third["column"]]
    assert (column["of"], column["score"]) == ("letters", "lower")
    seen(third)
    for way in ("list", "taken", "report", "diff"):
        assert "letters" in third[way]

    assert fourth["error"].startswith("BackendError: a worker process ended")
    assert "put it into a file and import it, or leave runtime.workers out" in fourth["error"]


def test_a_class_with_the_name_of_a_shipped_one_is_refused() -> None:
    taken = CLASSES.replace('"mine"', '"length"')
    making = "Recipe(name='a', questions=QUESTIONS, sources=[POOL], filters=[Mine()])"
    done = subprocess.run(
        [sys.executable, "-c", f"{taken}{USES}{making}"],
        env={**os.environ, "PYTHONPATH": str(Path(curate.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "there is a filter 'length' already" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", ["Recipe", "run", "plan", "read_recipe", "RunOptions"])
def test_what_a_script_needs_is_public(name: str) -> None:
    assert name in curate.__all__
    assert callable(getattr(curate, name))

"""A finished run at a prompt and in a notebook: short, with links, and nothing of it obeyed."""

import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml

from curate import Result, RunOptions, read_recipe, run
from curate.engine.progress.progress import Progress
from curate.errors import InputError
from curate.report.result import Page
from curate.report.rich_view import WIDTH
from tests.curate.imported_sums import RECIPE, write

HOSTILE = "</td><script>alert('&')</script>"


class Reader(HTMLParser):
    """Collects tags, links and what is read."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


def html(shown: Any) -> Reader:
    return Reader(shown._repr_html_())


@pytest.fixture
def result(sums_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    """Give a copy of a run, as one finds it who works beside its folder."""
    shutil.copytree(sums_run.parents[1], tmp_path / "runs & more")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return Result.open("runs & more/sums")


def test_its_table_counts_what_the_funnel_does(result: Result) -> None:
    lines = repr(result).splitlines()
    assert lines[0] == "sums 0.1.0: 120 of 300 samples selected"
    assert lines[2:4] == [
        "all samples              300         60",
        "completeness             240         60",
    ]
    assert [line.split()[0] for line in lines[2:-2]] == [
        "all", "completeness", "length", "correctness", "diversity", "selected", "random",
        "all_correct", "without_correctness",
    ]  # fmt: skip
    assert lines[-2:] == [
        str(result.folder),
        ".dataset  .audit  .why(SAMPLE_ID)  .scores()  .report()",
    ]
    page = html(result)
    for line in lines[:-2]:
        assert "".join(line.split()) in "".join(page.text.split())


def test_links_lead_from_where_one_works(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = f"./runs%20%26%20more/sums/{result.folder.name}"
    assert html(result).links == [folder]
    page = Page(f"{result.folder}.html")
    assert html(page).links == [f"{folder}.html"]
    page.touch()
    assert html(result).links == [folder, f"{folder}.html"]
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    assert html(Result.open(tmp_path / "runs & more" / "sums")).links[0] == (
        (tmp_path / "runs & more" / "sums" / result.folder.name).as_uri()
    )


def test_it_gives_the_selection_and_the_audit(result: Result) -> None:
    selected = result.audit.filter("selected")
    assert selected.height == result.funnel.picks[0].rows == 120
    train = result.dataset
    assert isinstance(train, datasets.Dataset)
    held_out = datasets.load_dataset(str(result.folder), split="validation")
    assert len(train) > len(held_out) > 0
    assert {*train["sample_id"], *held_out["sample_id"]} == {*selected["sample_id"]}
    assert result.audit["rejected_reason"].is_null().equals(result.audit["live"])
    assert result.dataset_hash == result.run.manifest["configs"]["default"]["dataset_hash"]
    assert result.tally["sampled"] == 0


def test_why_shows_itself_in_text_and_html(result: Result) -> None:
    dropped = result.audit.filter(rejected_by="correctness")["sample_id"][0]
    why = result.why(dropped[:12])
    text = repr(why)
    assert "would pass" in text or "names no parameter" in text
    assert "not live: correctness stopped it" in text
    assert max(map(len, text.splitlines())) <= WIDTH
    shown = html(why)
    assert shown.tags == {"pre", "span"}
    assert shown.text.split() == text.split()
    with pytest.raises(InputError, match="no sample is 'xyz'"):
        result.why("xyz")


def test_texts_are_shown_and_not_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    pool = tmp_path / "pool.jsonl"
    pool.write_text(pool.read_text().replace("We add", HOSTILE.replace('"', "'")))
    recipe = yaml.safe_load(RECIPE)
    recipe["filters"][0] |= {"name": HOSTILE}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    out = tmp_path / "<b>out</b>"
    result = run(read_recipe("recipe.yaml"), RunOptions(out=out), Progress(quiet=True))
    shown = html(result)
    assert HOSTILE in shown.text
    assert "<b>out</b>" in shown.text
    assert not {"script", "b"} & shown.tags
    first = result.audit.filter(result.audit["rationale"].str.contains("<script>"))
    why = html(result.why(first["sample_id"][0]))
    assert why.text.count("<script>") == 2
    assert why.tags == {"pre", "span"}


def test_a_run_that_selected_nothing_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    file = read_recipe("recipe.yaml", ["filters.length.max=1"])
    result = run(file, progress=Progress(quiet=True))
    assert repr(result).startswith("sums 0.1.0: 0 of 300 samples selected\n")
    with pytest.raises(InputError, match=r"no row to train on was selected .* \.audit says what"):
        _ = result.dataset

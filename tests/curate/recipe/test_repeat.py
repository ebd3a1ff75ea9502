"""A release is repeated from what travels with it, and may do nothing that nobody allowed."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest
import yaml

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, ready, run
from curate.errors import InputError
from curate.measures import MEASURES, DerivedMeasure
from curate.recipe.files import read_recipe
from curate.recipe.repeat import open_recipe
from curate.release.repositories.push import push
from filters.columns import Column, Glossary
from tests.curate.imported_sums import do, read, write
from tests.curate.registering import registered
from tests.servers.hub import Hub

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>'")

TERMS = "sources.pool.terms=cc0-1.0"
DATA = ("questions.path={0}/questions.jsonl", "sources.pool.path={0}/pool.jsonl")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path)
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def repeated(reference: str, folder: Path, *overrides: str) -> RunResult:
    given = (*(one.format(folder) for one in DATA), *overrides)
    file = open_recipe(reference, given)
    return run(file, RunOptions(runs=folder / "again"), Progress(quiet=True))


def changed(folder: Path, **parts: object) -> Path:
    """Run the recipe with parts added; give its release, which no run folder is around."""
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text()) | parts
    (folder / "other.yaml").write_text(yaml.safe_dump(recipe))
    file = read_recipe(str(folder / "other.yaml"))
    done = run(file, RunOptions(runs=folder / "runs"), Progress(quiet=True))
    shutil.rmtree(folder / "release", ignore_errors=True)
    shutil.copytree(done.folder / "dataset", folder / "release")
    return folder / "release"


def test_a_published_version_is_run_again(folder: Path, hub: Hub) -> None:
    first = do(folder, TERMS, "filters.length.max=8", limit=50)
    push(first.folder, "org/sums")
    second = do(folder, TERMS, "release=0.2.0")
    push(second.folder, "org/sums")
    shutil.rmtree(folder / "cache")
    before = len(hub.asked)
    for reference, made in {
        "hf://org/sums@v0.1.0": first,
        "hf://datasets/org/sums@v0.1.0": first,
        "hf://org/sums": second,
        str(first.folder): first,
        str(second.folder / "dataset"): second,
    }.items():
        again = repeated(reference, folder)
        assert again.summary.dataset_hash == made.summary.dataset_hash
        assert again.summary.manifest["limit"] == made.summary.manifest["limit"]
    asked = [path for _, path in hub.asked[before:] if "/resolve/" in path]
    assert any(path.endswith("/recipe.yaml") for path in asked)
    assert not any(path.endswith(".parquet") for path in asked), "no rows are wanted"


def test_it_starts_from_the_release_s_lock_file(folder: Path) -> None:
    made = do(folder, TERMS)
    file = open_recipe(str(made.folder / "dataset"))
    assert file.lock.name == f"sums-0.1.0-{made.summary.dataset_hash[:8]}.lock.json"
    other = do(folder, TERMS, "filters.length.max=8")
    assert open_recipe(str(other.folder / "dataset")).lock != file.lock, "of the same name"
    before = (made.folder / "dataset" / "recipe.lock.json").read_text()
    assert file.lock_text == before
    repeated(str(made.folder / "dataset"), folder)
    assert file.lock.is_file()
    assert (made.folder / "dataset" / "recipe.lock.json").read_text() == before


def test_the_limit_is_the_release_s_unless_its_reader_sets_one(folder: Path) -> None:
    by_command = str(do(folder, TERMS, limit=50).folder)
    assert open_recipe(by_command).limit == 50
    assert open_recipe(by_command, ["questions.limit=10"]).limit is None
    assert open_recipe(by_command, ["questions.limit=null"]).limit is None
    by_recipe = open_recipe(str(do(folder, TERMS, "questions.limit=50").folder))
    assert (by_recipe.limit, by_recipe.recipe.questions.limit) == (None, 50)


def test_a_person_s_verdicts_travel_without_their_words(folder: Path) -> None:
    ids = do(folder).audit.filter("selected")["sample_id"].sort()
    lines = [f"{ids[0]},false,seen by bob,raw text", f"{ids[1]},yes,,", "elsewhere,no,secret,"]
    (folder / "hand.csv").write_text("\n".join(["sample_id,keep,reason,raw_output", *lines]))
    chain = [{"use": "overrides", "file": "hand.csv"}, *filters(folder)]
    release = changed(folder, filters=chain)
    assert (release / "hand.csv").read_text().splitlines() == [
        "sample_id,keep", f"{ids[0]},false", f"{ids[1]},true",
    ]  # fmt: skip
    again = repeated(str(release), folder)
    manifest = json.loads((release / "manifest.json").read_text())
    assert again.summary.dataset_hash == manifest["dataset_hash"]
    assert manifest["files"] == ["hand.csv"]


def filters(folder: Path) -> list[dict[str, Any]]:
    return yaml.safe_load((folder / "recipe.yaml").read_text())["filters"]


def taught(folder: Path, **parts: Any) -> Path:
    """Give a release whose recipe has a teacher that is excluded, so that none is needed."""
    source = {"use": "generate", "model": "tiny", "prompt": {"file": "prompts/mine.jinja"}}
    pool = yaml.safe_load((folder / "recipe.yaml").read_text())["sources"]
    return changed(folder, sources=[*pool, source], exclude_teachers=["tiny"], **parts)


def with_overrides(release: Path, *overrides: str) -> str:
    """Write overrides into a manifest, as nobody's run would."""
    manifest = json.loads((release / "manifest.json").read_text())
    manifest["overrides"] = list(overrides)
    (release / "manifest.json").write_text(json.dumps(manifest))
    return str(release)


SERVER = "{sources: {tiny: {backend: openai, url: 'http://elsewhere/v1', api_key_env: HF_TOKEN}}}"


@pytest.mark.parametrize("key", ["runtime", "runtime ", " runtime", "]runtime", "runtime]"])
def test_no_override_of_theirs_reaches_a_server(folder: Path, key: str) -> None:
    release = with_overrides(taught(folder), f"{key}={SERVER}")
    assert not open_recipe(release).recipe.runtime.sources
    with pytest.raises(InputError, match="'HF_TOKEN' reads your environment"):
        open_recipe(release, allow=["runtime"])
    with pytest.raises(InputError, match="'HF_TOKEN' reads your environment"):
        open_recipe(release, ["runtime.workers=1"], allow=["runtime"])
    allowed = open_recipe(release, allow=["runtime", "environment"]).recipe
    assert set(allowed.runtime.sources) == {"tiny"}


def test_a_release_comes_without_its_inputs(folder: Path) -> None:
    release = str(changed(folder))
    with pytest.raises(InputError, match=r"'questions.jsonl' is not there.*questions.path=\.\.\."):
        open_recipe(release, present=True)
    with pytest.raises(InputError, match=r"'pool.jsonl' is not there.*sources.pool.path=\.\.\."):
        open_recipe(release, [f"questions.path={folder}/questions.jsonl"], present=True)
    paths = ["questions.path=./questions.jsonl", "sources.pool.path=./pool.jsonl"]
    file = open_recipe(release, paths, present=True)
    result = run(file, RunOptions(out=folder / "again"), Progress(quiet=True))
    manifest = json.loads((folder / "release" / "manifest.json").read_text())
    assert result.summary.dataset_hash == manifest["dataset_hash"]
    assert str(folder) not in json.dumps(result.summary.manifest)


def test_no_variable_is_read_unless_its_reader_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_PLACE", str(folder))
    path = "${SECRET_PLACE}/questions.jsonl"
    release = str(taught(folder, questions={"path": path, "gold": {"type": "number"}}))
    with pytest.raises(InputError, match=r"questions\.path: .*SECRET_PLACE}.*reads your environ"):
        open_recipe(release)
    mine = open_recipe(release, ["questions.path=${SECRET_PLACE}//questions.jsonl"]).recipe
    assert mine.questions.path == f"{folder}//questions.jsonl", "what its user writes is read"
    allowed = open_recipe(release, allow=["environment", "files"]).recipe
    assert allowed.questions.path == f"{folder}/questions.jsonl"
    for url in ("http://${SECRET_PLACE}/v1", "http://elsewhere/v1"):
        server = f"runtime={{sources: {{tiny: {{backend: openai, url: '{url}'}}}}}}"
        given = with_overrides(Path(release), "questions.path=q.jsonl", server)
        opened = [["runtime.workers=2"], ["runtime.workers=2", "runtime.questions_per_shard=9"]]
        for overrides in opened:
            if "$" in url:
                with pytest.raises(InputError, match="reads your environment"):
                    open_recipe(given, overrides, allow=["runtime"])
            else:
                assert open_recipe(given, overrides, allow=["runtime"]).recipe.runtime.workers == 2
    with pytest.raises(InputError, match="got 'all'; a recipe can be allowed environment, files"):
        open_recipe(release, allow=["all"])


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "~/private.jsonl", "../notes.jsonl", "a/../../notes.jsonl",
     "hf://datasets/org/sums/http://elsewhere/questions.jsonl", "s3://bucket/questions.jsonl"],
)  # fmt: skip
def test_no_file_is_read_but_those_that_came_along(folder: Path, path: str) -> None:
    release = with_overrides(taught(folder), f"sources.tiny.prompt.file={path}")
    with pytest.raises(InputError, match=r"none of the files that came with it"):
        open_recipe(release)
    release = with_overrides(Path(release), f"questions.path={path}")
    with pytest.raises(InputError, match=r"none of the files that came with it.*--allow files"):
        open_recipe(release)
    mine = open_recipe(release, [f"questions.path=mine/{Path(path).name}"])
    assert mine.recipe.questions.path == str(folder / "mine" / Path(path).name), "from here"
    assert list(mine.written.values()) == [f"mine/{Path(path).name}"]
    assert open_recipe(release, allow=["files"]).recipe.questions.path == path
    hub = with_overrides(Path(release), "questions.path=hf://datasets/openai/gsm8k")
    assert open_recipe(hub).recipe.questions.path == "hf://datasets/openai/gsm8k"


def test_it_pushes_nowhere(folder: Path) -> None:
    made = do(folder, TERMS, f"publish={{repo: 'file://{folder}/theirs', formats: [messages]}}")
    file = open_recipe(str(made.folder / "dataset"), [one.format(folder) for one in DATA])
    assert file.recipe.publish.repo is None
    assert file.recipe.publish.formats == ("messages",)
    with pytest.raises(InputError, match=r"that a published recipe names .* --allow push"):
        ready(file)
    again = run(file, RunOptions(runs=folder / "again"), Progress(quiet=True))
    with pytest.raises(InputError, match="comes with no repository to publish it to"):
        push(again.folder)
    assert not (folder / "theirs").exists()
    push(made.folder)
    assert (folder / "theirs/versions/v0.1.0").is_dir()
    mine = open_recipe(str(made.folder / "dataset"), [f"publish.repo=file://{folder}/mine"])
    ready(mine)


class Theirs(DerivedMeasure):
    """Writes a column that this project does not know."""

    name: ClassVar[str] = "theirs"
    reads = ("rationale",)
    writes = Glossary([Column("their_score", pl.Float64(), "what they think of it", score="lower")])

    def instrument(self) -> Mapping[str, Any]:
        return {}

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select(their_score=pl.lit(1.0))


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("select.order_by=[-their_score]", "-their_score"),
        ("select.one_per=their_score", "their_score"),
        ("select.order_by=[{draw: {weights: 2^-rank(their_score)}}]", "2^-rank(their_score)"),
        ("sweep={order_by: [{rank_fusion: {keys: [-their_score]}}]}", "-their_score"),
        ("arms=[random, lowest:their_score]", "lowest:their_score"),
    ],
)
def test_the_measure_of_a_plug_in_is_used_where_that_is_allowed(
    folder: Path, override: str, value: str
) -> None:
    release = with_overrides(changed(folder), override)
    with registered(MEASURES, Theirs):
        with pytest.raises(
            InputError, match=f"'{re.escape(value)}' is no column of curate.*plug-ins"
        ):
            open_recipe(release)
        assert open_recipe(release, allow=["plug-ins"])


def test_a_plug_in_is_used_where_that_is_allowed(folder: Path) -> None:
    for kind, override in (
        ("filter", "filters.length.use=theirs"),
        ("source", "sources.pool.use=theirs"),
        ("format", "publish.formats=[theirs]"),
        ("arm", "arms=[random, theirs]"),
    ):
        release = with_overrides(changed(folder), override)
        message = f"'theirs' is no {kind} of curate.*--allow plug-ins"
        with pytest.raises(InputError, match=message):
            open_recipe(release)


def test_prompts_travel_with_the_release(folder: Path) -> None:
    (folder / "prompts").mkdir()
    (folder / "prompts" / "mine.jinja").write_text("{% block user %}{{ question }}{% endblock %}")
    excluded = taught(folder)
    assert not (excluded / "prompts").exists(), "of an excluded teacher"
    assert open_recipe(str(excluded)).folder == excluded.resolve()
    used = open_recipe(str(excluded), ["exclude_teachers=[]"]).recipe
    assert [file for source in used.sources for file in source.texts()] == ["prompts/mine.jinja"]


def test_a_release_that_is_not_whole_is_refused(folder: Path) -> None:
    release = changed(folder)
    (release / "recipe.yaml").write_text("- a list")
    with pytest.raises(InputError, match=r"recipe.yaml' is not what was written: manifest.json"):
        open_recipe(str(release))
    (release / "recipe.yaml").unlink()
    with pytest.raises(InputError, match=r"recipe of sums 0.1.0: .*recipe.yaml' is missing"):
        open_recipe(str(release))
    release = changed(folder)
    manifest = json.loads((release / "manifest.json").read_text())
    (release / "manifest.json").write_text(json.dumps(manifest | {"limit": "all"}))
    with pytest.raises(InputError, match="has the limit 'all'; a number is wanted"):
        open_recipe(str(release))


def test_what_is_no_release_is_said(folder: Path, hub: Hub) -> None:
    with pytest.raises(InputError, match="'hf://sums' names no release"):
        open_recipe("hf://sums")
    with pytest.raises(InputError, match="no recipe file 'nowhere'"):
        open_recipe("nowhere")
    with pytest.raises(InputError, match="404"):
        open_recipe("hf://org/nothing@v0.1.0")
    assert open_recipe(str(folder / "recipe.yaml")).recipe == read(folder).recipe

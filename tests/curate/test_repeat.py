"""A release is repeated from what travels with it, and may do nothing that nobody allowed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from huggingface_hub import constants

from curate.engine import RunOptions, RunResult, run
from curate.errors import InputError
from curate.progress import Progress
from curate.push import push, ready
from curate.recipe_file import read_recipe
from curate.repeat import open_recipe
from tests.curate.imported_sums import do, read, write
from tests.servers.hub import TOKEN, Hub, running_hub

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>'")

TERMS = "sources.pool.terms=cc0-1.0"
DATA = ("questions.path={0}/questions.jsonl", "sources.pool.path={0}/pool.jsonl")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path)
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with running_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


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
    assert file.lock == Path("runs/sums/sums-0.1.0.lock.json")
    before = (made.folder / "dataset" / "recipe.lock.json").read_text()
    assert file.lock_text == before
    repeated(str(made.folder / "dataset"), folder)
    assert file.lock.is_file()
    assert (made.folder / "dataset" / "recipe.lock.json").read_text() == before


def test_prompts_travel_with_the_release(folder: Path) -> None:
    (folder / "prompts").mkdir()
    (folder / "prompts" / "mine.jinja").write_text("{% block user %}{{ question }}{% endblock %}")
    (folder / "hand.csv").write_text("sample_id,keep,reason\n")
    source = {"use": "generate", "model": "tiny", "prompt": {"file": "prompts/mine.jinja"}}
    pool = yaml.safe_load((folder / "recipe.yaml").read_text())["sources"]
    release = changed(
        folder,
        sources=[*pool, source],
        exclude_teachers=["tiny"],
        filters=[{"use": "overrides", "file": "hand.csv"}],
        select={},
        arms=[],
    )
    assert not (release / "prompts").exists(), "of an excluded teacher"
    assert (release / "hand.csv").read_text() == "sample_id,keep,reason\n"
    assert open_recipe(str(release)).folder == release.resolve()
    used = open_recipe(str(release), ["exclude_teachers=[]"]).recipe
    assert used.files == ("prompts/mine.jinja", "hand.csv")


def test_it_reads_no_variable_and_reaches_no_server(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_PLACE", str(folder))
    server = {"backend": "openai", "url": "http://elsewhere", "api_key_env": "HF_TOKEN"}
    source = {"use": "generate", "model": "tiny"}
    pool = yaml.safe_load((folder / "recipe.yaml").read_text())["sources"]
    release = changed(
        folder,
        questions={"path": "${SECRET_PLACE}/questions.jsonl", "gold": {"type": "number"}},
        sources=[*pool, source],
        exclude_teachers=["tiny"],
        runtime={"sources": {"tiny": server}},
    )
    with pytest.raises(InputError, match=r"SECRET_PLACE}.*reads your environment.*--allow env"):
        open_recipe(str(release))
    mine = open_recipe(str(release), ["questions.path=${SECRET_PLACE}//questions.jsonl"]).recipe
    assert mine.questions.path == f"{folder}//questions.jsonl", "what its user writes is read"
    mine = open_recipe(str(release), ["questions.path=mine.jsonl"]).recipe
    assert mine.questions.path == "mine.jsonl"
    assert not mine.runtime.sources
    allowed = open_recipe(str(release), allow=["environment", "runtime"]).recipe
    assert allowed.questions.path == f"{folder}/questions.jsonl"
    assert set(allowed.runtime.sources) == {"tiny"}
    with pytest.raises(InputError, match="got 'all'; a recipe can be allowed environment, run"):
        open_recipe(str(release), allow=["all"])


def test_it_pushes_nowhere(folder: Path) -> None:
    made = do(folder, TERMS, "publish.repo=org/theirs")
    with pytest.raises(InputError, match="would publish to 'org/theirs'; add --allow push"):
        ready(open_recipe(str(made.folder / "dataset")))
    here = open_recipe(str(made.folder / "dataset"), [f"publish.repo=file://{folder}/mine"])
    ready(here, allowed=True)


def test_a_plug_in_is_named_before_it_is_loaded(folder: Path) -> None:
    release = changed(folder)
    text = (release / "recipe.yaml").read_text()
    (release / "recipe.yaml").write_text(text.replace("use: length", "use: theirs"))
    with pytest.raises(InputError, match=r"'theirs' is no filter of curate.*--allow plug-ins"):
        open_recipe(str(release))


def test_what_is_no_release_is_said(folder: Path, hub: Hub) -> None:
    with pytest.raises(InputError, match="'hf://sums' names no release"):
        open_recipe("hf://sums")
    with pytest.raises(InputError, match="no recipe file 'nowhere'"):
        open_recipe("nowhere")
    with pytest.raises(InputError, match="404"):
        open_recipe("hf://org/nothing@v0.1.0")
    assert open_recipe(str(folder / "recipe.yaml")).recipe == read(folder).recipe

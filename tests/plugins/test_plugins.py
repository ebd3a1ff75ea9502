"""What an installed package brings works like what is shipped, and a run outlives the package."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest

import curate
from curate.measures import MEASURES
from curate.models.teachers.open import TEACHERS
from curate.release.formats import FORMATS
from curate.release.repositories import REPOSITORIES
from curate.select.arms import ARMS
from curate.sources import SOURCES
from filters import FILTERS
from tests.curate.imported_sums import write
from tests.curate.sums import command, environment
from tests.docs.fences import blocks

EXAMPLE: Final = Path(__file__).parent / "example"
CODE: Final = "curate_example_plugin.py"
HERE: Final = Path(curate.__file__).parents[1]
RECIPE: Final = """
name: plugged
questions: {path: questions.jsonl, gold: {type: number}}
sources:
  - use: import
    name: pool
    path: pool.jsonl
    columns: {question: question, completion: text}
    terms: cc0-1.0
  - {use: verdict, name: quiet, terms: cc0-1.0}
  - {use: verdict, name: loud, loud: true, terms: cc0-1.0}
filters:
  - {use: calm, max: 0.6}
  - use: completeness
  - use: correctness
select: {order_by: [capital_share], per_question: 2, seed: 17}
arms: [calmest, random]
publish: {formats: [flashcards]}
"""
PARTS: Final = (
    "source 'verdict'",
    "measure 'capitals'",
    "filter 'calm'",
    "arm 'calmest'",
    "format 'flashcards'",
)
"""Of what the example brings, as messages name it."""


class Bench:
    """A folder in which the command line is used, with a package installed or without it.

    Args:
        folder: of the questions and the recipe.
        site: where the package is installed.
    """

    def __init__(self, folder: Path, site: Path) -> None:
        self.folder = folder
        self.site = site

    def curate(self, *arguments: str, installed: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command line, to its end."""
        paths = [HERE, self.site] if installed else [HERE]
        return subprocess.run(
            command(*arguments),
            cwd=self.folder,
            env={
                **environment(self.folder),
                "PYTHONPATH": os.pathsep.join(map(str, paths)),
                "OMP_NUM_THREADS": "1",  # where cores are shared, threads wait for each other
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def output(self, *arguments: str, installed: bool = True) -> str:
        """Run it, want it to end well and to miss nothing; give what it prints."""
        done = self.curate(*arguments, installed=installed)
        assert done.returncode == 0, done.stderr
        missing = [part for part in PARTS if part in done.stderr]
        assert missing == ([] if installed else list(PARTS)), done.stderr
        return done.stdout

    def run(self, *arguments: str) -> dict[str, Any]:
        """Run the recipe; give what it says of itself."""
        return json.loads(self.output("run", "recipe.yaml", *arguments, "--json"))

    def manifest(self, run: dict[str, Any]) -> dict[str, Any]:
        return json.loads((self.folder / run["folder"] / "dataset" / "manifest.json").read_bytes())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example is installed, by pip and from its source alone."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLE, folder / "source")  # a build leaves files beside its source
    alone = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    target = ["--target", str(folder / "site"), str(folder / "source")]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", *alone, *target]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written_before(folder / "site" / CODE)
    return folder / "site"


def written_before(code: Path) -> None:
    """Make a file older than any process: who starts within a second of an edit can't be told."""
    os.utime(code, (code.stat().st_mtime - 60,) * 2)


@pytest.fixture(scope="module")
def bench(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A folder with a recipe that uses all that the example brings."""
    folder = tmp_path_factory.mktemp("bench")
    write(folder)
    (folder / "recipe.yaml").write_text(RECIPE)
    return Bench(folder, site)


@pytest.fixture(scope="module")
def runs(bench: Bench) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two runs of it, the second with a lower threshold."""
    return bench.run(), bench.run("filters.calm.max=0.05")


def stopped(bench: Bench, run: dict[str, Any]) -> str:
    """Give the id of a sample that the example's filter stopped."""
    audit = pl.read_parquet(bench.folder / run["folder"] / "audit" / "samples-*.parquet")
    dropped = audit.filter(~pl.col("verdict_calm").struct.field("keep"), source="loud")
    return dropped["sample_id"].sort()[0]


def test_a_recipe_uses_all_that_a_package_brings(
    bench: Bench, runs: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    plan = bench.output("plan", "recipe.yaml")
    for step in (
        "verdict samples: loud",
        "measure capitals (for filter 'calm')",
        "filter calm",
        "select by capital_share",
        "arm calmest: as many a question as the selection, the calmest",
        "loud: its rows are there already",
    ):
        assert step in plan
    manifest = bench.manifest(runs[0])
    configs = manifest["configs"]
    assert configs["calmest"]["splits"] == configs["default"]["splits"]
    assert configs["flashcards"]["splits"] == configs["default"]["splits"]
    assert "loud" not in configs["default"]["sources"]
    cards = pl.read_parquet(
        bench.folder / runs[0]["folder"] / "dataset" / "data" / "flashcards" / "*.parquet"
    )
    assert cards.columns == ["sample_id", "front", "back"]
    (column,) = [each for each in manifest["glossary"] if each["name"] == "capital_share"]
    assert (column["of"], column["score"]) == ("capitals", "lower")
    assert manifest["measures"]["capitals"]


def test_the_front_page_shows_an_entry_point_of_the_example() -> None:
    (block,) = blocks("toml")
    assert block.text in (EXAMPLE / "pyproject.toml").read_text()
    groups = [
        registry.group
        for registry in (FILTERS, MEASURES, SOURCES, FORMATS, ARMS, TEACHERS, REPOSITORIES)
    ]
    page = (HERE / "README.md").read_text()
    assert [group for group in groups if f"`{group}`" in page] == groups


def test_the_catalogue_has_the_filter_of_a_package(bench: Bench) -> None:
    page = bench.output("filters", "calm")
    assert "Drop rationales that shout." in page
    assert "more capitals than" in page
    rows = [line.split() for line in page.splitlines()]
    assert ["a", "0.1", "kept", "0.1"] in rows
    assert ["b", "0.9", "dropped:", "shouting", "0.9"] in rows


def test_a_replay_gives_the_same(bench: Bench, runs: tuple[dict[str, Any], dict[str, Any]]) -> None:
    again = bench.run("--replay")
    assert again["dataset_hash"] == runs[0]["dataset_hash"] != runs[1]["dataset_hash"]
    assert (again["judged"], again["measured"]) == (0, 0)


EDITS: Final = {
    "sum(map(str.isupper, each))": "sum(map(str.islower, each))",
    "if share <= self.max else": "if share >= self.max else",
    "self.verdicts(score <= self.max": "self.verdicts(score >= self.max",
}
"""Of the example's measure and of its filter: what was few is much, and much is what is wanted."""


def test_an_edit_is_measured_and_judged_again_once(
    bench: Bench, runs: tuple[dict[str, Any], dict[str, Any]], site: Path, tmp_path: Path
) -> None:
    code = Path(shutil.copytree(site, tmp_path / "site")) / CODE
    text = code.read_text()
    for old, new in EDITS.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    code.write_text(text)
    written_before(code)
    edited = Bench(bench.folder, code.parent)
    folder = Path(edited.run()["folder"])
    audit = pl.read_parquet(bench.folder / folder / "audit" / "samples-*.parquet")
    loud = audit.filter(source="loud")
    assert loud["capital_share"].to_list() == [0.0] * 60, "measured by the code as it is now"
    assert not loud["verdict_calm"].struct.field("keep").any(), "and judged by it"
    assert json.loads((bench.folder / folder / "run.json").read_bytes())["judged"]["calm"] == 420
    assert edited.run()["judged"] == 0


@pytest.mark.parametrize("installed", [True, False], ids=["installed", "absent"])
def test_a_run_is_shown_with_the_package_and_without(
    bench: Bench, runs: tuple[dict[str, Any], dict[str, Any]], installed: bool
) -> None:
    """Without it, each command says what is not installed; `Bench.output` holds that."""
    first, second = (run["folder"] for run in runs)
    options = ("--reason", "shouting", "--sort", "-capital_share", "--json")
    page = json.loads(bench.output("show", first, *options, installed=installed))
    assert page["total"] == 60
    assert page["rows"][0]["capital_share"] == 1.0
    grounds = bench.output("why", first, stopped(bench, runs[0]), installed=installed)
    assert re.search(r"calm +dropped +shouting", grounds)
    assert re.search(r"capital_share 1\b", grounds)
    assert "max: 0.6" in grounds
    assert ("more capitals than `max`" in grounds) is installed
    assert ("filter 'calm' is not installed here" in grounds) is not installed
    path = bench.output("report", first, "--out", f"{installed}.html", installed=installed)
    report = (bench.folder / path.strip()).read_text()
    for word in ("capital_share", "shouting", "calmest", "share of capitals"):
        assert word in report
    changes = bench.output("diff", first, second, "--markdown", installed=installed)
    for word in ("calm: shouting", "| `recipe.filters.calm.max` | 0.6 | 0.05 |", "capital_share"):
        assert word in changes


def test_a_run_can_be_made_again_by_who_has_the_package_and_trusts_it(
    bench: Bench, runs: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    refused = bench.curate("run", runs[0]["folder"])
    assert refused.returncode == 2
    assert "'verdict' is no source of curate itself" in refused.stderr
    pool = bench.folder / "pool.jsonl"
    inputs = (f"questions.path={bench.folder}/questions.jsonl", f"sources.pool.path={pool}")
    again = json.loads(
        bench.output("run", runs[0]["folder"], *inputs, "--allow", "plug-ins", "--json")
    )
    assert again["dataset_hash"] == runs[0]["dataset_hash"]


def test_a_recipe_that_wants_what_is_not_installed_is_refused(bench: Bench) -> None:
    refused = bench.curate("run", "recipe.yaml", installed=False)
    assert refused.returncode == 2
    for line in (
        "sources[1].use: got 'verdict'; there are: generate, gold, import",
        "filters[0].use: got 'calm'; there are: band, completeness",
        "publish.formats: got ['flashcards']; no format or trainer is called 'flashcards'",
    ):
        assert line in refused.stderr
    shipped = bench.curate("plan", "first-look", "select.order_by=[capital_share]", installed=False)
    assert "'capital_share', which nobody writes" in shipped.stderr
    arm = bench.curate("plan", "first-look", "arms=[calmest]", installed=False)
    assert "no arm is called 'calmest'" in arm.stderr


BROKEN: Final = {
    "curate.filters": ("nowhere_at_all:Mine", "ModuleNotFoundError: No module named"),
    "curate.sources": ("leaves:Mine", "SystemExit: 3"),
    "curate.measures": (
        "curate.measures.tokens:Tokens",
        "brings a measure 'tokens', and there is one of that name already",
    ),
    "curate.formats": ("json:dumps", "is no subclass of Format"),
    "curate.arms": ("json:dumps", "is no ArmKind"),
    "curate.teachers": ("json:dumps", "is no TeacherKind"),
}
"""What a package may bring wrongly, by group, and what is said of it."""


def install(folder: Path, points: str, **modules: str) -> Path:
    """Write a package as pip leaves it."""
    about = folder / "site" / "curate_broken-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: curate-broken\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(points)
    for name, text in modules.items():
        (about.parent / f"{name}.py").write_text(text)
    return about.parent


def test_whatever_a_package_brings_wrongly_is_one_line_and_takes_nothing_down(
    tmp_path: Path,
) -> None:
    points = "".join(f"[{group}]\nmine = {value}\n" for group, (value, _) in BROKEN.items())
    site = install(tmp_path, points, leaves="import sys; sys.exit(3)\n")
    done = Bench(tmp_path, site).curate("plan", "first-look")
    assert done.returncode == 0, done.stderr
    lines = {line.split("'")[3]: line for line in done.stderr.splitlines()}
    assert len(lines) == len(done.stderr.splitlines()) == len(BROKEN)
    for group, (_, words) in BROKEN.items():
        assert lines[group].startswith(f"curate-broken (entry point 'mine' of '{group}') brings ")
        assert words in lines[group]


@pytest.fixture(scope="module")
def unreadable(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A bench with a package of which no line can be read, and a recipe that uses nothing of it."""
    folder = tmp_path_factory.mktemp("unreadable")
    write(folder)
    kinds = ("filters", "measures", "formats")
    points = "".join(f"[curate.{kind}]\ncalm = calm:Calm\n" for kind in kinds)
    return Bench(folder, install(folder, points, calm="def calm(:\n"))


def test_what_does_not_use_a_broken_package_goes_on_with_one_line(unreadable: Bench) -> None:
    in_workers = ["run", "recipe.yaml", "runtime.workers=2", "--quiet"]
    for arguments in (in_workers, ["show", "runs/sums"], ["filters"]):
        done = unreadable.curate(*arguments)
        assert done.returncode == 0, done.stderr
        (line,) = done.stderr.splitlines()
        assert line.startswith("curate-broken (entry point 'calm' of 'curate.")
        assert "SyntaxError: invalid syntax (calm.py, line 1)" in line
    done = unreadable.curate("--help")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_recipe_that_uses_a_broken_package_is_refused_with_the_cause(unreadable: Bench) -> None:
    done = unreadable.curate("check", "recipe.yaml", "filters=[{use: calm}]")
    assert done.returncode == 2
    _, line = done.stderr.splitlines()
    assert line.startswith("error: recipe.yaml: filters[0].use: got 'calm', and curate-broken (")
    assert "SyntaxError" in line
    assert "mend the package, or uninstall it" in line

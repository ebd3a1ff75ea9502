"""Every command that the documentation shows is run, or listed here with the reason why not.

Those that are listed are still parsed, so that they can have no option, argument or target that
is not there.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from curate import cli
from curate.recipe.files import parse_recipe, read_recipe
from curate.recipe.init import InitOptions, init
from curate.recipe.plan import make_plan
from curate.sources.templates import parse_template
from tests.curate import sums
from tests.docs.fences import blocks, cell, commands, inline_code, words
from tests.docs.test_newcomer import FILTER
from tests.servers.openai_server import serving

NOT_RUN: Final = {
    "make demo": "installs all there is and samples a model; minutes",
    "make test": "is what runs this test",
    "make docs": "writes into the checkout; test_newcomer does it to a copy",
    "curate filters arithmetic": "test_newcomer runs it, where there is such a filter",
    'curate run first-look "filters=[{use: correctness}, {use: arithmetic, min: 2}, '
    '{use: diversity, by: [path]}]"': "likewise",
    'curate run first-look "select.order_by=[ungrounded]" "arms=[lowest:ungrounded, random]"': (
        "likewise, where there is such a measure"
    ),
    'curate plan first-look "sources=[{use: statement}]" "filters=[{use: correctness}]" '
    "select={} --probe 8": "likewise, where there is such a source",
    'curate run first-look "sources=[{use: statement, terms: cc0-1.0}]" '
    '"filters=[{use: correctness}]" select={}': "likewise",
    'curate run first-look "publish.formats=[sharegpt]"': "likewise, where there is such a format",
    "curate export runs/first-look --format sharegpt --out out/sharegpt": "likewise",
    "curate plan first-look arms=[longest]": "likewise, where there is such an arm",
    "curate run first-look arms=[longest]": "likewise",
    "curate scores runs/a": "needs a student's scores; test_comparison does it with made up ones",
    "curate effect runs/quickstart": "trains a model of half a billion; test_effect a drawn one",
    "curate effect runs/a --test test.jsonl": "trains a student; test_effect trains a drawn one",
    "curate effect runs/a --test test.jsonl --budget 2h --html effect.html": "likewise",
    "curate effect runs/a --test test.jsonl --arm untrained --arm random --arm selected "
    "--arm lowest:rsr --seeds 5": "likewise",
    "curate push runs/a --repo owner/name": "needs the Hub; test_hub does it to a local one",
    "curate run hf://owner/name@v0.1.0": "needs the Hub; test_repeat does it to a local one",
}
"""Commands that are parsed only, and why."""

RUN: Final = [command for command in commands() if command not in NOT_RUN]
TARGETS: Final = set(re.findall(r"^([a-z][a-z-]*):", Path("Makefile").read_text(), re.MULTILINE))
ROOT: Final[Any] = get_command(cli.app)
SCRIPTS: Final = [
    block.text
    for block in blocks("python")
    # the others are a file's, and a notebook's
    if block.doc == "README.md" and block.text not in {FILTER.texts[0].text, cell()}
]
RECIPE: Final = next(b.text for b in blocks("yaml") if b.text.startswith("name:"))
HERE: Final = Path(__file__).parents[2]
SHIPPED: Final = sorted((HERE / "recipes").rglob("*.yaml"))


def invoke(*arguments: str) -> str:
    """Run the command line in this process, and want it to end well."""
    result = CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder with all that the documents name, a server for its recipe still running."""
    folder = tmp_path_factory.mktemp("workshop")
    sums.write_questions(folder, 12)
    asked = (folder / "questions.jsonl").read_text()
    (folder / "q.jsonl").write_text(asked)
    pool = [{**json.loads(line), "rationale": "It is 7."} for line in asked.splitlines()]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pool))
    with serving() as url:
        sums.write_recipe(folder, url, [sums.source("qwen", terms="apache-2.0")])
        recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
        recipe |= {"arms": ["random"], "publish": {"repo": "file://published"}}
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CURATE_STORE", str(folder / sums.STORE))
            patch.chdir(folder)
            invoke("run", "first-look", "--quiet")
            invoke("run", "recipe.yaml", "--out", "runs/a", "--quiet")
            invoke("run", "recipe.yaml", "select.per_question=1", "--out", "runs/b", "--quiet")
        yield folder


@pytest.fixture
def place(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of the workshop, so that no command sees what another left."""
    folder = tmp_path / "place"
    shutil.copytree(workshop, folder)
    monkeypatch.setenv("CURATE_STORE", str(folder / sums.STORE))
    monkeypatch.chdir(folder)
    return folder


def parse(arguments: list[str]) -> int:
    """Take a command line apart as the program would, and run nothing; give the exit status."""
    root: Any = get_command(cli.app)
    waiting = [root]
    while waiting:
        command = waiting.pop()
        command.callback = None
        waiting += getattr(command, "commands", {}).values()
    with pytest.raises(SystemExit) as left:
        root(arguments, prog_name="curate")
    assert isinstance(left.value.code, int)
    return left.value.code


def test_every_block_says_what_it_is() -> None:
    known = {"sh", "text", "yaml", "toml", "python", "json", "jinja", "diff"}
    assert {block.language for block in blocks()} == known
    assert len(RUN) > 12
    for block in blocks("text"):
        assert not re.search(r"^(curate|make) [a-z]+( |$)", block.text, re.MULTILINE), block


@pytest.mark.parametrize("command", RUN)
def test_a_command_does_what_it_is_shown_for(command: str, place: Path) -> None:
    program, verb, *arguments = words(command)
    assert program == "curate", f"neither run nor listed in NOT_RUN: {command}"
    if verb == "init":
        (place / "recipe.yaml").unlink()
    if "SAMPLE_ID" in arguments:
        audit = pl.read_parquet(place / "runs/first-look" / "*" / "audit" / "samples-*.parquet")
        arguments[arguments.index("SAMPLE_ID")] = audit["sample_id"][0]
    assert invoke(verb, *arguments).strip()


@pytest.mark.parametrize("command", NOT_RUN)
def test_a_command_that_is_not_run_is_there_and_can_be_parsed(command: str) -> None:
    assert command in commands(), "it vanished from the documents: take it from NOT_RUN"
    program, *arguments = words(command)
    if program == "make":
        assert set(arguments) <= TARGETS
    else:
        assert parse(arguments) == 0


@pytest.mark.parametrize(
    "wrong", ["runn x", "run x --reply", "run x --limit 0", "store dx", "why x"]
)
def test_what_is_wrong_cannot_be_parsed(wrong: str) -> None:
    assert parse(words(wrong)) == 2


def test_commands_in_the_prose_are_there() -> None:
    found = 0
    for doc, code in inline_code():
        told = re.search(r"(?:^|\s)curate ([a-z]+(?:[ \w./:=@\[\]'{},-]+)?)", code)
        if told and not code.startswith("`"):
            verb, *rest = words(told[1])
            command = ROOT.commands.get(verb)
            assert command is not None, (doc, code)
            known = {name for option in command.params for name in option.opts}
            assert {word for word in rest if word.startswith("--")} <= known, (doc, code)
            found += 1
        if made := re.match(r"make ([a-z][a-z-]*)$", code):
            assert made[1] in TARGETS, (doc, code)
        if ran := re.match(r"python (?:-m (\S+)|(\S+))", code):
            assert find_spec(ran[1]) if ran[1] else Path(ran[2]).is_file(), (doc, code)
    assert found > 15


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_a_shipped_recipe_says_of_itself_can_be_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_TEST_DATA", "/data")
    header = path.read_text().partition("\nname:")[0]
    told = re.findall(r"curate run [\w-]+(?: [\w.]+=(?:'[^']*'|[^\s`]+))*", header)
    assert told
    for line in told:
        _, _, recipe, *overrides = words(line)
        assert recipe == path.stem
        make_plan(read_recipe(str(path), overrides).recipe)


def yaml_blocks() -> list[Any]:
    return [pytest.param(b.text, id=f"{b.doc}-{n}") for n, b in enumerate(blocks("yaml"))]


@pytest.mark.parametrize("text", yaml_blocks())
def test_a_recipe_or_a_part_of_one_is_fine(text: str) -> None:
    """A part stands in the README's own recipe."""
    whole = yaml.safe_load(RECIPE) | yaml.safe_load(text)
    assert list(make_plan(parse_recipe(yaml.safe_dump(whole))).describe())


def test_a_template_is_one() -> None:
    (template,) = blocks("jinja")
    told = parse_template("mine", template.text).render({"question": "What is 3 + 4?"})
    assert "What is 3 + 4?" in str(told)
    assert "4 * 9 = 36" in str(told)


def test_python_runs_as_it_stands(place: Path) -> None:
    assert len(SCRIPTS) == 1
    assert 'if __name__ == "__main__":' in SCRIPTS[0]
    (place / "script.py").write_text(SCRIPTS[0] + "    print(selected, control)\n")
    done = subprocess.run(
        [sys.executable, "script.py"],
        env={
            **os.environ,
            "HF_HOME": str(place / "hub"),
            "PYTHONPATH": str(Path(cli.__file__).parents[1]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"num_rows: (\d+)", done.stdout)
    assert len(rows) == 2
    assert rows[0] == rows[1] != "0"


@pytest.mark.parametrize("pool", [None, "pool.jsonl"])
def test_commands_that_init_writes_work(place: Path, pool: str | None) -> None:
    options = InitOptions(questions="q.jsonl", pool=pool, teacher=None if pool else "qwen")
    init(place / "mine.yaml", options)
    header = (place / "mine.yaml").read_text().partition("\nname:")[0]
    told = re.findall(r"(?<!`)curate (?:[a-z]+)(?: [\w.-]+)*", header)
    assert [line.split()[1] for line in told] == ["run", "check", "plan", "filters"]
    for line in told:
        _, *arguments = words(line)
        if arguments[0] == "run" and not pool:
            assert parse(arguments) == 0  # its teacher is a model of the Hub
        else:
            assert invoke(*arguments).strip()
    assert "--limit 32" in header
    assert parse(["run", "mine.yaml", "--limit", "32"]) == 0

"""The house: few rooms, each with a sentence, and walls that hold."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PYPROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS: Final[list[dict[str, Any]]] = PYPROJECT["tool"]["importlinter"]["contracts"]
ROOMS: Final = sorted(path.parent for path in (ROOT / "curate").rglob("__init__.py"))
LIGHT: Final = (
    "curate/cli.py",
    "curate/engine/table.py",
    "curate/recipe/model.py",
    "curate/sources/drafts.py",
    "curate/errors/strict.py",
)
"""Modules that have no business with a model."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a copy of the code and its contracts."""
    root = tmp_path_factory.mktemp("house")
    for name in ("curate", "filters"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def checked(root: Path) -> subprocess.CompletedProcess[str]:
    """Hold a copy to the contracts, as ``make check`` does."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    return subprocess.run(
        [*command, "--no-cache"], cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_newcomer_sees_few_rooms() -> None:
    seen = {path.name for path in (ROOT / "curate").iterdir()}
    assert len(seen - {"__init__.py", "__main__.py", "__pycache__"}) <= 12
    layers = next(contract for contract in CONTRACTS if contract["type"] == "layers")
    assert len(layers["layers"]) <= 10
    assert layers["exhaustive"] is True
    assert len(CONTRACTS) + len(layers["layers"]) <= 10


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(ROOT)))
def test_every_room_says_in_a_sentence_what_it_is(room: Path) -> None:
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
    first = said.partition("\n")[0]
    assert first.endswith((".", "`).")), first
    assert len(first.split()) > 5


def test_the_map_shows_every_room() -> None:
    shown = (ROOT / "curate" / "README.md").read_text()
    for room in ROOMS[1:]:
        assert f"{room.name}/" in shown, room


def test_a_wheel_holds_every_package() -> None:
    packages = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for name in ("curate", "filters")
        for path in (ROOT / name).rglob("__init__.py")
    }
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == packages | {"curate.shipped"}


def test_tests_stand_where_their_room_does() -> None:
    rooms = {str(room.relative_to(ROOT / "curate")) for room in ROOMS}
    here = ROOT / "tests" / "curate"
    found = {str(path.parent.relative_to(here)) for path in here.rglob("test_*.py")}
    assert found - {"release/export/trainers"} <= rooms


def test_the_walls_hold(copy: Path) -> None:
    assert checked(copy).returncode == 0


@pytest.mark.parametrize("module", LIGHT)
def test_torch_is_imported_in_models_alone(copy: Path, module: str) -> None:
    path = copy / module
    text = path.read_text()
    path.write_text(f"{text}\n\ndef load() -> object:\n    import torch\n\n    return torch\n")
    try:
        done = checked(copy)
    finally:
        path.write_text(text)
    assert done.returncode == 1, done.stdout
    name = module.removesuffix(".py").replace("/", ".")
    assert f"{name} -> torch" in done.stdout.replace("\n", " ")


def test_a_room_that_no_contract_knows_is_refused(copy: Path) -> None:
    room = copy / "curate" / "attic"
    room.mkdir()
    (room / "__init__.py").write_text('"""A room that nobody listed."""\n')
    try:
        done = checked(copy)
    finally:
        shutil.rmtree(room)
    assert done.returncode == 1
    assert "attic" in done.stdout

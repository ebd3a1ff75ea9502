"""The guard of names refuses what says nothing, wherever a module binds it."""

import subprocess
import sys
from pathlib import Path

import pytest

GUARD = Path(__file__).parents[2] / ".ci" / "words.py"


def checked(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "module.py").write_text(text)
    return subprocess.run(
        [sys.executable, str(GUARD), str(folder)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("found = 1", "found"),
        ("for told in (): ...", "told"),
        ("with open('x') as given: ...", "given"),
        ("if (said := 1): ...", "said"),
        ("[known for known in ()]", "known"),
        ("def f(asked): ...", "asked"),
        ("def f(*, gate=1): ...", "gate"),
        ("def gauge(): ...", "gauge"),
        ("async def found(): ...", "found"),
        ("class Drawing: ...", "Drawing"),
        ("try: ...\nexcept OSError as told: ...", "told"),
        ("match 1:\n    case [*mine]: ...", "mine"),
        ("match 1:\n    case there: ...", "there"),
    ],
)
def test_a_name_that_says_nothing_is_refused(tmp_path: Path, text: str, name: str) -> None:
    done = checked(tmp_path, text)
    assert done.returncode == 1
    assert f"module.py:{1 + text[: text.index(name)].count(chr(10))}: {name!r}: " in done.stdout


@pytest.mark.parametrize(
    "text",
    [
        "rows = found()",
        "class Row:\n    found: int = 1",  # a key of a file that others read
        "from elsewhere import given",
        "thing.told = 1",
    ],
)
def test_what_others_named_is_theirs(tmp_path: Path, text: str) -> None:
    done = checked(tmp_path, text)
    assert (done.returncode, done.stdout) == (0, "")

"""A newcomer adds what makes rows, and what they are released as, as a README says: three files."""

import json
import re
from pathlib import Path
from typing import Final

from tests.docs.lessons import (
    Lesson,
    changed,
    commands_of,
    do,
    manifest,
    passing,
    ran,
    renew,
    state,
)

RENEWED: Final = {"recipes/README.md", "recipes/recipe.schema.json"}
"""What ``make docs`` writes."""
SOURCE: Final = Lesson(
    "curate/sources/README.md",
    (
        "curate/sources/statement.py",
        "curate/sources/__init__.py",
        "tests/curate/sources/test_statement.py",
    ),
)
FORMAT: Final = Lesson(
    "curate/release/formats/README.md",
    (
        "curate/release/formats/sharegpt.py",
        "curate/release/formats/__init__.py",
        "tests/curate/release/formats/test_sharegpt.py",
    ),
)


def test_a_newcomer_adds_a_source_in_three_files(copy: Path) -> None:
    before = state(copy)
    SOURCE.follow(copy)
    suites = ["tests/curate/sources/test_contract.py", SOURCE.files[2]]
    assert len(passing(copy, "statement", *suites)) > 10

    (plan,) = commands_of(SOURCE.doc, "plan")
    terminal = do(copy, *plan)
    assert "2. statement samples: statement" in terminal
    assert "statement: its rows are there already, no teacher is asked" in terminal
    assert re.search(r"statement +11 to 12 samples, no teacher asked", terminal)
    foreseen = json.loads(do(copy, *plan, "--json"))
    assert "statement samples: statement" in foreseen["steps"]
    (source,) = foreseen["forecast"]["sources"]
    low, _, high = source["rows"]
    assert (source["name"], source["asking"]) == ("statement", None)
    assert low < high == 12

    (run,) = commands_of(SOURCE.doc, "run")
    assert "statement" in do(copy, *run)
    facts = manifest(copy, "first-look")
    assert facts["terms"] == {"statement": "cc0-1.0"}
    assert facts["configs"]["default"]["sources"] == {"statement": 12}
    assert "12 samples" in do(copy, "curate", "show", "runs/first-look", "--teacher", "statement")
    wrong = ran(copy, "curate", "check", "first-look", "sources=[{use: statment}]")
    assert "did you mean 'statement'" in wrong.stderr
    assert changed(before, state(copy)) == SOURCE.added

    renew(copy)
    assert changed(before, state(copy)) == SOURCE.added | RENEWED


def student(folder: Path, template: str) -> str:
    """Write what a student's records are tried with: its tokenizer, and no weights."""
    from tests.curate.release.export.templates import tokenizer

    tokenizer(template).save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return str(folder)


def test_a_newcomer_adds_a_format_in_three_files(copy: Path, tmp_path: Path) -> None:
    from tests.curate.models.test_rendering import WITHOUT_THINKING
    from tests.curate.release.export.templates import THINKING, TURN

    before = state(copy)
    FORMAT.follow(copy)
    suites = ["tests/curate/release/formats/test_contract.py", FORMAT.files[2]]
    assert len(passing(copy, "sharegpt", *suites)) > 8

    (run,) = commands_of(FORMAT.doc, "run")
    do(copy, *run)
    facts = manifest(copy, "first-look")
    assert facts["configs"]["sharegpt"]["splits"] == facts["configs"]["default"]["splits"]
    (export,) = commands_of(FORMAT.doc, "export")
    do(copy, *export)
    lines = (copy / "out/sharegpt/train.jsonl").read_text().splitlines()
    assert len(lines) == facts["configs"]["sharegpt"]["splits"]["train"]
    assert all(len(json.loads(line)["conversations"]) == 2 for line in lines)

    thinking = [*export[:-1], "out/thinking", "--think", "inline", "--student"]
    dropping = student(tmp_path / "dropping", WITHOUT_THINKING + TURN)
    refused = ran(copy, *thinking, dropping)
    assert refused.returncode == 2
    assert "reasoning_lost: the chat template drops the rationale" in refused.stderr
    assert f"records: {len(lines)}," in refused.stderr
    assert not (copy / "out/thinking").exists()
    do(copy, *thinking, student(tmp_path / "keeping", THINKING))
    wrong = ran(
        copy, "curate", "check", "first-look", "publish={formats: [sharegpt], think: field}"
    )
    assert "sharegpt records have no place for a rationale" in wrong.stderr
    assert changed(before, state(copy)) == FORMAT.added

    renew(copy)
    assert changed(before, state(copy)) == FORMAT.added | RENEWED
    schema = json.loads((copy / "recipes/recipe.schema.json").read_text())
    formats = schema["$defs"]["PublishOptions"]["properties"]["formats"]
    assert "sharegpt" in formats["items"]["enum"]

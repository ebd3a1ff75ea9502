"""Counts are worded in one place, so that one of a thing is never "1 samples"."""

import re
from pathlib import Path

from curate.errors import count_of

ROOT = Path(__file__).parents[3]
NOUNS = (
    "completions|columns|entries|files|golds|items|lines|names|problems|questions|records|rows|"
    "samples|segments|shards|steps|tokens|values|verdicts|words"
)
NUMBER = r"(?<!%)\{[^{}]*(?::,|len\([^{}]*\)|\.height)\}"
OWN_WORDING = re.compile(rf"{NUMBER} (?:{NOUNS})\b")


def test_one_is_no_plural() -> None:
    assert count_of(1, "sample") == "1 sample"
    assert count_of(0, "row") == "0 rows"
    assert count_of(2672, "more row") == "2,672 more rows"


def test_no_module_words_a_count_by_itself() -> None:
    assert OWN_WORDING.search('f"{cut:,} samples"')
    files = [path for room in ("curate", "filters") for path in (ROOT / room).rglob("*.py")]
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    worded = {
        str(path.relative_to(ROOT)): match[0]
        for path, text in texts.items()
        for match in OWN_WORDING.finditer(text)
    }
    worded.pop("curate/errors/strict.py")  # a constant, not a count
    assert worded == {}

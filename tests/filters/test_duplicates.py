"""MinHash: the sketch keeps its promise, and never changes."""

import random

import numpy as np
import polars as pl
import pytest
from datasketch import MinHash
from hypothesis import given
from hypothesis import strategies as st

from filters.duplicates import Duplicates
from filters.minhash import Bands, band_keys, bands_for
from filters.shingles import WORD, jaccard, shingles


def variants(count: int, changed: float) -> list[tuple[str, str]]:
    """Make pairs of texts of 120 words of which a share was exchanged."""
    dice = random.Random(3)
    pairs: list[tuple[str, str]] = []
    for _ in range(count):
        words = [f"w{dice.randrange(10**6)}" for _ in range(120)]
        other = [f"v{dice.randrange(10**6)}" if dice.random() < changed else w for w in words]
        pairs.append((" ".join(words), " ".join(other)))
    return pairs


def test_the_default_cut_is_the_documented_one() -> None:
    assert bands_for(0.8) == Bands(32, 16)
    curve = [bands_for(0.8).meeting(s) for s in (0.6, 0.7, 0.8, 0.9)]
    assert curve == pytest.approx([0.009, 0.101, 0.599, 0.999], abs=0.001)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.9, 1.0])
def test_every_threshold_has_a_cut_that_finds_every_second_pair(threshold: float) -> None:
    bands = bands_for(threshold)
    assert bands.meeting(threshold) >= 0.5
    assert bands.meeting(max(threshold - 0.2, 0.0)) < 0.2
    assert bands.count <= 254


@pytest.mark.parametrize("changed", [0.02, 0.05, 0.1])
def test_pairs_meet_as_often_as_the_curve_says(changed: float) -> None:
    pairs = variants(300, changed)
    bands = Bands(32, 8)
    flat = pl.Series([text for pair in pairs for text in pair])
    _, keys = band_keys(flat, 3, bands)
    table = keys.to_numpy()
    met = (table[::2] == table[1::2]).any(axis=1).mean()
    expected = np.mean([bands.meeting(jaccard(shingles(a), shingles(b))) for a, b in pairs])
    assert met == pytest.approx(expected, abs=0.06)


def test_single_hashes_estimate_the_jaccard_as_well_as_datasketch_does() -> None:
    pairs = variants(150, 0.1)
    truth = np.array([jaccard(shingles(a), shingles(b)) for a, b in pairs])
    _, keys = band_keys(pl.Series([t for pair in pairs for t in pair]), 3, Bands(128, 1))
    table = keys.to_numpy()
    ours = (table[::2] == table[1::2]).mean(axis=1)
    theirs = np.array([_sketched(a).jaccard(_sketched(b)) for a, b in pairs])
    assert np.abs(ours - truth).mean() <= 1.3 * np.abs(theirs - truth).mean()


def _sketched(text: str) -> MinHash:
    sketch = MinHash(num_perm=128)
    sketch.update_batch([" ".join(gram).encode() for gram in shingles(text)])
    return sketch


def test_a_sketch_is_the_same_for_ever() -> None:
    """These keys decide verdicts; another library version or machine must not change them."""
    places, keys = band_keys(pl.Series(["", "So 3 + 4 = 7.", "so  3 + 4 = 7"]), 3, Bands(2, 4))
    assert places.tolist() == [1, 2]
    assert keys.rows() == [(13622653661850282794, 11619327998120130863)] * 2


def test_a_sketch_takes_at_most_64_bytes_a_row_a_part() -> None:
    ids = [f"{number:016x}" for number in range(100)]
    texts = [text for pair in variants(50, 0.5) for text in pair]
    parts = Duplicates().sketch(pl.DataFrame({"sample_id": ids, "rationale": texts}))
    sizes = [part.estimated_size() / 100 for part in parts.partition_by("part")]
    assert len(sizes) == 33
    assert max(sizes) <= 64


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("since x \u2265 3 holds", "since x \u2264 3 holds"),
        ("since x >= 3 holds", "since x <= 3 holds"),
        ("we test p \u2227 q", "we test p \u2228 q"),
        ("the side is \u221a16", "the side is 16"),
        ("there are 3! ways", "there are 3 ways"),
        ("so A \u2282 B", "so A \u2283 B"),
        ("a \u2192 b", "a \u2190 b"),
        ("it is \u00b12", "it is 2"),
        ("\u7b54\u6848\u662f\u4e09", "\u7b54\u6848\u662f\u56db"),
    ],
)
def test_an_operator_makes_another_text(one: str, other: str) -> None:
    texts = pl.DataFrame({"sample_id": ["a", "b", "c"], "rationale": [one, other, one]})
    kept = Duplicates(jaccard=None).judge(texts)["keep"].to_list()
    assert kept == [True, True, False]


def test_text_without_spaces_is_compared_character_by_character() -> None:
    sentence = (
        "\u6bcf\u5929\u5356\u4e09\u5341\u4e2a\u82f9\u679c\u4e00\u5171\u5356\u4e86\u4e94\u5929"
    )
    one, other = sentence * 4, sentence * 4 + "\u5427"
    texts = pl.DataFrame({"sample_id": ["a", "b"], "rationale": [one, other]})
    verdicts = Duplicates().judge(texts)
    assert verdicts["reason"].to_list() == [None, "near_duplicate"]


LETTERS = st.characters(exclude_categories=("Mn", "Mc", "Me", "No", "Nl", "Cn", "Co", "Cs", "Pc"))


@given(st.text(LETTERS, max_size=60))
def test_polars_cuts_as_python_does(text: str) -> None:
    lower = pl.Series([text]).str.to_lowercase()
    assert lower.str.extract_all(WORD.pattern).to_list()[0] == WORD.findall(lower[0])

"""MinHash signatures of whole columns of text, in bands for locality-sensitive hashing.

Own NumPy instead of datasketch: the same sketch must come out under any version of any library,
because it decides verdicts, and datasketch 2.0 changed its permutations. The 512 permutations cost
about 50 microseconds a row (130 to 215 with ``datasketch.MinHash``); cutting the text into shingles
costs more than that. datasketch is the reference that the tests compare with.
"""

from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from filters.shingles import FACTORIAL, FACTORIAL_SIGN, WORD

PERMUTATIONS: Final = 512
MOST_BANDS: Final = 254
"""A part is a UInt8, and part 0 is taken by exact duplicates."""
_PRIME: Final = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Bands:
    """How a signature is cut: two texts meet where all `rows` hashes of one of `count` bands agree.

    With Jaccard similarity s that happens with probability ``1 - (1 - s**rows)**count``, the
    S-curve (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4).
    """

    count: int
    rows: int

    def meeting(self, similarity: float) -> float:
        """Give the probability that two texts of this Jaccard similarity share a band."""
        return 1.0 - (1.0 - similarity**self.rows) ** self.count


def bands_for(threshold: float) -> Bands:
    """Choose the steepest S-curve that still finds every second pair at the threshold.

    At 0.8 that is 32 bands of 16: 0.9 % of the pairs at 0.6 meet, 10 % at 0.7, 60 % at 0.8, 99.9 %
    at 0.9.
    """
    cuts = [Bands(min(PERMUTATIONS // rows, MOST_BANDS), rows) for rows in range(1, 129)]
    return max((cut for cut in cuts if cut.meeting(threshold) >= 0.5), key=lambda cut: cut.rows)


def band_keys(texts: pl.Series, size: int, bands: Bands) -> tuple[NDArray[np.intp], pl.DataFrame]:
    """Sketch texts by the n-grams of their words.

    Args:
        texts: strings without nulls.
        size: words of an n-gram; a shorter text is one n-gram.
        bands: how the signature is cut.

    Returns:
        Places of the texts that have a word, and for these a table with one UInt64 column a band,
        named by its number from 1.
    """
    places, grams, starts = _ngrams(texts, size)
    keys: dict[str, NDArray[np.uint64]] = {}
    for band in range(bands.count):
        key = np.full(len(places), band, dtype=np.uint64)
        for row in range(bands.rows):
            factor, offset = _permutation(band * bands.rows + row)
            smallest = np.minimum.reduceat(grams * factor + offset, starts) if len(starts) else key
            key = key * _PRIME + smallest.astype(np.uint64)
        keys[str(band + 1)] = _mix(key)
    return places, pl.DataFrame(keys, schema=dict.fromkeys(keys, pl.UInt64()))


def stable_hash(text: str) -> int:
    """Hash a text to 64 bits, the same on every machine and under every version."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


@cache
def _permutation(number: int) -> tuple[np.uint32, np.uint32]:
    """Give an affine permutation of 32 bits: an odd factor and an offset."""
    value = stable_hash(f"permutation {number}")
    return np.uint32((value & 0xFFFFFFFF) | 1), np.uint32(value >> 32)


def _ngrams(
    texts: pl.Series, size: int
) -> tuple[NDArray[np.intp], NDArray[np.uint32], NDArray[np.intp]]:
    """Hash the n-grams of all texts into one array.

    Returns:
        Places of the texts with a word, n-gram hashes text by text, and where each text's begin.
    """
    marked = texts.str.replace_all(FACTORIAL.pattern, f"${{1}}{FACTORIAL_SIGN}${{2}}")
    cut = marked.str.to_lowercase().str.extract_all(WORD.pattern)
    counts = cut.list.len().to_numpy().astype(np.intp)
    places = np.flatnonzero(counts)
    lengths = counts[places]
    hashes = _word_hashes(cut.filter(cut.list.len() > 0).explode())
    ends = np.repeat(np.cumsum(lengths), lengths)
    at = np.arange(len(hashes))
    grams = np.zeros(len(hashes), dtype=np.uint64)
    padded = np.append(hashes, np.zeros(size, dtype=np.uint64))
    for step in range(size):
        grams = _mix(grams * _PRIME + np.where(at + step < ends, padded[at + step], np.uint64(0)))
    begins = np.repeat(np.cumsum(lengths) - lengths, lengths)
    whole = (at + size <= ends) | (at == begins)
    numbers = np.maximum(lengths - size + 1, 1)
    return places, (grams[whole] >> np.uint64(32)).astype(np.uint32), np.cumsum(numbers) - numbers


def _word_hashes(words: pl.Series) -> NDArray[np.uint64]:
    """Hash each distinct word once."""
    named = words.rename("word").to_frame()
    distinct = named.unique()
    hashed = pl.Series("hash", [stable_hash(w) for w in distinct["word"]], dtype=pl.UInt64)
    joined = named.join(distinct.with_columns(hashed), on="word", how="left", maintain_order="left")
    return joined["hash"].to_numpy().astype(np.uint64)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread every bit of a 64-bit hash over all others (MurmurHash3's finaliser)."""
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return values ^ (values >> np.uint64(33))

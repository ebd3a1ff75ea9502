"""Where long texts are cut into windows."""

from hypothesis import given
from hypothesis import strategies as st

from curate.models.encoder import word_border


def letters(text: str) -> list[tuple[int, int]]:
    """One token a letter, none for spaces."""
    return [(n, n + 1) for n, letter in enumerate(text) if not letter.isspace()]


def test_a_cut_moves_back_to_a_word() -> None:
    text = "abc defg hi"
    assert word_border(text, letters(text), 0, 5) == 3
    assert word_border(text, letters(text), 0, 7) == 7
    assert word_border("abcdefghi", letters("abcdefghi"), 0, 5) == 5


@given(st.text("ab ", min_size=12, max_size=60), st.integers(2, 8))
def test_a_cut_is_in_the_windows_second_half(text: str, window: int) -> None:
    offsets = letters(text)
    if len(offsets) > window:
        cut = word_border(text, offsets, 0, window)
        assert window // 2 < cut <= window

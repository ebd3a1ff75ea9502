"""What is said when something is wrong: the error tree, and YAML read strictly (`strict`).

::

    CurateError            something a message explains; the command line prints it without a trace
    |-- InputError         the recipe, a file or a flag is wrong; exit status 2
    |-- ModelError         a model cannot be found, fetched or loaded
    |-- BackendError       a server or engine refused or died; what was recorded is safe
    `-- RecordError        the store is damaged in a way that cannot be worked around
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

CONTROLS: Final = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in b"\t\n"
}
"""Model text may hold terminal sequences; they are shown, not obeyed."""
LONGEST_LINE: Final = 1000
"""Characters of a line of a message, whatever it quotes."""


class CurateError(Exception):
    """Base of all errors whose message is meant for the user."""

    exit_code = 1


class InputError(CurateError):
    """The recipe, an input file or a flag is wrong.

    Args:
        message: what was got, what was wanted, what to do next.
        where: path of the key in the recipe (``filters[2].max``), or a file and line.
    """

    exit_code = 2

    def __init__(self, message: str, where: str | None = None) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where


class ModelError(CurateError):
    """A model cannot be found, fetched or loaded."""


class BackendError(CurateError):
    """A server or engine refused, or died; what it had delivered is in the record."""


class RecordError(CurateError):
    """The store is damaged in a way that cannot be worked around."""


def count_of(number: int, noun: str) -> str:
    """Say how many there are: "1 sample", "2,672 samples"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """Suggest the nearest known name, or list them all when none is near."""
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(names))}"


def as_message(error: BaseException) -> str:
    """Give what is printed of an error: controls shown, the middle of what runs on left out."""
    lines = str(error).translate(CONTROLS).split("\n")
    half = LONGEST_LINE // 2
    return "\n".join(
        line if len(line) <= LONGEST_LINE else f"{line[:half]} ... {line[-half:]}" for line in lines
    )

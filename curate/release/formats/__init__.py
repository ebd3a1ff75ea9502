"""Rows of a release as records: one file a format.

To add a format: write its file, list its class in `SHIPPED`, write its test, as README.md shows.
The contract suite runs on it from then on; recipes publish it, ``curate export`` writes it, and it
is tried under the student's own template like the others.
"""

from typing import Final

from curate.release.formats.alpaca import Alpaca
from curate.release.formats.base import Exchange, Format, Pool, RowFormat, finished
from curate.release.formats.dpo import Preferences
from curate.release.formats.messages import Messages
from curate.release.formats.prompt_completion import PromptCompletion
from curate.release.formats.rl import GradedPrompts
from curate.release.formats.tasks import Tasks
from curate.release.formats.text import FineTuneCot
from filters.registry import Registry, subclass_of

SHIPPED: Final[tuple[type[Format], ...]] = (
    Messages,
    PromptCompletion,
    Alpaca,
    FineTuneCot,
    Tasks,
    Preferences,
    GradedPrompts,
)
"""Every format of this project."""

FORMATS: Final = Registry[type[Format]](
    "format", "curate.formats", SHIPPED, lambda kind: kind.name, subclass_of(Format)
)
"""Every format that a recipe can publish: those shipped, plugged in, and registered."""


def format_of(name: str) -> Format:
    """Make the format of a name that was checked before."""
    kind = FORMATS.get(name)
    assert kind is not None, name
    return kind()


__all__ = ["FORMATS", "SHIPPED", "Exchange", "Format", "Pool", "RowFormat", "finished", "format_of"]

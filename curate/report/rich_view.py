"""What prints itself through rich, shown at a prompt and in a notebook as well."""

import io
from abc import ABC, abstractmethod
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult

WIDTH: Final = 100
_HTML: Final = '<pre style="white-space: pre; overflow-x: auto; line-height: 1.3">{code}</pre>'


class RichView(ABC):
    """Shows itself as text and as HTML, both as rich prints it."""

    __slots__ = ()

    @abstractmethod
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for a terminal."""

    def __repr__(self) -> str:
        console = _console()
        console.print(self)
        text = console.export_text()
        return "\n".join(line.rstrip() for line in text.splitlines())

    def _repr_html_(self) -> str:
        console = _console()
        console.print(self)
        return console.export_html(code_format=_HTML, inline_styles=True)


def _console() -> Console:
    """Open a console that shows nothing: a notebook's kernel is not to display what is drawn."""
    return Console(file=io.StringIO(), width=WIDTH, record=True, force_jupyter=False)

"""An effect at a terminal."""

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from curate.errors import CONTROLS
from curate.release.effect.facts import Effect
from curate.release.effect.words import (
    CLUSTERED,
    design_words,
    heads,
    lead,
    row,
    several,
)
from curate.report.rich_view import RichView


@dataclass(frozen=True, slots=True, repr=False)
class EffectView(RichView):
    """Shows what the arms of a run did for its student."""

    effect: Effect

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for a terminal."""
        shown = self.effect
        yield Text(f"{shown.title}: what its arms did for the student", "bold")
        yield Text(lead(shown))
        for line in design_words(shown):
            yield Text(line.translate(CONTROLS), "dim")
        yield self._table()
        yield Text(
            f"{CLUSTERED} + or - where an arm is better or worse than {shown.baseline}. "
            f"{several(shown)}",
            "dim",
        )

    def _table(self) -> Table:
        grid = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
        for place, head in enumerate(heads(self.effect)):
            grid.add_column(head, justify="right" if place else "left")
        for one in self.effect.arms:
            arm, *cells = row(one, self.effect.figure)
            grid.add_row(Text(arm.translate(CONTROLS)), *cells)
        return grid

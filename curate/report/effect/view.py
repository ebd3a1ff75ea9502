"""An effect at a terminal."""

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from curate.errors import CONTROLS
from curate.release.effect import Effect
from curate.report.effect.words import (
    CLUSTERED,
    design_words,
    lead,
    points,
    several,
    share,
    telling,
)
from curate.report.rich_view import RichView

HEADS = ("arm", "runs", "rows", "epochs", "tokens", "right", "beside random", "untrained")


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
            f"{CLUSTERED} + or - where an arm leaves random behind or stays behind it. "
            f"{several(shown)}",
            "dim",
        )

    def _table(self) -> Table:
        grid = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
        for place, head in enumerate(HEADS):
            grid.add_column(head, justify="right" if place else "left")
        for one in self.effect.arms:
            random = "" if one.to_random is None else f"{telling(one)} {points(one.to_random)}"
            grid.add_row(
                Text(one.arm.translate(CONTROLS)),
                str(one.trainings),
                f"{one.rows:,}" if one.rows else "",
                f"{one.epochs:.1f}" if one.rows else "",
                f"{one.tokens:,}" if one.tokens else "",
                share(one.accuracy),
                random,
                points(one.to_untrained) if one.to_untrained else "",
            )
        return grid

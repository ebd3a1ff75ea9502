"""Which source goes on from which: who must come before whom, and what can't be."""

from collections.abc import Sequence

from curate.errors import InputError, did_you_mean
from curate.sources.base import Source
from curate.sources.sampled import SampledSource


def parents_first(sources: Sequence[Source]) -> list[SampledSource]:
    """Order the sources that ask a teacher, each behind the one whose samples it goes on from.

    Args:
        sources: of a recipe.

    Raises:
        InputError: one goes on from a source that is not there, or some from each other in a ring.
    """
    names = [source.name for source in sources]
    waiting = [source for source in sources if isinstance(source, SampledSource)]
    for source in waiting:
        if source.parent is not None and source.parent not in names:
            raise InputError(
                f"no source is called {source.parent!r}; {did_you_mean(source.parent, names)}",
                f"sources: {source.name}: of",
            )
    ordered: list[SampledSource] = []
    while waiting:
        undone = {source.name for source in waiting}
        ready = [source for source in waiting if source.parent not in undone]
        if not ready:
            ring = ", ".join(sorted(undone))
            raise InputError(
                f"{ring} go on from each other, so none can begin; let one go on from a source "
                "that does not, such as a `generate` one",
                f"sources: {waiting[0].name}: of",
            )
        ordered += ready
        waiting = [source for source in waiting if source not in ready]
    return ordered

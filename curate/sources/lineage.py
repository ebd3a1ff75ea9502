"""Which source goes on from which: who must come before whom, and what can't be."""

from collections.abc import Sequence

import polars as pl

from curate.errors import InputError, did_you_mean
from curate.sources.base import Source
from curate.sources.pose import Agreed, Pose
from curate.sources.sampled import SampledSource


def parents_first(sources: Sequence[Source]) -> list[SampledSource]:
    """Order the sources that ask a teacher, each behind those whose samples it goes on from.

    Args:
        sources: of a recipe.

    Raises:
        InputError: one goes on from a source that is not there, or some from each other in a ring.
    """
    names = [source.name for source in sources]
    waiting = [source for source in sources if isinstance(source, SampledSource)]
    for source in waiting:
        _refuse_unknown(source, names, waiting)
    ordered: list[SampledSource] = []
    while waiting:
        undone = {source.name for source in waiting}
        ready = [source for source in waiting if not needs_of(source) & undone]
        if not ready:
            ring = ", ".join(sorted(undone))
            raise InputError(
                f"{ring} go on from each other, so none can begin; let one go on from a source "
                "that does not, such as a `generate` one",
                f"sources: {waiting[0].name}",
            )
        ordered += ready
        waiting = [source for source in waiting if source not in ready]
    return ordered


def asked_of(source: SampledSource, questions: pl.DataFrame) -> pl.DataFrame:
    """Keep the questions that a source is about, with ``posed_by``."""
    if source.asked_about is None:
        return questions
    return questions.filter(pl.col("posed_by").fill_null("").is_in(source.asked_about))


def wanted_of(source: SampledSource, sources: Sequence[Source], questions: int) -> int | None:
    """Count the samples that a source wants of so many questions of the recipe's.

    Returns:
        None where that takes samples: its own, another's, or new questions.
    """
    whose = source.asked_about
    posed = [each.name for each in sources if each.makes == "questions"]
    if source.makes != "questions" and any(whose is None or name in whose for name in posed):
        return None
    return source.wanted(questions)


def voters(source: Pose, sources: Sequence[Source]) -> list[SampledSource]:
    """List the sources whose samples say the answers of a source's questions.

    Raises:
        InputError: there is none, or one draws until enough are right, which nobody knows yet.
    """
    answering = [
        each
        for each in sources
        if isinstance(each, SampledSource)
        and each.makes == "rows"
        and each.parent is None
        and (each.asked_about is None or source.name in each.asked_about)
    ]
    where = f"sources: {source.name}: gold"
    if not answering:
        raise InputError(
            f"the answers of its questions are to be agreed on, and nobody is asked for one; add a "
            f"`generate` source, or let one that is there be about: [{source.name}]",
            where,
        )
    if adaptive := [each.name for each in answering if each.adaptive]:
        raise InputError(
            f"{adaptive[0]!r} draws until enough are right, and what is right is to be agreed on "
            "by what it draws; give it a number of samples",
            where,
        )
    return answering


def refuse_unanswered(sources: Sequence[Source]) -> None:
    """Refuse questions whose answers nobody could agree on.

    Raises:
        InputError: as for `voters`.
    """
    for source in sources:
        if isinstance(source, Pose) and isinstance(source.gold, Agreed):
            voters(source, sources)


def needs_of(source: SampledSource) -> set[str]:
    """Name the sources that come before one."""
    names = {source.parent, *(source.asked_about or ())}
    return {name for name in names if name} - {source.name}


def _refuse_unknown(
    source: SampledSource, names: Sequence[str], asking: Sequence[SampledSource]
) -> None:
    if source.parent is not None and source.parent not in names:
        raise InputError(
            f"no source is called {source.parent!r}; {did_you_mean(source.parent, names)}",
            f"sources: {source.name}: of",
        )
    posing = [each.name for each in asking if each.makes == "questions"]
    for name in source.asked_about or ():
        if name and name not in posing:
            hint = did_you_mean(name, posing) if posing else "there is none yet"
            raise InputError(
                f"no source called {name!r} poses questions; {hint}",
                f"sources: {source.name}: about",
            )
    if source.parent in posing:
        raise InputError(
            f"{source.parent!r} poses questions, and its samples are no rows to go on from; have "
            "them answered by a `generate` source, and go on from that",
            f"sources: {source.name}: of",
        )

"""What ``curate effect`` was told, read as strictly as a recipe."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from curate.engine.effect.comparison import effect
from curate.engine.effect.options import EffectOptions
from curate.engine.progress.progress import Progress
from curate.errors import InputError
from curate.errors.strict import override, validate
from curate.release.effect import Effect
from curate.release.read import Release
from curate.sources.questions.options import QuestionsOptions

_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def run_effect(
    run: Path,
    test: Path,
    *,
    arms: Sequence[str] = (),
    budget: str | None = None,
    options: Sequence[str] = (),
    questions: Sequence[str] = (),
) -> Effect:
    """Find out what a run's selection does for its student.

    Args:
        run: a run folder, or ``runs/<name>``.
        test: questions in a file like those of the run; what is not said of their columns is as in
            its recipe.
        arms: what to train on; by default those that every comparison needs.
        budget: time there is.
        options: ``key=value``, of `EffectOptions`.
        questions: ``key=value`` of how the test is read, where that is not as the recipe reads its
            own questions (``columns.gold=answer``).

    Raises:
        InputError: something of it is wrong.
    """
    wanted: dict[str, Any] = {"arms": list(arms)} if arms else {}
    for assignment in options:
        override(wanted, assignment)
    chosen = validate(EffectOptions, wanted)
    return effect(run, _test(run, test, questions), chosen, Progress(), seconds=seconds_of(budget))


def _test(run: Path, test: Path, assignments: Sequence[str]) -> QuestionsOptions:
    section: dict[str, Any] = Release.open(run).recipe()["questions"]
    for name in ("limit", "config", "split", "revision"):
        section.pop(name, None)
    section["path"] = str(test)
    for assignment in assignments:
        override(section, assignment)
    return validate(QuestionsOptions, section)


def seconds_of(text: str | None) -> float | None:
    """Read a span of time: ``90s``, ``45m``, ``2h``, ``1h 30m``.

    Raises:
        InputError: it is none.
    """
    if text is None:
        return None
    parts = _SPAN.findall(text)
    if not parts or _SPAN.sub("", text).strip():
        raise InputError(
            f"{text!r} is no span of time; wanted one such as 45m, 2h or 1h 30m", "budget"
        )
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)

"""What ``curate effect`` was told, read as strictly as a recipe."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from curate.engine.effect.comparison import effect
from curate.engine.progress.progress import Progress
from curate.errors import InputError
from curate.errors.strict import interpolate, override, validate
from curate.recipe.effect import EffectOptions
from curate.recipe.files import shipped_file
from curate.release.effect.facts import Effect
from curate.release.effect.kept import keep
from curate.release.read import Release
from curate.release.runs import find_run

_OF_THE_POOL: Final = frozenset({"limit", "config", "split", "revision"})
"""Keys of `questions` that say nothing of a test."""
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def run_effect(
    run: Path,
    test: Path | None = None,
    *,
    arms: Sequence[str] = (),
    budget: str | None = None,
    options: Sequence[str] = (),
    questions: Sequence[str] = (),
) -> Effect:
    """Find out what a run's selection does for its student, and keep that beside the run.

    What is not given here is as the recipe of the run says under ``effect``.

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
    recipe = Release.open(run).recipe()
    section: dict[str, Any] = dict(recipe.get("effect") or {})
    usual = validate(EffectOptions, {**section, "test": None})
    section["test"] = _test(recipe, section.get("test"), test, questions)
    if arms:
        section["arms"] = list(arms)
    for assignment in options:
        override(section, assignment)
    chosen = validate(EffectOptions, section)
    command = _command(recipe["name"], chosen, usual, questions)
    progress = Progress()
    facts = effect(run, chosen, progress, seconds=seconds_of(budget), command=command)
    try:
        keep(facts, find_run(run))
    except OSError as error:
        progress.say(f"not kept beside the run, so no card will tell of it: {error}", "!", "yellow")
    return facts


def _test(
    recipe: Mapping[str, Any],
    section: Mapping[str, Any] | None,
    file: Path | None,
    assignments: Sequence[str],
) -> dict[str, Any]:
    """Say how the test is read: as the recipe says, else as it reads its own questions."""
    if section is None:
        if file is None:
            raise InputError(
                "no test is named; name a file of questions with known answers, of which the pool "
                "has none: --test FILE, or `effect: {test: ...}` in the recipe",
                "--test",
            )
        section = {k: v for k, v in recipe["questions"].items() if k not in _OF_THE_POOL}
    test = dict(section)
    if file is not None:
        test["path"] = str(file)
    for assignment in assignments:
        override(test, assignment)
    if isinstance(test.get("path"), str):
        path = interpolate(test["path"], "effect.test.path")
        test["path"] = path if Path(path).exists() else shipped_file(path) or path
    return test


def _command(
    name: str, options: EffectOptions, usual: EffectOptions, questions: Sequence[str]
) -> str:
    """Write the command that makes the same again, without a path of this machine.

    Args:
        name: of the run.
        options: as they are.
        usual: as they are where the command says nothing.
        questions: what it says of how the test is read.
    """
    words = ["curate", "effect", f"runs/{name}"]
    if options.test is not None:
        words += ["--test", Path(options.test.path).name]
    for key, value in options.design.items():
        if value == usual.design[key]:
            continue
        if key == "arms":
            words += [word for arm in options.arms for word in ("--arm", arm)]
        elif key == "seeds":
            words += ["--seeds", str(value)]
        else:
            words += ["--set", f"{key}={'null' if value is None else value}"]
    words += [word for one in questions for word in ("--test-set", one)]
    return shlex.join(words)


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

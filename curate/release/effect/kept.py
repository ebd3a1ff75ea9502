"""Where effects lie: beside the run they are of, which never changes; a file for each design.

All that were measured are kept and told, whatever they say: a release that showed the best of them
would tell of its maker's patience and not of its rows.
"""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import orjson
from pydantic import ValidationError

from curate.errors import InputError
from curate.release.effect.facts import Effect
from curate.store.keys import key
from curate.store.whole import write_whole

FILE: Final = "effect-{}.json"
"""Of an effect in a release."""


def is_effect(name: str) -> bool:
    """Tell whether a file of a release is an effect."""
    return fnmatchcase(name, FILE.format("*"))


def keep(effect: Effect, run: Path) -> Path:
    """Write an effect beside its run; another of the same design, seeds apart, is replaced.

    Args:
        effect: of the run's arms.
        run: its folder.

    Returns:
        The file.
    """
    options = {name: value for name, value in effect.options.items() if name != "seeds"}
    design = [effect.student, effect.revision, effect.test.digest, options]
    run = run.absolute()  # also one that is the current folder has a name and a parent
    path = run.parent / f"{run.name}.{FILE.format(key(design)[:8])}"
    write_whole(path, as_json(effect))
    return path


def as_json(effect: Effect) -> bytes:
    """Write an effect as its file holds it."""
    facts = effect.model_dump(mode="json")
    return orjson.dumps(facts, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def kept(run: Path) -> dict[str, Effect]:
    """Read the effects beside a run, by the names that they have in a release.

    Args:
        run: its folder.

    Raises:
        InputError: a file among them is no effect.
    """
    run = run.absolute()
    effects: dict[str, Effect] = {}
    for path in sorted(run.parent.glob(f"{run.name}.{FILE.format('*')}")):
        try:
            effects[path.name.removeprefix(f"{run.name}.")] = Effect.model_validate_json(
                path.read_bytes()
            )
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise InputError(
                f"{str(path)!r} is no effect as `curate effect` writes it: {first['msg']}; move it "
                "away, or let that command write it anew"
            ) from error
    return effects

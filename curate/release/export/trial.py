"""A trial of records with the student's own tokenizer, before they are exported or published."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

from curate.errors import CurateError, InputError
from curate.models.libraries import require
from curate.models.references import resolve
from curate.models.students.tokenizing import load_tokenizer
from curate.release.export.lint import REASONS, REFUSED, NoTemplateError, lint
from curate.release.formats import Format
from curate.release.formats.wording import Record
from curate.release.read import Release

WAY_OUT: Final = (
    "Try another --think, --layout plain, which gives strings, or a student whose template keeps "
    "it; --no-lint writes it all the same"
)


def trial(
    release: Release,
    records: Callable[[], Iterable[Record]],
    form: Format,
    *,
    student: str | None = None,
    max_length: int | None = None,
    way_out: str = WAY_OUT,
) -> list[str]:
    """Try records with a student's tokenizer; say what is worth knowing, a line a reason.

    Args:
        release: names the student it was made for.
        records: called where there is a student to try them with.
        form: their format.
        student: another one.
        max_length: tokens at which the trainer will cut.
        way_out: what to do where nothing could be learnt.

    Raises:
        InputError: nothing could be learnt from some of them.
    """
    made_for = release.manifest.get("models", {}).get("student", {})
    name = student or made_for.get("name")
    if not name:
        return []
    try:
        revision = None if student else made_for["revision"]
        require(("transformers",))
        tokenizer = load_tokenizer(resolve(name, revision, weights=False).path)
    except CurateError as error:
        return [f"not tried with the student's template: {error}"]
    ids: defaultdict[str, list[str]] = defaultdict(list)
    try:
        for finding in lint(records(), form, tokenizer, max_length):
            ids[finding.reason].append(finding.record)
    except NoTemplateError as error:
        raise InputError(f"{name} has {error}. {way_out}") from error
    lines = {
        reason: f"{reason}: {REASONS[reason]} (records: {len(of)}, such as {of[0]})"
        for reason, of in ids.items()
    }
    if refusals := [lines[reason] for reason in REFUSED if reason in lines]:
        raise InputError(f"under the template of {name}, {'; '.join(refusals)}. {way_out}")
    return list(lines.values())

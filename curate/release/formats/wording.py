"""How a row is put into words: as the student was scored on it.

Question, rationale and target line are put together here as `curate.models.rendering` puts them
together for the scorer, so what was judged is what is trained on. Every record holds its trainer's
keys and the ids by which its rows are found again, and nothing else: trainers differ in what they
make of columns they do not know.

Pure functions over rows of a release; which trainer reads what is the business of
`curate.release.export`.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from curate.models.rendering import Layout, answer_text, plain_prompt, question_text, target_line
from filters.answers import equal, options_of

Think = Literal["none", "inline", "field"]
Row = Mapping[str, Any]
Record = dict[str, Any]


class Wording(NamedTuple):
    """How a row is put into words.

    Attributes:
        line: target line with ``{answer}`` once, as the student was scored under it.
        layout: ``chat`` gives turns; ``plain`` and ``encoder`` strings, for students without a
            chat template.
        think: where the rationale goes: before the target line (``none``), into a ``<think>``
            block there (``inline``), or into the turn's ``reasoning_content`` (``field``), for
            templates that read it.
        solution: whether the teacher's own solution stands behind a thought that is set apart, in
            place of the target line.
    """

    line: str
    layout: Layout = "chat"
    think: Think = "none"
    solution: bool = False


def prompt(row: Row, wording: Wording) -> Any:
    """Give a question as the student is asked it: turns, or a string."""
    question = question_text(row["question"], row.get("choices"))
    if wording.layout == "chat":
        return [{"role": "user", "content": question}]
    return plain_prompt(question) if wording.layout == "plain" else question


def answer_of(row: Row) -> str:
    """Give what the target line says: the known answer, or the wrong one a rationale arrives at.

    Control arms may hold wrong samples (``without:correctness``); a line that contradicts its
    rationale would make them worse than they are. `wrong_answer` is that answer, null elsewhere.
    """
    stated, kind = row.get("answer"), row["gold_type"]
    options = options_of(row.get("choices"), row["question"]) if kind == "choice" else ()
    if row.get("wrong_answer"):
        return str(row["wrong_answer"])
    # A sample that was stopped before its answer was judged: compared here, where that is cheap.
    if stated and equal(stated, row["gold"], kind, options) is False:
        return str(stated)
    return answer_text(row["gold"], kind, options)


def completion(row: Row, wording: Wording, answer: str | None = None) -> Any:
    """Give what the student is to say: a turn in a list, or a string.

    Args:
        row: a sample; without a rationale the target line alone is said. Its rationale is the
            thought where its model thought apart, and what was written behind that is said only
            where the wording has the solution.
        wording: how.
        answer: what the target line says; by default as `answer_of` says.
    """
    rationale = (row["rationale"] or "").strip()
    line = target_line(wording.line, answer_of(row) if answer is None else answer)
    behind = (row.get("solution") if wording.solution else None) or line.strip()
    turn = {"role": "assistant"}
    if not rationale:
        turn["content"] = line.lstrip()
    elif wording.think == "field":
        turn |= {"reasoning_content": rationale, "content": behind}
    elif wording.think == "inline":
        turn["content"] = f"<think>\n{rationale}\n</think>\n\n{behind}"
    else:
        turn["content"] = rationale + line
    return [turn] if wording.layout == "chat" else turn["content"]


_LINE: Final = " The answer is {answer}."


def wording_of(
    measures: Mapping[str, Any], think: Think = "none", *, solution: bool = False
) -> Wording:
    """Word the rows as the student was scored.

    Args:
        measures: of a manifest, each with its instrument.
        think: where the rationale goes.
        solution: whether the teacher's own stands behind it.
    """
    instrument = measures.get("score", {}).get("instrument", {})
    line = (instrument.get("templates") or [_LINE])[0]
    return Wording(line, instrument.get("layout", "chat"), think, solution)

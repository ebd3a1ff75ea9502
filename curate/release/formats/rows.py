"""What a trainer reads of a row: turns, prompts and pairs, worded as the student was scored.

Question, rationale and target line are put together here as `curate.models.rendering` puts them
together for the scorer, so what was judged is what is trained on. Every record holds its trainer's
keys and the ids by which its rows are found again, and nothing else: trainers differ in what they
make of columns they do not know.

Pure functions over rows of a release; who writes them where is the business of
`curate.release.export.export`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
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
    """

    line: str
    layout: Layout = "chat"
    think: Think = "none"


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
    return answer_text(row["gold"], kind)


def completion(row: Row, wording: Wording, answer: str | None = None) -> Any:
    """Give what the student is to say: a turn in a list, or a string.

    Args:
        row: a sample; without a rationale the target line alone is said.
        wording: how.
        answer: what the target line says; by default as `answer_of` says.
    """
    rationale = (row["rationale"] or "").strip()
    line = target_line(wording.line, answer_of(row) if answer is None else answer)
    turn = {"role": "assistant"}
    if not rationale:
        turn["content"] = line.lstrip()
    elif wording.think == "field":
        turn |= {"reasoning_content": rationale, "content": line.strip()}
    elif wording.think == "inline":
        turn["content"] = f"<think>\n{rationale}\n</think>\n\n{line.strip()}"
    else:
        turn["content"] = rationale + line
    return [turn] if wording.layout == "chat" else turn["content"]


def messages(row: Row, wording: Wording) -> Record:
    """One conversation a row."""
    talk = wording._replace(layout="chat")
    return {
        "sample_id": row["sample_id"],
        "messages": [*prompt(row, talk), *completion(row, talk)],
    }


def prompt_completion(row: Row, wording: Wording) -> Record:
    """Prompt and completion apart, so that the loss is on the completion alone."""
    return {
        "sample_id": row["sample_id"],
        "prompt": prompt(row, wording),
        "completion": completion(row, wording),
    }


def alpaca(row: Row, wording: Wording) -> Record:
    """Instruction and output, the question bare: the trainer's own template goes around it."""
    return {
        "sample_id": row["sample_id"],
        "instruction": question_text(row["question"], row.get("choices")),
        "input": "",
        "output": completion(row, wording._replace(layout="plain")),
    }


def fine_tune_cot(row: Row, _: Wording) -> Record:
    """Plain text with the marks of Fine-tune-CoT (arXiv 2212.10071, section 3)."""
    question = question_text(row["question"], row.get("choices"))
    return {
        "sample_id": row["sample_id"],
        "prompt": f"{question} ###",
        "completion": f" {(row['rationale'] or '').strip()} --> {answer_of(row)} END",
    }


def tasks(row: Row, wording: Wording) -> Iterator[Record]:
    """Two tasks a row, its rationale and its label (Distilling Step-by-Step, arXiv 2305.02301).

    `sample_id` of each is the row's with the task behind it, `parent_id` the row's own.
    """
    question = question_text(row["question"], row.get("choices"))
    texts = {"rationale": (row["rationale"] or "").strip(), "label": answer_of(row)}
    for task, text in texts.items():
        if not text:
            continue
        asked: Any = f"[{task}] {question}"
        said: Any = text
        if wording.layout == "chat":
            asked = [{"role": "user", "content": asked}]
            said = [{"role": "assistant", "content": text}]
        yield {
            "sample_id": f"{row['sample_id']}-{task}",
            "parent_id": row["sample_id"],
            "prompt": asked,
            "completion": said,
        }


def preferences(
    chosen: Iterable[Row], rejected: Iterable[Row], wording: Wording, worse: Mapping[str, str]
) -> Iterator[Record]:
    """Pair each selected rationale with a wrong sibling, and with one that is harder.

    Rows of a control arm that a filter stopped are no better side and are passed over. Of several
    siblings the one nearest in length is taken, so that length says little of which is
    better. Both sides state the answer as their own text gave it, so that its form says nothing
    either; siblings without a rationale or an answer are passed over.

    Args:
        chosen: selected rows.
        rejected: rows that filters stopped.
        wording: of both sides.
        worse: for each reason that makes a rationale the worse one, which kind of worse that is.
    """
    siblings: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    worse_ones: set[str] = set()
    for row in rejected:
        worse_ones.add(row["sample_id"])
        kind = worse.get(row["rejected_reason"] or "")
        if kind and row["answer"] and (row["rationale"] or "").strip():
            siblings[row["question_id"], kind].append(row)
    for row in chosen:
        if row["sample_id"] in worse_ones or not (row["rationale"] or "").strip():
            continue
        size = len(row["rationale"])
        for kind in dict.fromkeys(worse.values()):
            near = siblings.get((row["question_id"], kind))
            if not near or not row["answer"]:
                continue
            other = min(near, key=lambda o: (abs(len(o["rationale"]) - size), o["sample_id"]))
            yield {
                "sample_id": row["sample_id"],
                "rejected_sample_id": other["sample_id"],
                "prompt": prompt(row, wording),
                "chosen": completion(row, wording, row["answer"]),
                "rejected": completion(other, wording, other["answer"]),
            }


def graded_prompt(row: Row, wording: Wording) -> Record:
    """A question to train on by reward: its answer, and how often the teachers were right.

    Args:
        row: a question, with ``right`` and ``received``, numbers of samples.
        wording: of the prompt.
    """
    return {
        "question_id": row["question_id"],
        "prompt": prompt(row, wording),
        "answer": answer_text(row["gold"], row["gold_type"]),
        "pass_rate": row["right"] / row["received"],
        "samples": row["received"],
    }


ROW_FORMATS: Final[Mapping[str, Callable[[Row, Wording], Record | Iterator[Record]]]] = {
    "messages": messages,
    "prompt-completion": prompt_completion,
    "alpaca": alpaca,
    "text": fine_tune_cot,
    "tasks": tasks,
}
"""Formats that are made row by row."""


def records(rows: Iterable[Row], form: str, wording: Wording) -> Iterator[Record]:
    """Make the records of one of `ROW_FORMATS`, in the rows' order."""
    make = ROW_FORMATS[form]
    for row in rows:
        made = make(row, wording)
        if isinstance(made, dict):
            yield made
        else:
            yield from made

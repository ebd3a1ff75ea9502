"""The pools: rationales that others wrote, with what golds and people say of them."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from curate.store.keys import rank

DATA: Final = "CURATE_TEST_DATA"


@dataclass(frozen=True)
class Part:
    """Questions of one type, and rationales for them.

    Attributes:
        name: of its folder.
        gold_type: how answers are compared.
        questions: rows of question, answer and choices.
        rationales: rows of question, output, teacher and truths.
        truths: columns of numbers that say what people found; imported like others' scores.
        calibrate: questions the student is calibrated on.
    """

    name: str
    gold_type: str
    questions: list[Mapping[str, Any]]
    rationales: list[Mapping[str, Any]]
    truths: tuple[str, ...] = ()
    calibrate: int = 0

    def write(self, folder: Path) -> None:
        """Write both as JSON lines."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in (("questions", self.questions), ("pool", self.rationales)):
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (folder / f"{name}.jsonl").write_text("".join(lines))


def drawn(names: Iterable[str], count: int | None) -> list[str]:
    """Choose by hash, so that fewer are among more."""
    return sorted(set(names), key=lambda name: rank("bench", name))[:count]


def zeroeval(questions: int | None) -> Iterator[Part]:
    """Give twelve teachers' answers to GSM8K test questions, of 200 unless said otherwise."""
    rows = [
        json.loads(line)
        for path in sorted((Path(os.environ[DATA]) / "zeroeval" / "gsm8k").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    asked = {row["id"]: row for row in rows}
    wanted = dict.fromkeys(drawn(asked, questions or 200))
    yield Part(
        "gsm8k",
        "number",
        [{"question": asked[i]["question"], "answer": asked[i]["gold"]} for i in wanted],
        [{**row, "output": unwrapped(row["output"])} for row in rows if row["id"] in wanted],
        calibrate=64,
    )


def unwrapped(output: str) -> str:
    """Take the text out of the JSON object that the teachers were told to write.

    With the wrapper, the hardest step of nearly every rationale is the fence it begins with.
    """
    _, brace, rest = output.partition("{")
    try:
        fields, _ = json.JSONDecoder(strict=False).raw_decode(brace + rest)
        return f"{fields['reasoning']}\nThe answer is {fields['answer']}."
    except (ValueError, TypeError, KeyError):
        return output


GOLD_TYPES: Final = {
    "addsub": "number",
    "aqua_rat": "choice",
    "date": "date",
    "gsm8k": "number",
    "last_letters": "string",
    "MATH": "latex",
}


def verify_cot(questions: int | None) -> Iterator[Part]:
    """Give six tasks' solutions, with whether the answer is right and the reasoning valid."""
    for task, gold_type in GOLD_TYPES.items():
        path = Path(os.environ[DATA]) / "verify_cot" / f"{task}_100.json"
        rows = json.loads(path.read_text())
        asked = {row["question"]: row for row in rows}
        wanted = dict.fromkeys(drawn(asked, questions))
        yield Part(
            task.lower(),
            gold_type,
            [
                {"question": q, "answer": str(asked[q]["final_answer"]),
                 "choices": asked[q].get("choices")}
                for q in wanted
            ],
            [
                {"question": row["question"], "output": row["answer"], "teacher": "chatgpt",
                 "human_right": float(row["correct"]), "human_valid": float(row["flag"])}
                for row in rows if row["question"] in wanted
            ],
            ("human_right", "human_valid"),
        )  # fmt: skip


def champ(questions: int | None) -> Iterator[Part]:
    """Give competition problems' solutions, with where a person saw the first wrong step."""
    path = files("champ_dataset") / "dataset_files" / "v0.json"
    problems = json.loads(path.read_text())["problems"]
    marked = {name: of for name, of in problems.items() if of["fws_annotations"]}
    wanted = drawn(marked, questions)
    yield Part(
        "problems",
        "string",
        [
            {"question": _plain(marked[name]["_raw_text"]), "answer": _answer(marked[name])}
            for name in wanted
        ],
        [
            {"question": _plain(marked[name]["_raw_text"]), "output": of["text"],
             "teacher": setting.partition("|")[0],
             "wrong_begin": of["start_idx"], "wrong_end": of["end_idx"]}
            for name in wanted for setting, of in marked[name]["fws_annotations"].items()
        ],
        ("wrong_begin", "wrong_end"),
    )  # fmt: skip


def _plain(text: str) -> str:
    return text.replace("@@", "")


def _answer(problem: Mapping[str, Any]) -> str:
    """Give the first of the forms of an answer."""
    return re.split(r",? or equivalently ", _plain(problem["_raw_answer"]))[0]


POOLS: Final[Mapping[str, Callable[[int | None], Iterator[Part]]]] = {
    "zeroeval": zeroeval,
    "verify_cot": verify_cot,
    "champ": champ,
}

"""The glossary: every column there is, its type, what it means, and what may be done with it.

Schemas are declared, never inferred: a shard in which a column holds only nulls must still read as
what it is. Filters name the columns they read, the plan finds the measure that writes each, and
whoever shows, compares or releases columns asks the glossary which: a column declared here, or by a
measure of its own, is shown, diffed, explained in the card and can order a selection from that day.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import polars as pl

Score = Literal["lower", "higher", "none"]
Role = Literal["length", "category"]

_TEXT: Final = pl.String()
_FLAG: Final = pl.Boolean()
_COUNT: Final = pl.Int32()
_NATS: Final = pl.Float64()
_EACH_TOKEN: Final = pl.List(pl.Float32())


@dataclass(frozen=True, slots=True)
class Column:
    """A column, as far as anybody needs to know it.

    Attributes:
        name: in snake_case, unique among all columns of a run.
        dtype: declared type; polars'.
        meaning: a clause for the card, starting in lower case.
        of: who writes it: ``question``, ``source``, ``select``, ``release``, or the measure or
            filter by its name.
        published: whether it is in every config of a release; else the audit alone has it.
        kept: whether any file of a run has it.
        score: set where the column is a score a selection may go by, with the side that is better,
            or ``none`` where neither is.
        role: ``length`` where it says how long a rationale is, ``category`` where rows are counted
            by its values.
        per_token: one entry a token, written on demand.
        trusted: a score that counts only where the calibration found that the student follows
            rationales, and whose siblings tie within ``rd_spread``.
        ratio: a score of which 1 says that nothing changes, so it is shown and averaged by its
            logarithm.
        after: the published column behind which it stands, where its own place is another.
        hashed: whether it is part of a dataset_hash; what follows from ``sample_id`` need not be.
    """

    name: str
    dtype: pl.DataType
    meaning: str
    of: str = ""
    published: bool = False
    kept: bool = True
    score: Score | None = None
    role: Role | None = None
    per_token: bool = False
    trusted: bool = False
    ratio: bool = False
    after: str = ""
    hashed: bool = True

    @property
    def shown(self) -> bool:
        """Whether a list of rows has it: one value a row, of interest to a person."""
        return self.kept and not isinstance(self.dtype, pl.List | pl.Struct)

    def as_json(self) -> dict[str, Any]:
        """Give what is not as by default, JSON-able."""
        facts = {
            "name": self.name, "type": str(self.dtype), "meaning": self.meaning, "of": self.of,
        }  # fmt: skip
        defaults = Column("", _TEXT, "")
        return facts | {
            field: getattr(self, field)
            for field in _TOLD
            if getattr(self, field) != getattr(defaults, field)
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """Read what `as_json` gave, by this version or a later one."""
        extras = {field: facts[field] for field in _TOLD if field in facts}
        return cls(facts["name"], read_type(facts["type"]), facts["meaning"], facts["of"], **extras)


_TOLD: Final = (
    "published", "kept", "score", "role", "per_token", "trusted", "ratio", "after", "hashed",
)  # fmt: skip


class Glossary(Mapping[str, Column]):
    """Columns by name, in the order in which a reader meets them.

    Args:
        columns: no two of one name, unless they are equal.

    Raises:
        ValueError: two columns share a name.
    """

    def __init__(self, columns: Iterable[Column] = ()) -> None:
        self._columns: dict[str, Column] = {}
        for column in columns:
            if self._columns.setdefault(column.name, column) != column:
                raise ValueError(
                    f"two columns are called {column.name!r}, of {column.of!r} and of "
                    f"{self._columns[column.name].of!r}; give one another name"
                )

    def __getitem__(self, name: str) -> Column:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __hash__(self) -> int:
        return hash(frozenset(self._columns))

    def plus(self, columns: Iterable[Column]) -> "Glossary":
        """Add columns."""
        return Glossary((*self.values(), *columns))

    def where(self, holds: Callable[[Column], bool]) -> "Glossary":
        """Keep the columns for which something holds."""
        return Glossary(filter(holds, self.values()))

    def of(self, *owners: str) -> "Glossary":
        """Keep the columns that these write."""
        return self.where(lambda column: column.of in owners)

    def among(self, names: Iterable[str]) -> "Glossary":
        """Keep the columns of these names."""
        present = set(names)
        return self.where(lambda column: column.name in present)

    @property
    def types(self) -> dict[str, pl.DataType]:
        """The declared type of each."""
        return {column.name: column.dtype for column in self.values()}

    @property
    def scores(self) -> "Glossary":
        """Those that a selection may go by."""
        return self.where(lambda column: column.score is not None)

    @property
    def lengths(self) -> "Glossary":
        """Those that say how long a rationale is: the student's tokens, the teacher's, words."""
        return self.where(lambda column: column.role == "length")

    @property
    def categories(self) -> "Glossary":
        """Those by whose values rows are counted."""
        return self.where(lambda column: column.role == "category")

    @property
    def published(self) -> "Glossary":
        """Those of every config of a release, in its order."""
        released = self.where(lambda column: column.published)

        def led(leader: Column) -> Iterator[Column]:
            yield leader
            for column in released.values():
                if column.after == leader.name:
                    yield from led(column)

        own_place = [column for column in released.values() if column.after not in released]
        order = [column for leader in own_place for column in led(leader)]
        return Glossary((*order, *released.values()))  # columns behind each other come last

    def as_json(self) -> list[dict[str, Any]]:
        """Give all of it, JSON-able, in order."""
        return [column.as_json() for column in self.values()]

    @classmethod
    def from_json(cls, columns: Sequence[Mapping[str, Any]]) -> Self:
        """Read what `as_json` gave."""
        return cls(map(Column.from_json, columns))


def read_type(text: str) -> pl.DataType:
    """Read a type as polars writes it; of what is neither scalar nor list nothing is known."""
    if text.startswith("List(") and text.endswith(")"):
        return pl.List(read_type(text[5:-1]))
    kind = getattr(pl, text, None)
    return kind() if isinstance(kind, type) and issubclass(kind, pl.DataType) else pl.Unknown()


GLOSSARY: Final = Glossary(
    (
        # One row a question, never removed.
        Column("question_id", _TEXT, "hash of the question's text and choices", "question",
               published=True),
        Column("question", _TEXT, "the question as it was asked", "question", published=True),
        Column("gold", _TEXT, "the known answer, as it was given", "question", published=True),
        Column("gold_type", _TEXT, "how answers are compared: number, latex, choice, boolean, date "
               "or string", "question", published=True),
        Column("choices", pl.List(_TEXT), "texts of the options in order, null where there are "
               "none", "question", published=True, after="question"),
        Column("external_id", _TEXT, "the id the question came with, null where there was none",
               "question"),
        Column("group_id", _TEXT, "questions of a group never straddle a split", "question"),
        Column("domain", _TEXT, "where the question belongs, as its file says", "question",
               published=True, role="category"),
        Column("licence", _TEXT, "of the question, as its file says", "question", published=True),
        Column("split", _TEXT, "train or validation, by hash of the group", "question",
               role="category"),
        Column("status", _TEXT, "ok or quarantined", "question"),
        Column("reason", _TEXT, "why the question is quarantined", "question"),
        Column("posed_by", _TEXT, "name of the source that posed the question, null where it came "
               "with the recipe", "question", role="category"),
        Column("parent_question_id", _TEXT, "the question it was made from, null where it came "
               "with the recipe", "question"),
        Column("gold_support", _NATS, "share of its samples that agree on the known answer, null "
               "where that was given", "question"),
        Column("times_seen", _COUNT, "how many input rows held this question with this gold",
               "question"),
        # One row a draw; written by sources only.
        Column("sample_id", _TEXT, "hash of what makes this sample the one it is", "source",
               published=True),
        Column("sample_index", _COUNT, "which draw it is, of its question or of the sample it was "
               "made from, from 0", "source"),
        Column("source", _TEXT, "name of the recipe's source that made it", "source",
               published=True, role="category"),
        Column("teacher", _TEXT, "who wrote it", "source", published=True, role="category"),
        Column("prompt_id", _TEXT, "the prompt it answers", "source", published=True,
               role="category"),
        Column("parent_id", _TEXT, "the sample it was made from, null where it was made from none",
               "source", published=True, hashed=False),
        Column("round", _COUNT, "how many samples it goes back on, one made from the other; 0 "
               "where it was made from none", "source", hashed=False),
        Column("gold_shown", _FLAG, "whether the writer saw the known answer", "source",
               published=True),
        Column("raw_output", _TEXT, "all that was written", "source"),
        Column("reasoning_field", _TEXT, "a server's separate reasoning text, null where there was "
               "none", "source"),
        Column("finish_reason", _TEXT, "stop, length or error; null where the source does not know",
               "source", published=True, after="answer"),
        Column("error", _TEXT, "what failed for good, null unless finish_reason is error",
               "source"),
        Column("completion_tokens", _COUNT, "the teacher's tokens, null where not known", "source",
               published=True, role="length", after="finish_reason"),
        Column("seed", pl.Int64(), "with which it was drawn, null where with none", "source"),
        Column("teacher_token_ends", pl.List(_COUNT), "characters of raw_output up to the end of "
               "each of the teacher's tokens; those that end behind it wrote a stop string or the "
               "end of the turn", "source", kept=False, per_token=True),
        Column("teacher_logprobs", _EACH_TOKEN, "log-probability that the teacher gave each of "
               "these as it wrote it", "source", kept=False, per_token=True),
        # Looked up in the sample that a row was made from, live or not.
        Column("parent_rationale", _TEXT, "the rationale it was made from, null where it was made "
               "from none", "parent", kept=False),
        # Written by measures, null where the row was no longer live.
        Column("reasoning", _TEXT, "what the model thought, where it thought apart: in a think "
               "block, or in a server's reasoning field", "parse", published=True),
        Column("rationale", _TEXT, "the thought, whole, where there is one; else the text before "
               "the answer, its final clause cut", "parse", published=True),
        Column("answer", _TEXT, "as extracted, null where no known form was found", "parse",
               published=True),
        Column("answer_form", _TEXT, "which form found the answer: boxed, hashes, answer_is ...",
               "parse"),
        Column("rationale_words", _COUNT, "words of the rationale", "parse", role="length"),
        # It follows from the text whose thought and answer are hashed.
        Column("solution", _TEXT, "what was written behind the thought, whole, its answer "
               "included; null where there is no thought", "parse", published=True,
               after="reasoning", hashed=False),
        Column("rationale_tokens", _COUNT, "the student's tokens of the rationale", "tokens",
               published=True, role="length"),
        Column("embedding", pl.List(pl.Float32()), "of the rationale, of unit length", "embed",
               kept=False),
        Column("verify_outcome", _TEXT, "what comparing two LaTeX texts gave", "verify"),
        Column("override_keep", _FLAG, "a person's verdict, null where none was given",
               "overrides"),
        Column("override_reason", _TEXT, "what the person said of it", "overrides"),
        # Every NLL is a mean in nats a token of the answer, over the templates.
        Column("nll_with_rationale", _NATS, "mean nats a token of the gold answer, given the "
               "rationale without its final clause", "score", published=True, score="lower"),
        Column("nll_masked", _NATS, "the same with the rationale's own final value masked",
               "score", published=True, score="lower"),
        Column("nll_without_rationale", _NATS, "the same given the question alone", "score",
               published=True, score="none"),
        Column("nll_rationale", _NATS, "mean nats a token of the rationale, given the question",
               "score", published=True, score="lower"),
        Column("rd_paper", _NATS, "Rationale Difficulty as published: perplexity of the answer "
               "with the rationale over that without", "score", published=True, score="lower",
               trusted=True, ratio=True),
        Column("rd_masked", _NATS, "Rationale Difficulty with the rationale's own final value "
               "masked", "score", published=True, score="lower", trusted=True, ratio=True),
        Column("rd_spread", _NATS, "half the range of log RD over the target lines", "score",
               published=True, score="none"),
        Column("states_gold", _FLAG, "whether the rationale still states the answer's value",
               "score", published=True),
        Column("score_truncated", _FLAG, "whether the context was too long and cut from the left",
               "score"),
        Column("student_follows", _FLAG, "calibration: right and wrong siblings separate once "
               "their values are masked", "score"),
        # One entry a token of the student's, in nats, under the first target line.
        Column("rationale_token_ends", pl.List(_COUNT), "characters of the rationale up to each "
               "token's end", "score", published=True, per_token=True),
        Column("rationale_logprobs", _EACH_TOKEN, "log-probability of each token of the rationale, "
               "given the question", "score", published=True, per_token=True),
        Column("rationale_entropies", _EACH_TOKEN, "entropy of the distribution each of these was "
               "drawn from", "score", published=True, per_token=True),
        Column("rationale_ranks", pl.List(_COUNT), "rank of each of these tokens among all the "
               "student knows, 1 for the likeliest, 100 at most", "score", published=True,
               per_token=True),
        Column("answer_logprobs_with_rationale", _EACH_TOKEN, "log-probability of each token of "
               "the answer, given the rationale", "score", published=True, per_token=True),
        Column("answer_logprobs_without_rationale", _EACH_TOKEN, "log-probability of each token of "
               "the answer, given the question alone", "score", published=True, per_token=True),
        # Written by filters beside their verdicts.
        Column("cluster", _COUNT, "which siblings are alike, from 0 within a question, the largest "
               "first", "diversity", published=True),
        # What became of a sample.
        Column("live", _FLAG, "whether it passed every filter", "select"),
        Column("selected", _FLAG, "whether it is in the selection", "select"),
        Column("selection_rank", pl.Int64(), "its place in the ranking of all live samples, from 1",
               "select", published=True),
        Column("stage", _COUNT, "its place in a curriculum, from 1", "select options",
               published=True, role="category"),
        Column("weight", pl.Float64(), "what the recipe has it weigh", "select options",
               published=True, score="none"),
        Column("rejected_by", _TEXT, "the first filter that stopped it", "release"),
        Column("rejected_reason", _TEXT, "why it did", "release"),
        # What is known of a question once its samples are.
        Column("pass_rate", _NATS, "share of its samples that were right", "question facts"),
        Column("samples_asked", _COUNT, "samples that were wanted of it", "question facts"),
        Column("samples_received", _COUNT, "samples that did not fail", "question facts"),
    )
)  # fmt: skip
"""Every column that this project writes; measures of others bring their own."""

PARENT_COLUMNS: Final[Mapping[str, str]] = {"parent_rationale": "rationale"}
"""Columns that are looked up in the row's parent, with that column's name there."""
QUESTION_COLUMNS: Final[Mapping[str, pl.DataType]] = GLOSSARY.of("question").types
"""One row a question, never removed."""

SOURCE_COLUMNS: Final[Mapping[str, pl.DataType]] = {
    "sample_id": _TEXT, "question_id": _TEXT,
    **GLOSSARY.of("source").where(lambda column: not column.per_token).types,
}  # fmt: skip
"""One row a draw; written by sources only."""

TOKEN_COLUMNS: Final[Mapping[str, pl.DataType]] = (
    GLOSSARY.of("source").where(lambda column: column.per_token).types
)
"""One entry a token of the teacher's; in the table only where a step reads them."""

VERDICT_PREFIX: Final = "verdict_"
ARM_PREFIX: Final = "arm_"

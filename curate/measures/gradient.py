"""Gradient: which way a rationale would push the student, and how hard."""

import base64
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from pydantic import BaseModel

from curate.errors import InputError, ModelError
from curate.measures.asking import Asking
from curate.measures.base import Item, MemoMeasure, Need, RowRequest, Setup
from curate.measures.gradient_facts import facts_of
from curate.measures.gradient_options import GradientOptions
from curate.measures.rows import READS, Row, rows_of
from curate.measures.score_options import ScoreOptions
from curate.models.references import ResolvedModel
from curate.models.students.pairs import Pair
from filters.columns import Column, Glossary

_MEANING = "which way its loss pushes the student's last blocks: projected, of unit length"
_LENGTH = "length of that gradient before it was projected, null where it was not taken"


class Gradient(MemoMeasure):
    """Writes ``gradient`` and ``gradient_norm`` of a draw of rows; null for all others.

    The loss is that of a trainer on the first target line: the mean NLL of rationale and line,
    given the question. Its gradient is a thousand numbers that no file of a run keeps; what is
    said of them is in the facts of the run: GRACE of each teacher and G-Vendi of teachers, sources
    and arms.

    Args:
        options: as the recipe gives them.
        score: how the recipe asks its student.
        student: the same, found on this machine.

    Raises:
        InputError: the student is served.
        ModelError: it is an encoder-decoder.
    """

    name: ClassVar[str] = "gradient"
    reads = READS
    writes: Glossary = Glossary(
        [
            Column("gradient", pl.List(pl.Float32()), _MEANING, kept=False),
            Column("gradient_norm", pl.Float64(), _LENGTH),
        ]
    )
    section: ClassVar[type[BaseModel] | None] = GradientOptions
    needs: ClassVar[Collection[Need]] = ("student",)
    item_bytes: ClassVar[int] = 5_600
    by_section: ClassVar[bool] = True

    def __init__(
        self, options: GradientOptions, score: ScoreOptions, student: ResolvedModel
    ) -> None:
        if score.dtype == "served":
            raise InputError(
                "a server gives no gradients; drop this, or `dtype: served` under measures.score, "
                "so that the student is loaded here",
                "measures.gradient",
            )
        self.options = options
        self._asking = Asking(score, student)
        if self._asking.layout == "encoder":
            raise ModelError(
                f"{score.student!r} is an encoder-decoder, of which no gradients are taken; drop "
                "measures.gradient, or name another student"
            )
        # float16 has no place for gradients as small as these
        self._dtype = "float32" if self._asking.dtype == "float16" else self._asking.dtype
        self._template = score.templates[0]
        self._reader: Any = None

    @classmethod
    def open(cls, setup: Setup) -> Self:
        """Take gradients of the recipe's student, asked as it is scored."""
        assert isinstance(setup.options, GradientOptions)
        student = setup.models["student"]
        return cls(setup.options, setup.score or ScoreOptions(student=student.name), student)

    def instrument(self) -> Mapping[str, Any]:
        """Identify the student, the way it is asked, the weights and the projection."""
        return {
            **self._asking.identity,
            "dtype": self._dtype,
            "template": self._template,
            **self.options.model_dump(include={"blocks", "dimensions", "seed"}),
        }

    def choice(self) -> RowRequest:
        """Ask for a few rows of each question and teacher."""
        options = self.options
        return RowRequest(options.questions, options.samples, options.seed)

    def items(self, frame: pl.DataFrame) -> Sequence[Item]:
        """List the rows that have a rationale."""
        pairs = (_pair(row) for row in rows_of(frame))
        return [Item(self.memo_key(*pair), pair) for pair in pairs if pair]

    def compute(self, items: Iterable[Item]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Take gradients one by one, each recorded as the base64 of its little-endian float32.

        Raises:
            ModelError: the student can't be loaded, has too few blocks, or its chat template drops
                rationales.
        """
        for item in items:
            gradient = self._open().read(item.payload)
            if gradient is None:
                yield item.key, {"too_long": True}
                continue
            data = base64.b64encode(np.asarray(gradient.vector, dtype="<f4").tobytes())
            yield item.key, {"float32": data.decode("ascii"), "norm": gradient.norm}

    def assemble(
        self,
        frame: pl.DataFrame,
        values: Mapping[str, Mapping[str, Any]],
        facts: Mapping[str, Any],  # noqa: ARG002 - it looks at no pool
    ) -> pl.DataFrame:
        """Decode the vectors."""
        pairs = [_pair(row) for row in rows_of(frame)]
        none: Mapping[str, Any] = {}
        made = [values.get(self.memo_key(*pair), none) if pair else none for pair in pairs]
        columns = {
            "gradient": [_decoded(value.get("float32")) for value in made],
            "gradient_norm": [value.get("norm") for value in made],
        }
        return pl.DataFrame(columns, schema=self.writes.types)

    def looks_back_on(self) -> Sequence[str]:
        """Ask for the vectors, once it is known which rows the arms hold."""
        return ("source", "teacher", "gradient", "gradient_norm")

    def look_back(self, rows: pl.DataFrame, arms: Mapping[str, bool]) -> Mapping[str, Any]:
        """Compare teachers, sources and arms (see `curate.measures.gradient_facts`)."""
        return facts_of(rows.drop_nulls("gradient"), arms, self.options)

    def close(self) -> None:
        """Free the student."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open(self) -> Any:
        if self._reader is None:
            from curate.models.students.gradients import GradientReader

            options = self.options
            self._reader = GradientReader.load(
                self._asking.student.path, self._dtype, self._asking.layout, self._template,
                blocks=options.blocks, dimensions=options.dimensions, seed=options.seed,
            )  # fmt: skip
        return self._reader


def _pair(row: Row) -> Pair | None:
    """Give what the student would be trained on, of which no part is masked."""
    pair = row.pair("___")
    return pair and pair._replace(masked="")


def _decoded(text: str | None) -> list[float] | None:
    return None if text is None else np.frombuffer(base64.b64decode(text), "<f4").tolist()

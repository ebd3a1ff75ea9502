"""Do the scores see a fault? Copies of right rationales with one planted are scored as well.

After the chain, some right rationales of the pool, one a question, get a copy for every fault of
`curate.measures.faults`. The measures whose scores follow from a rationale run over originals and
copies in a small table of their own, into the same record: a second run asks nothing. A question's
copies are siblings of its original alone, so a measure that compares siblings sees these, and one
that learns from the pool learns from this table. All other columns are the original's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl

from curate.engine.chain import ChainResult
from curate.engine.fault_shares import ORIGINAL, TEXTS, Text, conclude
from curate.engine.measuring import gather_pool
from curate.engine.pipeline import PipelineResult
from curate.engine.table import IDS, Shard, Table, write_part
from curate.measures.base import PoolRequest
from curate.measures.faults import FAULTS, OTHER, RATIONALE, plant
from curate.measures.masking import mask_value
from curate.measures.probes import plant_answer
from curate.measures.rows import READS, Row, rows_of
from curate.recipe.steps import MeasureStep
from curate.store.keys import rank, short_id
from curate.store.store import write_parquet
from filters.answers import equal
from filters.columns import SOURCE_COLUMNS, VERDICT_PREFIX

_SEARCHED: Final = 4
"""Questions looked at for each rationale wanted: not all have a right one."""


@dataclass(frozen=True, slots=True)
class PlantedFaults:
    """What came of planting faults.

    Attributes:
        facts: for the manifest, JSON-able: ``rationales``; ``faults``, each with ``name``,
            ``meaning`` and ``copies``; ``scores``, by score and fault the share of pairs in which
            the original is the better one, a tie counting half: ``value`` with 95 % interval
            ``low`` to ``high`` over ``questions``; null where fewer than
            `curate.measures.statistics.FEWEST` have both.
        result: what was measured for it.
    """

    facts: Mapping[str, Any]
    result: ChainResult


def plant_faults(pipeline: PipelineResult) -> PlantedFaults | None:
    """Plant faults in as many right rationales as the recipe says; None where it says nothing.

    Raises:
        RecordError: the run is a replay, and a copy's score is not in the record.
        CurateError: a model failed, or a limit was reached; what was measured is recorded.
    """
    plan, work = pipeline.plan, pipeline.chain.work / "planted"
    if not plan.recipe.faults:
        return None
    work.mkdir()
    texts = list(_planted(_originals(pipeline, plan.recipe.faults)))
    table = _table(pipeline.table, plan.testing, texts, work)
    facts = {measure.name: measure.facts for measure in pipeline.result.measured}
    steps = replace(pipeline.chain, work=work, again=True)
    result = ChainResult(
        [steps.measure(step, table, facts.get(step.measure, {})) for step in plan.testing]
    )
    return PlantedFaults(conclude(list(plan.tested.values()), texts, table), result)


def _originals(pipeline: PipelineResult, wanted: int) -> list[tuple[str, Row]]:
    """Choose right rationales by seeded hash, one a question, with the ids of their samples."""
    judge = pipeline.plan.recipe.judge_of_answers
    verdict = [f"{VERDICT_PREFIX}{judge}"] if judge else []
    request = PoolRequest(_SEARCHED * wanted, (*IDS, *READS, *verdict))
    pool = gather_pool(pipeline.table, request)
    if verdict:
        pool = pool.filter(pl.col(verdict[0]).struct.field("keep"))
    ids = pool.select("question_id", "sample_id").rows()
    order = sorted(zip(ids, rows_of(pool), strict=True), key=lambda row: rank("faults", *row[0]))
    chosen: dict[str, tuple[str, Row]] = {}
    for (question, sample), row in order:
        if question not in chosen and _is_right(row, judged=bool(verdict)):
            chosen[question] = (sample, row)
    questions = sorted(chosen, key=lambda question: rank("faults", question))[:wanted]
    return [chosen[question] for question in questions]


def _is_right(row: Row, *, judged: bool) -> bool:
    """Tell whether a sample can be an original; its answer is compared where no filter judged."""
    if not (row.gold and row.answer and row.rationale and row.rationale.strip()):
        return False
    return judged or equal(row.answer, row.gold, row.kind, row.options) is True


def _planted(originals: Sequence[tuple[str, Row]]) -> Iterator[Text]:
    """Give every original, and the copies in which a fault could be planted."""
    donors = [row for _, row in originals]
    for (sample, row), donor in zip(originals, donors[1:] + donors[:1], strict=True):
        rationale = row.rationale or ""
        yield Text(sample, ORIGINAL, sample, rationale)
        for fault in FAULTS:
            text = _other(row, donor) if fault == OTHER else _edited(fault, sample, row)
            if text is not None and text != rationale:
                yield Text(sample, fault, short_id("fault", sample, fault), text)


def _edited(fault: str, sample: str, row: Row) -> str | None:
    mark = "\x00"
    hidden = partial(
        mask_value, answer=row.answer, gold_type=row.kind, choices=row.options, mask=mark
    )
    return plant(fault, row.rationale or "", sample, lambda text: hidden(text).count(mark))


def _other(row: Row, donor: Row) -> str | None:
    return None if donor is row else plant_answer(donor, row.answer or "")


def _table(table: Table, steps: Sequence[MeasureStep], texts: Sequence[Text], work: Path) -> Table:
    """Make the table of originals and copies, with what the steps read."""
    rows = pl.DataFrame(texts, schema=TEXTS, orient="row")
    samples = _samples(table, steps, rows["original"].unique())
    words = pl.col("rationale").str.count_matches(r"\S+").cast(pl.Int32)
    copies = (
        rows.drop("fault")
        .join(samples.rename({"sample_id": "original"}).drop("rationale"), on="original")
        .with_columns(
            rationale_words=words,
            reasoning=pl.when(pl.col("reasoning").is_not_null()).then(pl.col("rationale")),
        )
        .sort("question_id", "sample_id")
    )
    questions = table.questions.join(copies, on="question_id", how="semi")
    facts, base = work / "questions.parquet", work / "samples.parquet"
    write_parquet(questions, facts)
    write_parquet(copies.select(SOURCE_COLUMNS.keys()), base)
    shard = Shard(0, facts, base, pl.repeat(value=True, n=copies.height, eager=True))
    columns = copies.drop("original", *SOURCE_COLUMNS)
    shard.add(write_part(work / "columns.parquet", copies["sample_id"], columns))
    return Table(questions, [shard])


def _samples(table: Table, steps: Sequence[MeasureStep], samples: pl.Series) -> pl.DataFrame:
    """Read what the steps read of some samples, but for what they write themselves."""
    written = {name for shard in table.shards for part in shard.parts for name in part.columns}
    reads = {name for step in steps for name in step.kind.reads}
    anew = {name for step in steps for name in step.writes}
    columns = [*SOURCE_COLUMNS, *RATIONALE, *sorted((reads & written) - anew)]
    frames: list[pl.DataFrame] = []
    for shard in table.shards:
        chosen = shard.read(IDS)["sample_id"].is_in(samples.implode())
        frames.append(shard.read(columns, chosen))
    return pl.concat(frames)

"""The declared type and meaning of every public column.

Schemas are declared, never inferred: a shard in which a column holds only nulls must still read as
what it is. Filters name the columns they read from this glossary, the plan finds the measure that
writes each, and the contract suite draws random tables from the types given here.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl

QUESTION_COLUMNS: Final[Mapping[str, pl.DataType]] = {
    "question_id": pl.String(),  # hash of the question's text and choices
    "question": pl.String(),
    "gold": pl.String(),  # canonical form of the known answer
    "gold_type": pl.String(),  # number | latex | choice | boolean | date | string
    "choices": pl.List(pl.String()),  # texts of the options in order, null where there are none
    "external_id": pl.String(),  # the id the questions came with, null where there was none
    "group_id": pl.String(),  # questions of a group never straddle a split
    "domain": pl.String(),
    "licence": pl.String(),
    "split": pl.String(),  # train | validation
    "status": pl.String(),  # ok | quarantined
    "reason": pl.String(),  # why quarantined
    "times_seen": pl.Int32(),  # how many input rows held this question with this gold
}
"""One row a question, never removed."""

SOURCE_COLUMNS: Final[Mapping[str, pl.DataType]] = {
    "sample_id": pl.String(),
    "question_id": pl.String(),
    "sample_index": pl.Int32(),
    "source": pl.String(),
    "teacher": pl.String(),
    "prompt_id": pl.String(),
    "parent_id": pl.String(),
    "gold_shown": pl.Boolean(),
    "raw_output": pl.String(),
    "reasoning_field": pl.String(),  # a server's separate reasoning text, null where there was none
    "finish_reason": pl.String(),  # stop | length | error, null where the source does not know
    "error": pl.String(),  # what failed for good, null unless finish_reason is error
    "completion_tokens": pl.Int32(),  # the teacher's tokens, null where not known
    "seed": pl.Int64(),
}
"""One row a draw; written by sources only."""

MEASURE_COLUMNS: Final[Mapping[str, pl.DataType]] = {
    # parse
    "reasoning": pl.String(),  # text inside <think> or a server's reasoning field
    "rationale": pl.String(),  # the reasoning before the answer, final clause cut
    "answer": pl.String(),  # as extracted, null where no known form was found
    "answer_form": pl.String(),  # which form found it: boxed, hashes, answer_is, last_number ...
    "rationale_words": pl.Int32(),
    # tokens
    "rationale_tokens": pl.Int32(),  # the student's
    # embed
    "embedding": pl.List(pl.Float32()),  # unit length
    # verify
    "verify_outcome": pl.String(),  # see curate/measures/verify.py
    # overrides
    "override_keep": pl.Boolean(),  # a person's verdict, null where none was given
    "override_reason": pl.String(),
    # score; every NLL is a mean in nats per answer token, over the templates
    "nll_with_rationale": pl.Float64(),  # final clause stripped (the paper's form)
    "nll_masked": pl.Float64(),  # the rationale's own final value masked everywhere
    "nll_without_rationale": pl.Float64(),
    "nll_rationale": pl.Float64(),  # of the rationale's tokens given the question
    "rd_paper": pl.Float64(),
    "rd_masked": pl.Float64(),
    "rd_spread": pl.Float64(),  # half the range of log RD over the templates
    "states_gold": pl.Boolean(),  # the stripped rationale still states the answer's value
    "score_truncated": pl.Boolean(),  # the context was too long and was cut from the left
    "student_follows": pl.Boolean(),  # calibration: right and wrong siblings separate when masked
    # score, with `per_token`: one entry a token of the student's, in nats, under the first template
    "rationale_token_ends": pl.List(pl.Int32()),  # characters of the rationale up to its end
    "rationale_logprobs": pl.List(pl.Float32()),  # given the question
    "rationale_entropies": pl.List(pl.Float32()),  # of the distributions they were drawn from
    "answer_logprobs_with_rationale": pl.List(pl.Float32()),
    "answer_logprobs_without_rationale": pl.List(pl.Float32()),
}
"""Written by measures, null where the row was no longer live."""

FILTER_COLUMNS: Final[Mapping[str, pl.DataType]] = {
    "cluster": pl.Int32(),  # 0-based within a question, largest cluster first
}
"""Written by filters beside their verdicts."""

COLUMNS: Final[Mapping[str, pl.DataType]] = {
    **QUESTION_COLUMNS,
    **SOURCE_COLUMNS,
    **MEASURE_COLUMNS,
    **FILTER_COLUMNS,
}

VERDICT_PREFIX: Final = "verdict_"

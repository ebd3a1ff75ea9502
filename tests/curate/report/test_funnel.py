"""The funnel counts everything once, and looks as it should."""

import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from curate.release.funnel import (
    ConservationError,
    FilterCount,
    Funnel,
    PickCount,
    QuestionCount,
    SourceCount,
    SweepCount,
    count,
    count_picks,
    lines,
    markdown,
    merge,
    percent,
    reasons,
    sweep_rows,
)
from curate.report.funnel import render

GOLDEN = Path(__file__).parent / "golden"

CANNOT_FOLLOW = "the calibration says that the student cannot follow rationales"
FUNNEL = Funnel(
    questions=QuestionCount(
        read=1319, merged=4, quarantined={"conflicting_gold": 8, "gold_unparseable": 4}, in_use=1303
    ),
    sources=(
        SourceCount(name="qwen7b", rows=5212, errors=2),
        SourceCount(name="gemini", rows=64, unmatched=3),
    ),
    samples=5276,
    covered=1303,
    filters=(
        FilterCount(
            name="completeness", rows=5276, kept=5100, dropped={"empty": 120, "cut_off": 56},
            abstained={}, skipped=0, live=5100, covered_before=1303, covered=1300, choice=4,
        ),
        FilterCount(
            name="correctness", rows=5276, kept=2003,
            dropped={"wrong_answer": 3038, "no_answer": 47},
            abstained={"gold_unparseable": 12}, skipped=176, live=2003, covered_before=1300,
            covered=1001, choice=800,
        ),
        FilterCount(
            name="diversity", rows=5276, kept=1998, dropped={"near_duplicate": 5}, abstained={},
            skipped=3273, live=1998, covered_before=1001, covered=1001, choice=5,
        ),
        FilterCount(
            name="rationale_difficulty", rows=5276, kept=0, dropped={},
            abstained={"student_cannot_follow": 1998}, skipped=3278, live=1998,
            covered_before=1001, covered=1001, choice=0,
        ),
    ),
    picks=(
        PickCount(name="selected", rows=1000, questions=1000, tokens=214031, choice=0.44),
        PickCount(name="random", rows=1000, questions=1000, tokens=220112),
        PickCount(name="all_correct", rows=2003, questions=1001, tokens=1420112),
    ),
    notes=(f"order_by rd_masked decided nothing: {CANNOT_FOLLOW}",),
)  # fmt: skip


def printed(what: RenderableType, width: int = 80) -> str:
    console = Console(width=width, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(what)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def test_the_funnel_at_80_columns() -> None:
    assert printed(render(FUNNEL)) == (GOLDEN / "funnel-80.txt").read_text()


@pytest.mark.parametrize("width", [60, 80, 133])
def test_no_line_of_the_funnel_wraps_within_a_row(width: int) -> None:
    long = FUNNEL.filters[0].model_copy(
        update={"name": "a_filter_with_quite_a_long_name_of_its_own"}
    )
    funnel = FUNNEL.model_copy(update={"filters": (long, *FUNNEL.filters[1:])})
    said = printed(render(funnel), width).splitlines()
    assert all(len(line) <= width for line in said)
    ends = {len(line) for line in said if "█" in line and not line.endswith("100%")}
    assert len(ends) <= 2  # the row of all samples has no choice


SWEPT = tuple(
    SweepCount(
        name=f"sweep_{slug}_{direction}_share_0_25", rows=1250, questions=1001, tokens=240118,
        key=key, direction=direction, budget="0.25 of the live samples", right=1.0, mean=0.0312456,
        overlap=None if slug == "nll_rationale" else 0.41,
    )
    for slug, key in (
        ("nll_rationale", "nll_rationale"),
        ("rank_fusion_rd_masked_minus_rsr", "rank_fusion(rd_masked, -rsr; k=60)"),
    )
    for direction in ("lowest", "highest")
)  # fmt: skip


def test_a_sweep_is_a_table_below_the_arms_that_are_named_one_by_one() -> None:
    picks = tuple(PickCount(**line.model_dump(include={*PickCount.model_fields})) for line in SWEPT)
    funnel = FUNNEL.model_copy(update={"picks": (*FUNNEL.picks, *picks), "sweep": SWEPT})
    assert Funnel.model_validate_json(funnel.model_dump_json()) == funnel
    shown = printed(render(funnel)).splitlines()
    start = next(place for place, line in enumerate(shown) if "overlap" in line)
    assert shown[start : start + 7] == [
        "                      samples  questions   tokens  right     mean  overlap",
        "sweep_nll_rationale… by nll_rationale",
        "…_lowest_share_0_25     1,250      1,001  240,118   100%  0.03125     none",
        "…_highest_share_0_25    1,250      1,001  240,118   100%  0.03125     none",
        "sweep_rank_fusion_rd_masked_minus_rsr… by rank_fusion(rd_masked, -rsr; k=60)",
        "…_lowest_share_0_25     1,250      1,001  240,118   100%  0.03125      41%",
        "…_highest_share_0_25    1,250      1,001  240,118   100%  0.03125      41%",
    ]
    assert shown[:start] == printed(render(FUNNEL)).splitlines()[:start]
    assert markdown(funnel) == markdown(FUNNEL)
    assert sweep_rows(funnel)[2] == (
        "sweep_rank_fusion_rd_masked_minus_rsr_lowest_share_0_25",
        "rank_fusion(rd_masked, -rsr; k=60)", "lowest", "0.25 of the live samples", "1,250",
        "1,001", "240,118 tokens", "100%", "0.03125", "41%",
    )  # fmt: skip
    assert (
        "sweep_nll_rationale_highest_share_0_25 (by nll_rationale, highest first, 0.25 of the live "
        "samples): 1,250 samples, 1,001 questions, 240,118 tokens; right 100%, mean of the key "
        "0.03125, also selected none"
    ) in lines(funnel)


def test_the_funnel_in_plain_lines_and_markdown() -> None:
    text = "\n".join([*lines(FUNNEL), "", markdown(FUNNEL), ""])
    assert text == (GOLDEN / "funnel.md").read_text()


def test_a_count_survives_the_manifest() -> None:
    FUNNEL.check()
    assert Funnel.model_validate_json(FUNNEL.model_dump_json()) == FUNNEL


VERDICT = pl.Struct({"keep": pl.Boolean(), "reason": pl.String(), "score": pl.Float64()})
OUTCOMES = ("kept", "dropped", "abstained", "skipped")
SHARDS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(OUTCOMES)), max_size=6)


def judged(rows: list[tuple[str, str]], on_abstain: str = "drop") -> pl.DataFrame:
    """Rows of a shard: a question and what the filter ``f`` said of a sample."""
    keep = {"kept": True, "dropped": False, "abstained": None}
    live = {"kept"} if on_abstain == "drop" else {"kept", "abstained"}
    return pl.DataFrame(
        [
            {
                "question_id": question,
                "verdict_f": None if outcome == "skipped"
                else {"keep": keep[outcome], "reason": None if outcome == "kept" else outcome[:2]},
                "live_before": outcome != "skipped",
                "live_after": outcome in live,
            }
            for question, outcome in rows
        ],
        schema={
            "question_id": pl.String, "verdict_f": VERDICT,
            "live_before": pl.Boolean, "live_after": pl.Boolean,
        },
    )  # fmt: skip


def test_a_gate_is_counted() -> None:
    rows = [
        ("a", "kept"), ("a", "dropped"), ("a", "skipped"),
        ("b", "kept"), ("b", "abstained"), ("c", "dropped"), ("d", "skipped"),
    ]  # fmt: skip
    assert count(judged(rows), "f") == FilterCount(
        name="f", rows=7, kept=2, dropped={"dr": 2}, abstained={"ab": 1}, skipped=2, live=2,
        covered_before=3, covered=2, choice=1,
    )  # fmt: skip
    assert count(judged(rows, on_abstain="keep"), "f").live == 3


def test_verdicts_of_rows_no_longer_live_are_not_counted() -> None:
    seen = judged([("a", "kept"), ("a", "dropped")]).with_columns(
        live_before=pl.Series([True, False]), live_after=pl.Series([True, False])
    )
    assert (count(seen, "f").dropped, count(seen, "f").skipped) == ({}, 1)


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(OUTCOMES)), max_size=6),
        max_size=4,
    ),
    st.integers(0, 4),
)
def test_shards_add_up_whatever_the_grouping(shards: list[list[tuple[str, str]]], cut: int) -> None:
    owned = [[(f"{i}{q}", outcome) for q, outcome in rows] for i, rows in enumerate(shards)]

    def funnel(rows: list[tuple[str, str]]) -> Funnel:
        return Funnel(samples=len(rows), filters=(count(judged(rows), "f"),))

    parts = [funnel(rows) for rows in owned]
    whole = merge([funnel([row for rows in owned for row in rows]), Funnel()])
    grouped = merge(parts[:cut]) + merge(parts[cut:])
    assert grouped == merge(parts)
    if parts:
        assert grouped == whole


def test_a_lost_row_is_an_error_with_the_numbers() -> None:
    unsaid = judged([("a", "kept")]).with_columns(verdict_f=pl.lit(None, VERDICT))
    with pytest.raises(ConservationError, match=r"0 kept \+ 0 dropped .* is not 1 row;"):
        count(unsaid, "f")
    without_reason = pl.DataFrame({"verdict_f": [{"keep": False, "reason": None, "score": None}]})
    silent = judged([("a", "dropped")]).with_columns(without_reason.cast({"verdict_f": VERDICT}))
    with pytest.raises(ConservationError, match="please report this"):
        count(silent, "f")
    revived = judged([("a", "dropped")]).with_columns(live_after=pl.lit(value=True))
    with pytest.raises(ConservationError, match="live 1, but 0 were kept"):
        count(revived, "f")


def test_rows_cannot_vanish_between_two_filters() -> None:
    entries = FUNNEL.filters
    with pytest.raises(ConservationError, match=r"'diversity' saw 2003 .* left 5100 of 5276"):
        FUNNEL.model_copy(update={"filters": (entries[0], entries[2])}).check()
    with pytest.raises(ConservationError, match="do not add up"):
        _ = entries[0] + entries[1]


def test_picks_are_counted_with_their_tokens() -> None:
    table = pl.DataFrame(
        {
            "sample_id": ["s0", "s1", "s2"],
            "tokens": [5, None, 7],
            "in_words": [False, True, True],
        }
    )
    chosen = table.select(
        "sample_id",
        question_id=pl.lit("q"),
        selected=pl.Series([True, True, False]),
        selection_rank=pl.Series([1, 2, None]),
        arm_all=pl.lit(value=True),
    )
    assert count_picks(table, chosen, choice=0.5) == (
        PickCount(name="selected", rows=2, questions=1, tokens=5, choice=0.5),
        PickCount(name="all", rows=3, questions=1, tokens=5, words=7),
    )


def picked(**length: int) -> Funnel:
    pick = PickCount(name="selected", rows=1, questions=1, **length)
    return FUNNEL.model_copy(update={"picks": (pick,)})


@pytest.mark.parametrize(
    ("length", "line", "heading"),
    [
        ({"tokens": 310}, "310 tokens", "tokens"),
        ({"tokens": 0, "words": 310}, "310 words", "words"),
        ({"tokens": 20, "words": 310}, "20 tokens and 310 words", "tokens"),
        ({"tokens": 0}, "0 tokens", "tokens"),
    ],
)
def test_words_are_never_called_tokens(length: dict[str, int], line: str, heading: str) -> None:
    funnel = picked(**length)
    assert lines(funnel)[-2] == f"selected: 1 sample (<1%), 1 question, {line}"
    assert f"| {line} |" in markdown(funnel)
    screen = printed(render(funnel))
    assert re.search(rf"questions +{heading}\n", screen)
    mixed = "and 310 words of samples whose tokens nobody counted" in screen
    assert mixed == (line == "20 tokens and 310 words")


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (0, 0, "0%"),
        (0, 9, "0%"),
        (1, 1000, "<1%"),
        (1, 3, "33%"),
        (999, 1000, ">99%"),
        (5, 5, "100%"),
    ],
)
def test_what_is_not_all_never_reads_as_all(part: int, whole: int, said: str) -> None:
    assert percent(part, whole) == said


def test_rare_reasons_are_added_up() -> None:
    assert reasons({letter: 9 - i for i, letter in enumerate("abcdefg")}) == (
        "a 9, b 8, c 7, d 6, e 5, 2 more reasons 7"
    )

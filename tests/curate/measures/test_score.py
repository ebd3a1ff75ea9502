"""The score, tokens and embed measures, from rows to columns, on drawn and on real students."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from curate.errors import ModelError
from curate.measures.embed import Embed, EmbedOptions
from curate.measures.score import Score, refuse_no_effect
from curate.measures.score_options import ScoreOptions, choose_dtype
from curate.measures.tokens import Tokens
from curate.models.references import ResolvedModel, resolve
from curate.models.rendering import render
from curate.models.students.packed_rows import PackedRows
from curate.models.students.pairs import Pair, PairReader
from curate.models.students.scorer import Scorer, load_scorer
from curate.models.students.tokenizing import encode, load_tokenizer
from tests.curate.byte_tokenizer import byte_tokenizer
from tests.curate.models.mutants import MUTANTS
from tests.curate.models.small_students import TOLERANCE, gap, llama, loop, loop_by_token, t5
from tests.curate.models.test_rendering import DROPPING, LINES

TEXTS = [
    "Each box holds 6 pens. So 3 boxes hold 3 * 6 = 18 pens.",
    "There are 3 boxes of 6 pens: 3 + 6 = 9.",
    "Six pens in each of three boxes.\nThat is 18, since 6 + 6 + 6 = 18.",
]
ANSWERS = ["18", "9", "18"]


def rows(texts: list[str | None] = TEXTS, gold: str | None = "18") -> pl.DataFrame:
    """Samples of one question."""
    answers = [*ANSWERS, *[None] * len(texts)][: len(texts)]
    return pl.DataFrame(
        {
            "question_id": ["q"] * len(texts),
            "sample_id": [f"s{number}" for number in range(len(texts))],
            "question": ["Three boxes hold 6 pens each. How many pens?"] * len(texts),
            "gold": [gold] * len(texts),
            "gold_type": ["number"] * len(texts),
            "choices": pl.Series([None] * len(texts), dtype=pl.List(pl.String)),
            "rationale": pl.Series(texts, dtype=pl.String),
            "answer": pl.Series(answers, dtype=pl.String),
        }
    )


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Llama and a tokenizer of its 97 tokens, as `save_pretrained` leaves them."""
    folder = tmp_path_factory.mktemp("llama")
    llama().save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def columns(measure: Any, frame: pl.DataFrame, facts: dict[str, Any] | None = None) -> pl.DataFrame:
    """Measure as the engine does, checking that keys and items are what they should be."""
    items = measure.items(frame)
    values = dict(measure.compute({item.key: item for item in items}.values()))
    assert set(values) == {item.key for item in items}
    made = measure.assemble(frame, values, facts or {})
    measure.close()
    assert dict(made.schema) == measure.writes.types
    return made


def score(folder: Path, *demand: str, **options: Any) -> Score:
    chosen = ScoreOptions(student=str(folder), **options)
    return Score(chosen, resolve(str(folder)), demand=demand)


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "models" not in request.keywords:
        path = request.getfixturevalue("tmp_path")
        monkeypatch.setenv("CURATE_STORE", str(path))


def by_hand(model: Any, tokenizer: Any, rationale: str, line: str, layout: Any) -> float:
    """NLL of the answer, by rendering, tokenising and the plain loop."""
    shown = render("Three boxes hold 6 pens each. How many pens?", rationale, line, "18",
                   tokenizer, layout)  # fmt: skip
    target = encode(tokenizer, shown.text, [shown.answer], shown.source, begin=layout == "plain")
    return loop(model, target)[0]


@pytest.mark.parametrize("layout", ["plain", "chat"])
def test_columns_are_what_the_formula_says(student: Path, layout: Any) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(student)
    tokenizer = AutoTokenizer.from_pretrained(student)
    made = columns(score(student, layout=layout), rows(), {"student_follows": True})
    for row, text in zip(made.iter_rows(named=True), TEXTS, strict=True):
        own = {"9": "___"} if "9" in text else {"18": "___"}
        masked = text
        for value, mask in own.items():
            masked = masked.replace(value, mask)
        alone, paper, hidden = (
            [by_hand(model, tokenizer, r, line, layout) for line in LINES[:2]]
            for r in ("", text, masked)
        )
        logs = [h - a for h, a in zip(hidden, alone, strict=True)]
        near = {"abs": TOLERANCE * 3}
        assert row["nll_without_rationale"] == pytest.approx(np.mean(alone), **near)
        assert row["nll_with_rationale"] == pytest.approx(np.mean(paper), **near)
        assert row["nll_masked"] == pytest.approx(np.mean(hidden), **near)
        assert math.log(row["rd_paper"]) == pytest.approx(np.mean(paper) - np.mean(alone), **near)
        assert math.log(row["rd_masked"]) == pytest.approx(np.mean(logs), **near)
        assert row["rd_spread"] == pytest.approx(abs(logs[0] - logs[1]) / 2, **near)
        shown = render(rows()["question"][0], text, LINES[0], "18", tokenizer, layout)
        own_span = encode(tokenizer, shown.text, [shown.rationale], begin=layout == "plain")
        assert row["nll_rationale"] == pytest.approx(loop(model, own_span)[0], **near)
        assert row["states_gold"] is ("18" in text)
        assert row["score_truncated"] is False
        assert row["student_follows"] is True


@pytest.mark.parametrize("layout", ["plain", "chat"])
def test_every_token_is_written_on_demand(student: Path, layout: Any) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(student)
    tokenizer = AutoTokenizer.from_pretrained(student)
    asked = score(student, "rationale_ranks", layout=layout, per_token=True)
    texts = [f"  {TEXTS[0]}", *TEXTS[1:]]
    made = columns(asked, rows(texts))
    for row, text in zip(made.iter_rows(named=True), texts, strict=True):
        shown = [
            render(rows()["question"][0], r, LINES[0], "18", tokenizer, layout)
            for r in (text.strip(), "")
        ]
        begin = layout == "plain"
        both = encode(tokenizer, shown[0].text, [shown[0].answer, shown[0].rationale], begin=begin)
        alone = encode(tokenizer, shown[1].text, [shown[1].answer], begin=begin)
        (answer, *_), (own, entropies, ranks) = loop_by_token(model, both)
        near = {"abs": TOLERANCE}
        assert row["rationale_logprobs"] == pytest.approx(own, **near)
        assert row["rationale_entropies"] == pytest.approx(entropies, **near)
        assert row["rationale_ranks"] == ranks
        assert row["answer_logprobs_with_rationale"] == pytest.approx(answer, **near)
        without = loop_by_token(model, alone)[0][0]
        assert row["answer_logprobs_without_rationale"] == pytest.approx(without, **near)
        ends = row["rationale_token_ends"]
        pieces = [text[a:b] for a, b in itertools.pairwise([len(text) - len(text.lstrip()), *ends])]
        spelt = [tokenizer.decode([token]) for token in both.ids[slice(*both.spans[1])]]
        assert pieces == spelt
        assert row["nll_rationale"] == pytest.approx(-np.mean(row["rationale_logprobs"]), **near)
    plain = columns(score(student, layout=layout), rows(texts))
    for name in plain.columns:
        assert made[name].to_list() == pytest.approx(plain[name].to_list(), abs=1e-5)


def test_tokens_of_a_cut_rationale_stand_where_they_stood(student: Path) -> None:
    for sentence in ("One two three. ", "One two three:\n    "):
        long = sentence * 20 + TEXTS[0]
        made = columns(score(student, layout="plain", per_token=True), rows([long, *TEXTS[1:]]))
        ends = made["rationale_token_ends"][0].to_list()
        assert ends[-1] == len(long)
        assert len(ends) == len(made["rationale_logprobs"][0]) < len(long)
        assert long[: ends[0] - 1].endswith(sentence)


def test_what_was_scored_without_tokens_does_not_do_with_them(student: Path) -> None:
    plain, asked = score(student), score(student, "rationale_ranks", "rationale_logprobs")
    keys = [item.key for item in plain.items(rows())]
    assert [item.key for item in asked.items(rows())] == keys, "one record for both"
    assert asked.details
    values = dict(plain.compute(plain.items(rows())))
    assert not any(set(asked.details) & value.keys() for value in values.values())
    values = dict(asked.compute(asked.items(rows())))
    assert all(set(asked.details) <= value.keys() for value in values.values())
    plain.assemble(rows(), values, {})
    plain.close()
    asked.close()


def test_what_cannot_be_scored_is_null(student: Path) -> None:
    made = columns(score(student), rows([TEXTS[0], None, "  "]))
    assert made["rd_paper"].is_null().to_list() == [False, True, True]
    assert columns(score(student), rows(TEXTS, gold=None))["rd_masked"].null_count() == 3


def test_a_question_is_scored_alone_once_and_nothing_twice(student: Path) -> None:
    keys = [item.key for item in score(student).items(pl.concat([rows(), rows()]))]
    assert len(set(keys)) == 1 + len(TEXTS)


def test_the_key_knows_what_was_read_and_by_whom(student: Path) -> None:
    def keys(**options: Any) -> set[str]:
        return {item.key for item in score(student, **options).items(rows())}

    plain = keys()
    assert keys(calibrate=8) == plain, "calibration changes no score"
    assert not keys(templates=(LINES[0],)) & plain
    assert not keys(layout="plain") & plain
    assert not keys(dtype="bfloat16") & plain
    assert len(keys(mask="[...]") & plain) == 1, "the question alone has no mask"


def test_a_long_rationale_loses_its_first_sentences_and_says_so(student: Path) -> None:
    long = "One two three. " * 20 + TEXTS[0]
    made = columns(score(student, layout="plain"), rows([long, *TEXTS[1:]]))
    assert made["score_truncated"].to_list() == [True, False, False]
    assert made["nll_with_rationale"].null_count() == 0


def test_a_question_beyond_the_context_is_not_scored(student: Path) -> None:
    frame = rows().with_columns(question=pl.lit("How many? " * 60))
    assert columns(score(student, layout="plain"), frame)["rd_paper"].null_count() == 3


def test_encoder_decoder_students(tmp_path: Path) -> None:
    model, tokenizer = t5(), byte_tokenizer(end=True)
    model.save_pretrained(tmp_path / "t5")
    tokenizer.save_pretrained(tmp_path / "t5")
    made = columns(score(tmp_path / "t5"), rows())
    for row, text in zip(made.iter_rows(named=True), TEXTS, strict=True):
        nlls = [by_hand(model, tokenizer, text, line, "encoder") for line in LINES[:2]]
        assert row["nll_with_rationale"] == pytest.approx(np.mean(nlls), abs=3 * TOLERANCE)
        assert row["nll_rationale"] > 0


def test_a_template_that_drops_the_rationale_is_refused_before_anything_is_scored(
    student: Path, tmp_path: Path
) -> None:
    for file in student.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = DROPPING
    tokenizer.save_pretrained(tmp_path)
    measure = score(tmp_path)
    with pytest.raises(ModelError, match="drops the rationale"):
        list(measure.compute(measure.items(rows())))


def test_chat_is_refused_of_a_student_without_a_template(tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="has no chat template"):
        score(tmp_path, layout="chat")


def test_rd_of_one_everywhere_is_refused() -> None:
    refuse_no_effect([1.0, 1.0, None, 0.9], "s")
    refuse_no_effect([1.0, 1.0], "s")
    with pytest.raises(ModelError, match="is 1 for all 3 rationales under s"):
        refuse_no_effect([1.0, None, 1.0, 1.0], "s")


@pytest.mark.parametrize("template", ["no slot", "{answer} and {answer}"])
def test_templates_hold_the_answer_once(template: str) -> None:
    with pytest.raises(ValidationError, match="must hold"):
        ScoreOptions(student="s", templates=(template,))


def test_dtype_is_known_without_torch() -> None:
    assert choose_dtype("bfloat16") == "bfloat16"
    expected = "bfloat16" if Path("/dev/nvidiactl").exists() else "float32"
    assert choose_dtype("auto") == expected


def test_tokens_are_the_students(student: Path) -> None:
    made = columns(Tokens(resolve(str(student))), rows([TEXTS[0], None, ""]))
    assert made["rationale_tokens"].to_list() == [len(TEXTS[0].encode()), None, 0]


def test_calibration_measures_what_the_run_measures_anyway(student: Path) -> None:
    pool = pl.concat(
        [rows().with_columns(question_id=pl.lit(f"q{n}"), question=pl.lit(f"Q{n}: pens?"))
         for n in range(9)]
    )  # fmt: skip
    measure = score(student, calibrate=9)
    request = measure.pool()
    assert request is not None
    assert set(request.columns) <= set(pool.columns)
    wanted = {item.key for item in measure.pool_items(pool)}
    assert len(wanted - {item.key for item in measure.items(pool)}) == 2 * 9, "planted and bare"
    values = dict(measure.compute(measure.pool_items(pool)))
    facts = measure.conclude(pool, values)
    assert facts["auc_masked"]["questions"] == 9
    assert isinstance(facts["student_follows"], bool)
    assert score(student, calibrate=0).pool() is None


@pytest.fixture(scope="module")
def gemma() -> ResolvedModel:
    return resolve("google/gemma-3-270m")


@pytest.fixture(scope="module")
def gemma_scorer(gemma: ResolvedModel) -> Scorer:
    return load_scorer(gemma.path, "float32")


@pytest.fixture(scope="module")
def gemma_reader(gemma: ResolvedModel, gemma_scorer: Scorer) -> PairReader:
    return PairReader(load_tokenizer(gemma.path), gemma_scorer, "plain", LINES[:2])


@pytest.mark.models
def test_a_long_rationales_own_nll_agrees_with_the_loop(
    gemma_reader: PairReader, gemma_scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough that its normalisers are screened, which any CPU can be told to do.
    reader, text = gemma_reader, " ".join(TEXTS)
    vocabulary = gemma_scorer._vocabulary
    monkeypatch.setattr(vocabulary, "screens", True)
    screened: list[int] = []
    original = vocabulary._screened

    def counted(states: Any) -> Any:
        screened.append(len(states))
        return original(states)

    monkeypatch.setattr(vocabulary, "_screened", counted)
    (value,) = reader.read([Pair(rows()["question"][0], "18", text)])
    shown = render(rows()["question"][0], text, LINES[0], "18", reader._tokenizer, "plain")
    target = encode(reader._tokenizer, shown.text, [shown.rationale], begin=True)
    (expected,) = loop(gemma_scorer.model, target)
    assert sum(screened) == value["rationale"]["tokens"] > 60
    nll = value["rationale"]["nats"] / value["rationale"]["tokens"]
    assert nll == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.models
def test_gemma_agrees_with_the_loop(gemma_reader: PairReader, gemma_scorer: Scorer) -> None:
    reader = gemma_reader
    pair = Pair(rows()["question"][0], "18", TEXTS[0], TEXTS[0].replace("18", "___"))
    (value,) = reader.read([pair])
    model, tokenizer = gemma_scorer.model, reader._tokenizer
    assert isinstance(gemma_scorer.route, PackedRows)
    for form, text in (("paper", pair.rationale), ("masked", pair.masked)):
        for number, line in enumerate(LINES[:2]):
            nll = value[form][number]["nats"] / value[form][number]["tokens"]
            by_loop = by_hand(model, tokenizer, text, line, "plain")
            assert nll == pytest.approx(by_loop, abs=TOLERANCE)


@pytest.mark.models
@pytest.mark.parametrize("mistake", sorted(name for way, name in MUTANTS if way == "packed"))
def test_on_gemma_too_the_comparison_notices(
    gemma_reader: PairReader,
    gemma_scorer: Scorer,
    mistake: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scorer, tokenizer = gemma_scorer, gemma_reader._tokenizer
    question = rows()["question"][0]
    shown = [render(question, text, LINES[0], "18", tokenizer, "plain") for text in TEXTS]
    targets = [
        encode(tokenizer, one.text, [one.answer, one.rationale], begin=True) for one in shown
    ]
    assert gap(scorer, targets) < TOLERANCE
    module, name, mutate = MUTANTS["packed", mistake]
    monkeypatch.setattr(module, name, mutate(getattr(module, name)))
    assert gap(scorer, targets) > 10 * TOLERANCE


@pytest.mark.models
def test_fourteen_does_not_pass_as_the_beginning_of_145(
    gemma: ResolvedModel, gemma_scorer: Scorer
) -> None:
    """Without its terminator 14 would be nearly as likely as 145 where 145 was concluded."""
    reader = PairReader(load_tokenizer(gemma.path), gemma_scorer, "plain", LINES[:1])
    question = "A hall has 29 rows of 5 seats. How many seats are there?"
    concluding = "29 rows of 5 seats are 29 * 5 = 145 seats."
    values = reader.read([Pair(question, gold, concluding, concluding) for gold in ("14", "145")])
    fourteen, right = (value["paper"][0]["nats"] for value in values)
    assert fourteen > right + 3
    begun = render(question, concluding, LINES[0], "14", reader._tokenizer, "plain")
    span = (begun.answer[0], begun.answer[1] - 1)
    target = encode(reader._tokenizer, begun.text, [span], begin=True)
    ((bare,),) = gemma_scorer.score([target])
    assert -bare.total < right + 1


@pytest.mark.models
def test_embeddings_are_of_unit_length_and_see_past_the_window() -> None:
    encoder = resolve("sentence-transformers/all-MiniLM-L6-v2")
    long = "The boxes hold pens. " * 80
    texts = [TEXTS[0], TEXTS[0], long + "Then we feed the horses.", long + "Done.", None]
    made = columns(Embed(EmbedOptions(), encoder), rows(texts))["embedding"]
    vectors = [np.array(vector) for vector in made.to_list()[:4]]
    assert made.null_count() == 1
    assert vectors[0].shape == (384,)
    assert all(abs(np.linalg.norm(vector) - 1) < 1e-5 for vector in vectors)
    assert np.array_equal(vectors[0], vectors[1])
    assert not np.allclose(vectors[2], vectors[3], atol=1e-4), "MiniLM alone stops at 256 tokens"

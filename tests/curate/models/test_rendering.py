"""What a student reads, and the refusal of templates that hide the rationale from it."""

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

from curate.errors import ModelError
from curate.models.references import resolve
from curate.models.rendering import answer_text, question_text, render, target_line
from curate.models.students.proofs import prove_answer_apart, prove_rationale_shown
from curate.models.students.tokenizing import count_tokens, covering, encode, load_tokenizer

LINES = (" The answer is {answer}.", "\nAnswer: {answer}\n", " So: {answer}")
CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
TRIMMING = CHATML.replace("m.content", "m.content | trim")
DROPPING = "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"
WITHOUT_THINKING = CHATML.replace("m.content", "m.content.split('</think>')[-1]")
BODY = "Each box holds 6 pens, so 3 boxes hold 3 * 6 = 18 pens."


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """Byte-level BPE without word borders, so that it merges whatever it has seen together."""
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bare.decoder = decoders.ByteLevel()
    specials = ["<|im_start|>", "<|im_end|>", "</s>"]
    trainer = BpeTrainer(
        vocab_size=600,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    bare.train_from_iterator([BODY, " The answer is 18.", "\nAnswer: 18\n"] * 50, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="</s>", name_or_path="eager")


def with_template(tokenizer: Any, template: str) -> Any:
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("template", [CHATML, TRIMMING])
def test_chat_puts_rationale_and_line_into_the_assistants_turn(
    tokenizer: Any, template: str, line: str
) -> None:
    shown = render("How many?", BODY, line, "18", with_template(tokenizer, template), "chat")
    assert shown.text.startswith("<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n")
    assert shown.text[slice(*shown.rationale)] == BODY
    assert shown.text[: shown.answer[0]].endswith(line.partition("{answer}")[0])
    answer = shown.text[slice(*shown.answer)]
    assert answer.startswith("18")
    assert len(answer) > 2, "the span ends with a terminator"
    assert shown.answer[1] == len(shown.text)


def test_terminators(tokenizer: Any) -> None:
    def span(line: str, template: str, layout: Any) -> str:
        shown = render("How many?", BODY, line, "18", with_template(tokenizer, template), layout)
        return shown.text[slice(*shown.answer)]

    assert [span(line, CHATML, "chat") for line in LINES] == ["18.", "18\n", "18<|im_end|>"]
    assert [span(line, TRIMMING, "chat") for line in LINES] == [
        "18.", "18<|im_end|>", "18<|im_end|>",
    ]  # fmt: skip
    assert [span(line, CHATML, "plain") for line in LINES] == ["18.", "18\n", "18</s>"]
    assert [span(line, CHATML, "encoder") for line in LINES] == ["18.", "18\n", "18</s>"]


def test_a_template_that_drops_the_rationale_is_refused_by_name(tokenizer: Any) -> None:
    with pytest.raises(ModelError, match=r"chat template of eager drops the rationale: 'First"):
        prove_rationale_shown(with_template(tokenizer, DROPPING), "chat", LINES)


def test_a_template_that_drops_thinking_is_refused_where_there_is_thinking(tokenizer: Any) -> None:
    student = with_template(tokenizer, WITHOUT_THINKING)
    prove_rationale_shown(student, "chat", LINES)
    with pytest.raises(ModelError, match="drops the rationale"):
        render("How many?", f"<think>{BODY}</think> So.", LINES[0], "18", student, "chat")


def test_without_a_rationale_the_line_begins_the_turn(tokenizer: Any) -> None:
    chat = with_template(tokenizer, CHATML)
    assert render("Q", "", LINES[0], "18", chat, "chat").text.endswith(
        "assistant\nThe answer is 18."
    )
    assert (
        render("Q", "", LINES[1], "18", chat, "plain").text == "Question: Q\nAnswer: Answer: 18\n"
    )


def test_encoder_decoder_reads_the_rationale_in_the_source(tokenizer: Any) -> None:
    shown = render("Q", BODY, LINES[0], "18", tokenizer, "encoder")
    assert shown.source == f"Q\n{BODY}"
    assert shown.text == "The answer is 18."
    assert shown.text[slice(*shown.answer)] == "18."


def test_questions_and_answers() -> None:
    assert target_line(" The answer is {answer}.", "U.S.A.") == " The answer is U.S.A."
    assert target_line("\nAnswer: {answer}\n", "U.S.A.") == "\nAnswer: U.S.A.\n"
    assert question_text(" Which? ", ["red", "blue"]) == "Which?\n(A) red\n(B) blue"
    assert question_text("Which?", None) == "Which?"
    for asked in (
        "Which? (A) red (B) blue",
        "Which? Answer choices: (A) red, (B) blue.",
        "Which?\nOptions:\nA) red\nB) blue",
    ):
        assert question_text(asked, ["red", "blue"]) == "Which?\n(A) red\n(B) blue"
    asked = "Which? (A) red (B) blue. Explain."
    assert question_text(asked, ["red", "blue"]) == "Which? Explain.\n(A) red\n(B) blue"
    assert question_text(asked, ["up", "down"]).startswith(asked), "these are others"
    assert answer_text("B", "choice") == "(B)"
    assert answer_text("the Nile", "choice", ["Paris", "the Nile"]) == "(B)"
    assert answer_text("the Nile", "choice") == "the Nile"
    assert answer_text("True", "boolean") == "True"
    assert answer_text("1", "boolean") == "yes"
    assert answer_text("18", "number") == "18"
    assert answer_text("1,450.00 dollars", "number") == "1,450.00 dollars"
    assert answer_text("3/4", "number") == "3/4"
    assert answer_text("( 84.0 / 2.0 )", "number") == "42"


@pytest.mark.parametrize("line", LINES)
def test_spans_hold_every_character_of_the_answer_whatever_was_merged(
    tokenizer: Any, line: str
) -> None:
    shown = render("How many?", BODY, line, "18", tokenizer, "plain")
    target = encode(tokenizer, shown.text, [shown.answer, shown.rationale], begin=True)
    assert target.ids == tuple(tokenizer(shown.text)["input_ids"]), "tokenised whole"
    answer, rationale = target.spans
    assert shown.text[slice(*shown.answer)] in tokenizer.decode(target.ids[slice(*answer)])
    assert BODY in tokenizer.decode(target.ids[slice(*rationale)])
    assert answer[1] == len(target.ids)


def test_the_eager_tokenizer_merges_across_the_border(tokenizer: Any) -> None:
    shown = render("How many?", BODY, LINES[1], "18", tokenizer, "plain")
    pieces = tokenizer.convert_ids_to_tokens(tokenizer(shown.text)["input_ids"])
    assert any("Ċ" in piece and len(piece) > 1 for piece in pieces), "else nothing is tested"


def test_a_line_under_which_the_answer_merges_is_refused_by_name(tokenizer: Any) -> None:
    prove_answer_apart(tokenizer, "plain", [LINES[0]])
    with pytest.raises(ModelError, match="put a word and a space before") as refusal:
        prove_answer_apart(tokenizer, "plain", LINES)
    assert repr(LINES[1]) in str(refusal.value)
    assert "'ĊAnswer:Ġ18Ċ'" in str(refusal.value)


@pytest.mark.models
@pytest.mark.parametrize("ref", ["google/gemma-3-270m", "Qwen/Qwen2.5-Coder-0.5B-Instruct"])
@given(
    rationale=st.text(alphabet="a7 .\n=$,(", max_size=12),
    answer=st.sampled_from(["14", "1,200", "$3.50", "(B)", "yes", "-7/3", "\\frac{1}{2}"]),
    line=st.sampled_from(LINES),
)
def test_real_tokenizers_give_an_answer_the_same_tokens_behind_any_rationale(
    ref: str, rationale: str, answer: str, line: str
) -> None:
    student = real_tokenizer(ref)
    layout = "chat" if student.chat_template else "plain"

    def answer_ids(text: str) -> tuple[int, ...]:
        shown = render("How many?", text, line, answer, student, layout)
        target = encode(student, shown.text, [shown.answer], begin=layout == "plain")
        return target.ids[slice(*target.spans[0])]

    assert answer_ids(rationale) == answer_ids("")


@cache
def real_tokenizer(ref: str) -> Any:
    return load_tokenizer(resolve(ref).path)


def test_a_space_of_its_own_is_not_part_of_the_answer() -> None:
    offsets = [(0, 2), (2, 3), (3, 4), (4, 5), (5, 6)]  # "is", " ", "1", "8", "."
    assert covering(offsets, (3, 6)) == (2, 5)
    assert covering([(0, 2), (2, 5), (5, 6)], (3, 6)) == (1, 3), "' 18' as one token is"
    assert covering([(0, 0), (0, 2)], (0, 2)) == (1, 2), "a token that opens the text is not"
    assert covering(offsets, (0, 0)) == (0, 0)


def test_count_tokens_counts_each_text(tokenizer: Any) -> None:
    assert count_tokens(tokenizer, []) == []
    assert count_tokens(tokenizer, [BODY, ""]) == [len(tokenizer(BODY)["input_ids"]), 0]

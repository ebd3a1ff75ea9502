"""Templates: what they may read, what they show, and how they fail."""

from pathlib import Path

import pytest

from curate.errors import InputError
from curate.sources.templates import (
    PARENT_VARIABLES,
    VARIABLES,
    PromptTemplate,
    TemplateFile,
    load_template,
    parse_template,
    shipped_templates,
)
from filters.answers import GoldType, extract_answer

NUMBER = {
    "question": "A pond has 3 ducks and 4 geese. How many birds?",
    "gold": "7",
    "gold_type": "number",
    "choices": None,
    "domain": None,
}
CHOICE = NUMBER | {"question": "Which floats?", "gold": "B", "gold_type": "choice"}
CHOICE["choices"] = ["an anvil", "a cork"]


PARENT = {"rationale": "It sinks.", "answer": "A", "output": "It sinks. (A)", "problem": None}
POSING = ["complicate", "diversify", "reverse"]
SHOWING = [
    *("format-plain", "format-rephrase", "format-sub-questions", "format-symbolic"),
    *(f"level-{number}" for number in range(1, 7)),
]
"""Those of Key Factors: six levels of granularity, and four formats."""
ANSWERING = [*SHOWING, "cot", "cot-fewshot", "cot-short", "gold-shown", "repair", "rephrase"]
NAMES = sorted([*POSING, *ANSWERING])


def load(name: str) -> PromptTemplate:
    return load_template(name, variables=(*VARIABLES, *PARENT_VARIABLES))


def text_of(name: str, row: dict[str, object]) -> str:
    rendered = load(name).render({**PARENT, **row})
    return rendered.prompt or "\n".join(turn["content"] for turn in rendered.messages or ())


def test_shipped_templates_are_the_documented_ones():
    assert shipped_templates() == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("row", [NUMBER, CHOICE], ids=["number", "choice"])
def test_every_template_shows_the_question_and_its_options(name: str, row: dict[str, object]):
    text = text_of(name, row)
    assert str(row["question"]) in text
    if name != "reverse":  # which is of values, and has no options
        for letter, option in zip("AB", row["choices"] or [], strict=False):
            assert f"({letter}) {option}" in text
    marks = ("Question:", "Answer:") if name in POSING else ("The answer is",)
    assert all(mark in text for mark in marks)


def test_only_gold_shown_shows_the_gold():
    marked = NUMBER | {"gold": "GOLD-4711"}
    shows = {name: "GOLD-4711" in text_of(name, marked) for name in shipped_templates()}
    assert shows == {name: name in {"gold-shown", "reverse", *SHOWING} for name in NAMES}
    assert {n: load(n).gold_shown for n in shows} == shows


def test_a_repair_is_told_what_was_wrong_where_that_is_known():
    told = text_of("repair", {**NUMBER, "problem": "the answer is not the gold"})
    assert "has checked it: the answer is not the gold." in told
    assert "It sinks. (A)" in told
    assert "Something in it may be wrong." in text_of("repair", NUMBER)


@pytest.mark.parametrize("name", ["repair", "rephrase"])
def test_only_a_source_that_goes_on_from_samples_may_read_of_them(name: str):
    with pytest.raises(InputError, match="known of a sample which `use: rewrite` goes on from"):
        load_template(name)


@pytest.mark.parametrize("name", SHOWING)
def test_a_level_is_asked_for_with_a_solution_or_without(name: str) -> None:
    without = load_template(name).render(NUMBER).messages or ()
    assert not any("Here is a solution" in turn["content"] for turn in without)
    with_one = load(name).render({**NUMBER, **PARENT}).messages or ()
    assert "Here is a solution:\n\nIt sinks.\n\nThe known answer is 7." in with_one[-1]["content"]
    assert "Here is a solution:\n\nShe bakes" in with_one[1]["content"], "the example has one too"


def test_what_is_not_asked_for_first_is_refused_still() -> None:
    with pytest.raises(InputError, match="reads 'rationale'; that is known of a sample"):
        parse_template("mine", "{% block user %}{{ question }} {{ rationale }}{% endblock %}")
    guard = "{% if rationale is defined %}{{ rationale }}{% endif %}"
    parse_template("mine", f"{{% block user %}}{{{{ question }}}} {guard}{{% endblock %}}")
    with pytest.raises(InputError, match="reads 'mood'"):
        parse_template("mine", "{% block user %}{{ mood is defined }}{{ mood }}{% endblock %}")


def test_chat_turns_are_system_then_user_and_fewshot_is_plain():
    chat = load_template("cot").render(NUMBER)
    assert [turn["role"] for turn in chat.messages or ()] == ["system", "user"]
    assert chat.prompt is None
    plain = load_template("cot-fewshot").render(NUMBER)
    assert plain.messages is None
    assert (plain.prompt or "").endswith("Reasoning:")
    assert load_template("cot-fewshot").stop == ("\nQuestion:", "\n\n\n")


@pytest.mark.parametrize("gold_type", ["number", "latex", "boolean", "date", "string", "choice"])
def test_worked_examples_are_turns_that_end_with_an_answer_of_the_type(gold_type: GoldType):
    row = (CHOICE if gold_type == "choice" else NUMBER) | {"gold_type": gold_type}
    *turns, last = load_template("cot-short").render(row).messages or ()
    assert [turn["role"] for turn in turns] == ["system", *["user", "assistant"] * 2]
    assert last["role"] == "user"
    assert str(row["question"]) in last["content"]
    for turn in turns[2::2]:
        found = extract_answer(turn["content"], "number" if gold_type == "date" else gold_type)
        assert found
        assert found.form != "line"
        assert turn["content"].endswith((f"{found.answer}.", f"\\boxed{{{found.answer}}}."))


def test_examples_are_told_in_the_order_of_their_numbers_and_may_be_left_out():
    text = "".join(
        f"{{% block {name} %}}{{% if choices or {name[-1] != '2'} %}}{name}{{% endif %}}"
        "{% endblock %}"
        for name in ("user", "assistant_10", "user_10", "assistant_2", "user_2")
    )
    template = parse_template("mine", text)
    with_choices = template.render(CHOICE).messages or ()
    assert [turn["content"] for turn in with_choices] == [
        "user_2", "assistant_2", "user_10", "assistant_10", "user",
    ]  # fmt: skip
    without = template.render(NUMBER).messages or ()
    assert [turn["content"] for turn in without] == ["user_10", "assistant_10", "user"]


@pytest.mark.parametrize(
    ("guarded", "bare"), [("user_1", "assistant_1"), ("assistant_1", "user_1")]
)
def test_half_an_example_is_refused_by_the_question_that_makes_it(guarded: str, bare: str):
    half = f"{{% block {guarded} %}}{{% if choices %}}a{{% endif %}}{{% endblock %}}"
    template = parse_template(
        "mine", f"{half}{{% block {bare} %}}b{{% endblock %}}{{% block user %}}c{{% endblock %}}"
    )
    assert len(template.render(CHOICE).messages or ()) == 3
    with pytest.raises(InputError, match=r"half of worked example 1.*A pond has 3 ducks"):
        template.render(NUMBER)


def test_text_of_a_question_is_never_run_as_a_template():
    row = NUMBER | {"question": "What is {{ gold }} {% if x %} worth?"}
    assert "{{ gold }} {% if x %}" in text_of("cot", row)


def test_a_file_is_named_after_its_stem_and_digest(tmp_path: Path):
    path = tmp_path / "mine.jinja"
    path.write_text("{% block user %}Q: {{ question }}{% endblock %}")
    first = load_template(TemplateFile(file="mine.jinja"), tmp_path)
    assert first.render(NUMBER).messages == (
        {"role": "user", "content": f"Q: {NUMBER['question']}"},
    )
    path.write_text("{% block user %}Question: {{ question }}{% endblock %}")
    second = load_template(TemplateFile(file="mine.jinja"), tmp_path)
    assert first.name.startswith("mine-")
    assert first.name != second.name
    assert first.digest != second.digest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% block user %}{{ qestion }}{% endblock %}", "did you mean 'question'"),
        ("{% block user %}{{ question }", "line 1"),
        ("Just {{ question }}", "blocks []"),
        ("{% block user %}a{% endblock %}{% block prompt %}b{% endblock %}", "prompt"),
        ("{% block user_1 %}a{% endblock %}{% block user %}b{% endblock %}", "assistant_1"),
        ("{% set stop = question %}{% block prompt %}b{% endblock %}", "list of strings"),
        ('{% set stop = ["a", 1] %}{% block prompt %}b{% endblock %}', "list of strings"),
    ],
)
def test_a_wrong_template_is_refused_with_what_is_wrong(text: str, said: str):
    with pytest.raises(InputError) as caught:
        parse_template("mine", text)
    assert said in str(caught.value)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(InputError, match="did you mean 'cot-fewshot'"):
        load_template("cot-fewshots")
    with pytest.raises(InputError, match=r"nowhere\.jinja"):
        load_template(TemplateFile(file="nowhere.jinja"))


def test_a_template_that_fails_on_a_question_says_on_which():
    template = parse_template("mine", "{% block user %}{{ choices[0] }}{% endblock %}")
    with pytest.raises(InputError, match="A pond has 3 ducks"):
        template.render(NUMBER)


def test_templates_cannot_reach_into_python():
    template = parse_template("mine", "{% block user %}{{ question.__class__ }}{% endblock %}")
    with pytest.raises(InputError, match="unsafe"):
        template.render(NUMBER)


def test_levels_grow_in_their_worked_example():
    turns = [load(f"level-{number}").render(NUMBER).messages or () for number in range(1, 7)]
    words = [len(messages[2]["content"].split()) for messages in turns]
    assert all(messages[2]["role"] == "assistant" for messages in turns)
    assert words[2:] == sorted(words[2:])
    assert max(words[:2]) < words[3]
    assert words[-1] > 3 * words[2]

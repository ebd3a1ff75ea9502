"""Typed answers: what is read, what is equal, and where a text states one."""

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.answers import GOLD_TYPES, GoldType, canonical, equal, extract_answer, options_of
from filters.answers.numbers import number_text, parse_number
from filters.answers.options import choices_in

NUMBERS = {
    "18": "18",
    "+18": "18",
    "-7": "-7",
    "\u22127": "-7",
    "- 7": "-7",
    "1,234": "1234",
    "1,234,567.50": "1234567.5",
    "1,00,000": "100000",
    "0.50": "0.5",
    ".5": "0.5",
    "5.": "5",
    "$18": "18",
    "$1,450.00": "1450",
    "-$5": "-5",
    "\u20ac 20": "20",
    "18 dollars": "18",
    "20 km/h": "20",
    "6 m^2": "6",
    "50%": "50",
    "50 percent": "50",
    "12 apples per day": "12",
    "3/4": "0.75",
    "7/3": "7/3",
    "1 1/2": "1.5",
    "1\u00bd": "1.5",
    "6/2": "3",
    "1.2e3": "1200",
    "1.2 x 10^3": "1200",
    "1.2 \\times 10^{-3}": "0.0012",
    "3.5 million": "3500000",
    "-1.8 billion": "-1800000000",
    "\\frac{3}{4}": "0.75",
    "1\\frac{1}{2}": "1.5",
    "$\\dfrac{7}{3}$": "7/3",
    "18\\text{ dollars}": "18",
    "\\$18": "18",
    "1{,}000": "1000",
    "**42**": "42",
    "about 42": "42",
    "( ( 17.0 + 15.0 ) + 2.0 )": "34",
    "( 84.0 / 2.0 )": "42",
    "( 7.0 - ( 3.0 - 13.0 ) )": "17",
    "(16 * 17) * 4": "1088",
    "2 + 3 * 4": "14",
    "7 - 2 - 1": "4",
    "12 / 2 / 3": "2",
    "8 \u00d7 5": "40",
    "12 \u00f7 5": "2.4",
    "-(3 - 5)": "2",
    "14 - 8 = 6": "6",
    "x = 5": "5",
}
NOT_NUMBERS = [
    "",
    "many",
    "10+John's age",
    "25 + x",
    "(2 * x)",
    "7x",
    "(9 + 6",
    "((28 - 13) and (28 - 15))",
    "175, 5",
    "12,34",
    "3:30",
    "1.2.3",
    "5 or 6",
    "1 / 0",
    "( 4.0 / ( 2.0 - 2.0 ) )",
    "3 apples and 4 pears",
    "9" * 300,
    "1e999 * 1e999",
]


@pytest.mark.parametrize(("written", "stored"), NUMBERS.items())
def test_numbers_are_read(written: str, stored: str):
    assert canonical(written, "number") == stored


@pytest.mark.parametrize("written", NOT_NUMBERS)
def test_what_is_no_number_is_not_read(written: str):
    assert canonical(written, "number") is None


@given(st.fractions(max_denominator=10**6))
def test_the_canonical_form_reads_back_exactly(value: Fraction):
    read = parse_number(number_text(value))
    assert read is not None
    assert read.value == value


@given(st.integers(-(10**15), 10**15))
def test_thousands_separators_change_nothing(value: int):
    assert equal(f"{value:,}", str(value), "number") is True


def _tree(depth: int) -> st.SearchStrategy[tuple[str, Fraction | None]]:
    """Draw an expression as text beside its value, None where it divides by zero."""
    leaf = st.integers(0, 999).map(lambda n: (f"{n}.0", Fraction(n)))
    if depth == 0:
        return leaf
    inner = _tree(depth - 1)

    def join(parts: tuple[tuple[str, Fraction | None], str, tuple[str, Fraction | None]]):
        (a, x), op, (b, y) = parts
        if x is None or y is None or (op == "/" and y == 0):
            return f"( {a} {op} {b} )", None
        value = {"+": x + y, "-": x - y, "*": x * y, "/": x / y if y else None}[op]
        return f"( {a} {op} {b} )", value

    return st.one_of(leaf, st.tuples(inner, st.sampled_from("+-*/"), inner).map(join))


@given(_tree(4))
def test_arithmetic_golds_are_evaluated_exactly(drawn: tuple[str, Fraction | None]):
    text, value = drawn
    read = parse_number(text)
    assert (None if read is None else read.value) == value


@pytest.mark.parametrize(
    ("answer", "gold", "same"),
    [
        ("18.0", "18", True),
        ("$18", "18 dollars", True),
        ("50%", "50", True),
        ("50%", "0.5", False),  # a percent sign is a unit
        ("13.33", "13", False),
        ("2.33", "7/3", True),  # no decimal equals 7/3
        ("2.3", "7/3", False),  # one place is too coarse to tell
        ("2.34", "7/3", False),
        ("0.67", "2/3", True),
        ("0.66", "2/3", False),  # cut, not rounded
        ("1/3", "0.33", True),
        ("0.13", "0.125", False),  # 0.125 can be written
        ("4.199999999999999", "4.2", True),  # noise of computer arithmetic
        ("4.19999", "4.2", False),
        ("many", "3", None),
        ("3", "many", None),
    ],
)
def test_numbers_compare(answer: str, gold: str, same: bool | None):
    assert equal(answer, gold, "number") is same


CITIES = ["Paris", "the Nile", "New York", "New York City", "Paris"]


@pytest.mark.parametrize(
    ("written", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(b)", "B"),
        ("B.", "B"),
        ("b)", "B"),
        ("[B]", "B"),
        ("**B**", "B"),
        ("B: the Nile", "B"),
        ("(B) the Nile", "B"),
        ("option B", "B"),
        ("choice (b), the Nile", "B"),
        ("B because the Nile is longer than (A)", "B"),
        ("A", "A"),
        ("A because it is a capital", "A"),
        ("a city in the north", None),
        ("nile", "B"),
        ("The Nile.", "B"),
        ("new york", "C"),
        ("new york city", "D"),
        ("it must be New York City", "D"),
        ("(B) or (C)", None),
        ("either (a) Paris or (c) New York", None),
        ("A and B", None),
        ("(B) New York", None),  # letter and text disagree
        ("(B) Rome", "B"),  # no option's text
        ("(Z) Rome", None),
        ("", None),
    ],
)
def test_options_are_read(written: str, letter: str | None):
    assert canonical(written, "choice", CITIES) == letter


def test_options_of_one_text_are_one_option():
    assert equal("(e) Paris", "Paris", "choice", CITIES) is True
    assert equal("B", "Paris", "choice", CITIES) is False


def test_a_letter_against_a_text_needs_the_options():
    assert equal("B", "the Nile", "choice") is None
    assert equal("the nile", "The Nile.", "choice") is True


@pytest.mark.parametrize("written", ["?", "...", "()", '""', " - "])
def test_punctuation_names_no_option(written: str):
    assert canonical(written, "choice") is None
    assert canonical(written, "choice", CITIES) is None


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("Where? Answer choices: (A) 01/02/2020, (B) 02/01/2020.", ("01/02/2020", "02/01/2020")),
        ("Why? A: it rains, B: it snows, C: neither", ("it rains", "it snows", "neither")),
        ("Which?\nA) one\nB) two, or more\nC) three", ("one", "two, or more", "three")),
        ("Which?\n(a) one\n(b) two", ("one", "two")),
        ("Is A. Smith taller than (B) Jones?", ()),
        ("How many apples are left?", ()),
    ],
)
def test_options_inside_a_question(question: str, options: tuple[str, ...]):
    assert choices_in(question) == options
    assert options_of(None, question) == options
    assert options_of(["x", "y"], question) == ("x", "y")


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("04/21/2021", "2021-04-21"),
        ("4/1/2021", "2021-04-01"),
        ("April 21, 2021", "2021-04-21"),
        ("Apr 21st 2021", "2021-04-21"),
        ("the 21st of April, 2021", "2021-04-21"),
        ("2021-04-21", "2021-04-21"),
        ("31/12/1986", "1986-12-31"),  # can only be day first
        ("02/30/2021", None),
        ("04/21/21", "2021-04-21"),
        ("04/21/87", "1987-04-21"),
        ("2021年4月21日", "2021-04-21"),
        ("04/21/2021 or 04/22/2021", None),
        ("tomorrow", None),
    ],
)
def test_dates_are_read(written: str, stored: str | None):
    assert canonical(written, "date") == stored


def test_booleans_strings_and_latex():
    assert [canonical(t, "boolean") for t in ("Yes.", "TRUE", "no, never", "0", "maybe")] == [
        "true",
        "true",
        "false",
        "false",
        None,
    ]
    assert equal('"YAJC".', "yajc", "string") is True
    assert equal("d a n y", "dany", "string") is True
    assert equal("dan y", "dany", "string") is False
    assert equal("$\\dfrac{1}{2}$.", "\\frac{1}{2}", "latex") is True
    assert equal("0.5", "\\frac{1}{2}", "latex") is True
    assert equal("\\frac{1}{\\sqrt{2}}", "\\frac{\\sqrt{2}}{2}", "latex") is None
    assert canonical("  ", "string") is None


EXTRACTED: list[tuple[GoldType, str, str | None, str | None]] = [
    ("number", "3 + 4 = 7.\n#### 7", "7", "hashes"),
    ("number", "So it is \\boxed{18}.", "18", "boxed"),
    ("number", "The answer is 5. Or \\boxed{\\frac{1}{2}}", "\\frac{1}{2}", "boxed"),
    ("number", "the answer is 70. Wait, #### 72", "72", "hashes"),
    ("number", "5 * 2 = 10\nA: 10", "10", "a_line"),
    (
        "number",
        "Therefore, the final answer is: **1,250** dollars.",
        "1,250 dollars",
        "answer_is",
    ),
    ("number", "The answer is 14 - 8 = 6", "14 - 8 = 6", "answer_is"),
    ("number", "The answer is 13 is incorrect, the correct answer is 68.", "68", "answer_is"),
    ("number", "The answer is 18 dollars, 2 for each of the 9 ducks.", "18 dollars", "answer_is"),
    ("number", "The answer is that each of the 3 gets 5", "5", "answer_is"),
    ("number", "The answer is <answer>16</answer>", "16", "tag"),
    ("number", "Answer:\n\n42", "42", "answer_is"),
    ("number", "Now she has 5 apples left.", "5", "last_number"),
    ("number", "She has 5 apples.\nLet me know if you need 2 more!", "5", "last_number"),
    ("number", "She has 5. The answer is (x + 5).", None, None),
    ("number", "4 * 60 = 240. The answer is not consistent.", None, None),
    ("number", "The answer is (9 + 6", None, None),
    ("number", "No idea.", None, None),
    ("choice", "So the answer is (c) New York.", "(c) New York", "answer_is"),
    ("choice", "So the answer is either (a) Paris or (b) the Nile.", None, None),
    ("choice", "The correct choice is B", "B", "answer_is"),
    ("choice", "The best answer among those given is B.", "B", "answer_is"),
    ("choice", "That is in Egypt, which matches choice (B).", "(B)", "last_option"),
    ("choice", "Only the Nile is a river.", "(B)", "last_option"),
    ("choice", "A: Paris is in France\nB: the Nile is long\nHard to say.", None, None),
    ("boolean", "Hamsters are prey. So the answer is yes.", "yes", "answer_is"),
    ("boolean", "It is too heavy.\nTherefore, no.", "no", "last_boolean"),
    ("boolean", "There is no way to know.", None, None),
    ("date", "Therefore the date is May 1, 2021.", "May 1, 2021", "last_date"),
    ("date", "Answer: 05/01/2021", "05/01/2021", "answer_is"),
    ("string", 'Concatenating the letters, we get "yajc".', "yajc", "last_words"),
    ("string", "Putting them together gives us AEMN.", "AEMN", "last_words"),
    ("string", "The letters together are ADEY.", "ADEY", "last_words"),
    ("string", "n + h + r + o = nhro", "nhro", "last_words"),
    ("string", 'Therefore, the final result is "dany".', "dany", "answer_is"),
    ("string", "One two three four five six.", None, None),
    ("latex", "Hence the answer is $\\frac{\\pi}{2}$.", "\\frac{\\pi}{2}", "answer_is"),
    ("latex", "So $a = 1$ and \\(b = 2\\).", "a = 1, b = 2", "last_math"),
]


@pytest.mark.parametrize(("gold_type", "text", "answer", "form"), EXTRACTED)
def test_extraction(gold_type: GoldType, text: str, answer: str | None, form: str | None):
    found = extract_answer(text, gold_type, CITIES if gold_type == "choice" else None)
    assert (found and found.answer, found and found.form) == (answer, form)


def test_named_strings_switch_every_other_form_off():
    text = "The answer is 5.\nA: 6"
    found = extract_answer(text, "number", after=("The answer is",))
    assert found is not None
    assert (found.answer, found.form, found.start) == ("5", "after", 0)
    assert extract_answer("So 5 apples.", "number", after=("\nA:",)) is None
    assert extract_answer("A: 5", "number", after=("\nA:",)) is not None
    assert extract_answer("1 + 1\nA: 10+John's age", "number", after=("\nA:",)) is None


def test_the_clause_begins_with_its_lead_in():
    text = "3 + 4 = 7. Therefore, the final answer is 7."
    found = extract_answer(text, "number")
    assert found is not None
    assert text[: found.start].rstrip() == "3 + 4 = 7."
    assert text[found.start : found.end].lstrip().startswith("Therefore")


@given(st.text(max_size=300), st.sampled_from(GOLD_TYPES))
def test_anything_may_be_asked(text: str, gold_type: GoldType):
    found = extract_answer(text, gold_type, ["one", "two"])
    if found:
        assert 0 <= found.start <= len(text)
        assert found.start <= found.end <= len(text)
        assert found.answer.strip()
        assert canonical(found.answer, gold_type, ["one", "two"]) is not None


FRAGMENTS = [
    "(", ")", "{", "}", "1", "9,", "1,234", ".", "-", "+", "x", "/", "=", " ", "\n", "\\boxed{",
    "####", "A:", "the answer is ", "answer", "correct ", "and ", "\\frac{", "$", '"', "'", "(A)",
    "A: ", "or (B)", "April ", "21, ", "2021", "because ", "*", "\u00bd", "million", "\\(", "\\[",
]  # fmt: skip


@given(
    st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=4),
    st.integers(1000, 20_000),
    st.sampled_from(GOLD_TYPES),
)
def test_no_text_makes_extraction_slow(parts: list[str], length: int, gold_type: GoldType):
    """Processor time, a hundred times the usual: a pattern that backtracks takes more."""
    unit = "".join(parts)
    text = unit * (length // len(unit))
    begun = time.process_time()
    found = extract_answer(text, gold_type, ["one", "two"])
    canonical(text, gold_type, ["one", "two"])
    options_of(None, text)
    assert found is None or len(found.answer) <= 1000
    assert time.process_time() - begun < 2

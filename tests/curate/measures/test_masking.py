"""Which words of a rationale are its own final value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.measures.masking import mask_value, states_value
from filters.answers import GoldType

CHOICES = ("a warm coat", "an umbrella", "sun cream")


@pytest.mark.parametrize(
    ("text", "value", "masked"),
    [
        ("3 * 6 = 18 pens.", "18", "3 * 6 = _ pens."),
        ("18 of 118 cost $18.00, not 18.5 or 1.18.", "18", "_ of 118 cost $_, not 18.5 or 1.18."),
        ("3*6 = <<3*6=18>>18", "18", "3*6 = <<3*6=_>>_"),
        ("It is 1,800 or 1800.0.", "1800", "It is _ or _."),
        ("Losing 5 leaves -5.", "-5", "Losing _ leaves -_."),
        ("36 / 18 = 2, or 36/18.", "18", "36 / _ = 2, or 36/_."),
        ("36 / 18 = 2.", "2", "36 / 18 = _."),
        ("3/4 is 0.75 and 6 / 8.", "3/4", "_ is _ and _."),
        ("Twenty-five and 25 and five.", "25", "_ and _ and five."),
        ("Half of 50% is 25%.", "50", "Half of _% is 25%."),
        ("9/0 stays.", "9", "_/0 stays."),
        (r"1{,}800 or 1\,800, not 1{,}8000.", "1800", r"_ or _, not 1{,}8000."),
        ("\\frac{3}{4}, \\frac34, \u00be or 3/4.", "0.75", "_, _, _ or _."),
        (r"\frac{36}{2} = 18 is a step.", "18", r"\frac{36}{2} = _ is a step."),
        ("3 1/2 or 3\u00bd, and 7/2.", "3.5", "_ or _, and _."),
        ("Two thousand and five, 2005, two and five.", "2005", "_, _, two and five."),
        ("Two and three, one two.", "2", "_ and three, one _."),
        ("A dozen, twelve, 1.2e1.", "12", "_, _, _."),
    ],
)
def test_numbers(text: str, value: str, masked: str) -> None:
    assert mask_value(text, value, "number", (), "_") == masked


@pytest.mark.parametrize(
    ("text", "value", "kind", "masked"),
    [
        ("An umbrella (B) beats A) and a plan.", "B", "choice", "_ (_) beats A) and a plan."),
        ("So option B, the Umbrella or an  umbrella.", "B", "choice",
         "So option _, the Umbrella or _."),
        ("A dog is there.", "A", "choice", "A dog is there."),
        ("Yes, it is true: nobody says yes.", "yes", "boolean", "_, it is _: nobody says _."),
        ("n, y, s give nys; nysa does not.", "nys", "string", "n, y, s give _; nysa does not."),
        ("So 04/20/2021 it is.", "04/20/2021", "date", "So _ it is."),
        (r"We get \frac{1}{2}.", r"\frac{1}{2}", "latex", "We get _."),
    ],
)  # fmt: skip
def test_other_types(text: str, value: str, kind: GoldType, masked: str) -> None:
    assert mask_value(text, value, kind, CHOICES, "_") == masked


def test_without_an_answer_the_last_value_is_taken() -> None:
    assert mask_value("3 + 4 = 7. Then 7 * 2 = 14.", None, "number", (), "_").endswith("= _.")
    assert mask_value("No value here", None, "string", (), "_") == "No value here"


def test_the_gold_is_not_masked_in_a_wrong_rationale() -> None:
    wrong = "There are 18 pens, and 18 - 4 = 14 are left."
    assert (
        mask_value(wrong, "14", "number", (), "_") == "There are 18 pens, and 18 - 4 = _ are left."
    )


@pytest.mark.parametrize(
    ("text", "states"), [("so 18 pens", True), ("so 118 pens", False), ("eighteen pens", True)]
)
def test_states_value(text: str, *, states: bool) -> None:
    assert states_value(text, "18", "number", ()) is states


@given(
    parts=st.lists(st.integers(-999, 999).map(str) | st.sampled_from(["=", "+", "so", "$"]),
                   min_size=1, max_size=20),
    value=st.integers(-999, 999),
)  # fmt: skip
def test_what_is_masked_is_no_longer_stated_and_the_rest_stays(
    parts: list[str], value: int
) -> None:
    text = " ".join(parts)
    masked = mask_value(text, str(value), "number", (), "___")
    assert not states_value(masked, str(value), "number", ())
    others = [p for p in parts if p.lstrip("-") != str(abs(value))]
    assert [p for p in masked.split() if "___" not in p] == others

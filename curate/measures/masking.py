"""Hide a rationale's own final value, so that following it differs from copying from it.

The *own* value is masked, in right and wrong rationales alike. Masking the gold would leave a
wrong rationale whole and so tell the student which one is wrong.
"""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final

from filters.answers import GoldType, canonical, last_value
from filters.answers.numbers import parse_number
from filters.answers.words import SMALL, TENS

_NUMERAL = re.compile(
    r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:\s*/\s*\d+(?!\w|\.\d))?|(?<![\w.])\.\d+"
)
_COUNT: Final = "|".join((*SMALL, *TENS, "hundred", "thousand", "million", "billion", "dozen"))
_DRESSED = re.compile(
    r"\\[dt]?frac\s?(?:\{\d{1,18}\}|\d)\s?(?:\{\d{1,18}\}|\d)"  # \frac{3}{4}
    r"|(?<![\w.])\d{1,3}(?:(?:\{,\}|,?\\[,!;:]|[\u00a0\u2009\u202f])\d{3}){1,6}(?!\d)(?:\.\d{1,18})?"
    r"|(?<![\w.])(?:\d{1,18}\s?)?[\u00bc-\u00be\u2150-\u215e]"  # 3½
    r"|(?<![\w./])\d{1,18}\s\d{1,18}/\d{1,18}(?![\d.]?\d)"  # 3 1/2
    r"|(?<![\w.])\d(?:\.\d{1,18})?(?:e[-+]?\d{1,3}(?!\w)"  # 1.2e3
    r"|\s?(?:\\times|\\cdot|[*\u00d7])\s?10\s?\^\s?\{?-?\d{1,3}\}?)"
    rf"|\b(?:an?\s+)?(?:{_COUNT})(?:[\s-]+(?:and\s+)?(?:{_COUNT})){{0,12}}\b",
    re.IGNORECASE,
)
"""Numbers in more than digits: as LaTeX, with other separators, powers of ten, in words."""
_TRUTHS: Final = {"true": ("true", "yes"), "false": ("false", "no")}


def mask_value(
    rationale: str, answer: str | None, gold_type: GoldType, choices: Sequence[str], mask: str
) -> str:
    r"""Replace every mention of a rationale's own final value.

    Args:
        rationale: with its final clause stripped.
        answer: what the sample answered, None where no answer was found; the last value of the
            rationale is then taken for it.
        gold_type: decides what a mention is. Numbers: any numeral of that magnitude (``18``,
            ``$18.00``; ``3/4``, ``\frac{3}{4}`` and ``0.75``) and its words; choices: the letter
            as a letter, and the option's text; other types: the words themselves.
        choices: texts of the options in order.
        mask: what to put there.

    Returns:
        The text, unchanged where there is no value to mask.
    """
    value = answer or last_value(rationale, gold_type, choices)
    if not value or not value.strip():
        return rationale
    for pattern, hide in _mentions(value.strip(), gold_type, choices, mask):
        rationale = pattern.sub(hide, rationale)
    return rationale


def states_value(
    rationale: str, value: str | None, gold_type: GoldType, choices: Sequence[str]
) -> bool:
    """Tell whether a rationale mentions a value, as `mask_value` would find it."""
    probe = "\x00"
    return bool(value) and probe in mask_value(rationale, value, gold_type, choices, probe)


def _mentions(
    value: str, gold_type: GoldType, choices: Sequence[str], mask: str
) -> list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]]:
    """List what to look for, and what each find becomes."""

    def always(match: re.Match[str]) -> str:  # noqa: ARG001 - what re.sub calls
        return mask

    if gold_type == "number":
        number = parse_number(value)
        if number is not None:
            return _number_mentions(number.value, mask)
    if gold_type == "choice":
        letter = canonical(value, "choice", choices) or value
        texts = [value] if len(value) > 1 else []
        patterns: list[re.Pattern[str]] = []
        if len(letter) == 1:
            patterns.append(_letter(letter))
            index = ord(letter.upper()) - ord("A")
            texts += [choices[index]] if 0 <= index < len(choices) else []
        patterns += [_words(text) for text in texts if text.strip()]
        return [(pattern, always) for pattern in patterns]
    if gold_type == "boolean":
        truth = canonical(value, "boolean")
        return [(_words(word), always) for word in _TRUTHS.get(truth or "", (value,))]
    mentions = [(_words(value), always)]
    if gold_type == "latex":
        number = parse_number(value)
        mentions += _number_mentions(number.value, mask) if number else []
    return mentions


def _number_mentions(
    value: Fraction, mask: str
) -> list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]]:
    """Look for numerals of one magnitude, and for those in other dress."""
    magnitude = abs(value)

    def hide(match: re.Match[str]) -> str:
        upper, _, lower = match[0].replace(",", "").replace(" ", "").partition("/")
        # "36 / 18 = 2" is a step towards 2, not a mention of it; 3/4 is how 3/4 is written.
        fraction = magnitude.denominator > 1 and bool(lower.strip("0"))
        if fraction and Fraction(upper) / int(lower) == magnitude:
            return mask
        parts = re.split(r"(\s*/\s*)", match[0])
        return "".join(_hide_plain(part, magnitude, mask) for part in parts)

    def undress(match: re.Match[str]) -> str:
        number = parse_number(match[0])
        step = "frac" in match[0] and magnitude.denominator == 1
        return mask if number and abs(number.value) == magnitude and not step else match[0]

    patterns: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]]
    patterns = [(_DRESSED, undress), (_NUMERAL, hide)]
    word = _number_word(magnitude)  # "one two", which counts, is no number of more than one word
    return [*patterns, (_words(word), lambda _: mask)] if word else patterns


def _hide_plain(text: str, magnitude: Fraction, mask: str) -> str:
    numeral = text.replace(",", "")
    plain = re.fullmatch(r"\d+(?:\.\d+)?|\.\d+", numeral)
    return mask if plain and Fraction(numeral) == magnitude else text


def _number_word(value: Fraction) -> str | None:
    """Write 0 to 99 as a word."""
    if value.denominator != 1 or not 0 <= value < 100:
        return None
    whole = int(value)
    if whole < 20:
        return SMALL[whole]
    tens, ones = divmod(whole, 10)
    return TENS[tens - 2] + (f"-{SMALL[ones]}" if ones else "")


def _letter(letter: str) -> re.Pattern[str]:
    """Find an option's letter where it stands as one: ``(B)``, ``B)``, ``B.``, ``option B``."""
    upper, lower = letter.upper(), letter.lower()
    return re.compile(
        rf"(?<=\()[{upper}{lower}](?=\))|(?<![\w']){upper}(?=[).:](?:\s|$))"
        rf"|(?<=option ){upper}\b|(?<=choice ){upper}\b|(?<=answer ){upper}\b"
        rf"|(?<=Option ){upper}\b|(?<=Choice ){upper}\b"
    )


def _words(text: str) -> re.Pattern[str]:
    """Find a text as whole words, whatever its case and spacing."""
    body = r"[\s-]+".join(re.escape(part) for part in re.split(r"[\s-]+", text.strip()) if part)
    return re.compile(rf"(?<!\w){body}(?!\w)", re.IGNORECASE)

"""Units: letters that may stand on a number, and how many parts a unit has."""

import re
from typing import Final

_WORD = re.compile(r"[A-Za-z]+")
_LETTERS: Final = frozenset("mgshlLtdWVAJNCFcp")
_SHORT: Final = frozenset(
    (
        "mm", "cm", "dm", "km", "cms", "kms", "in", "ft", "yd", "mi", "sq", "cu",
        "mg", "kg", "gms", "kgs", "lb", "lbs", "oz", "ml", "cl", "dl", "cc", "gal", "qt", "pt",
        "ns", "ms", "sec", "min", "hr", "hrs", "wk", "wks", "yr", "yrs", "am", "pm",
        "mph", "kph", "kmh", "rpm", "hz", "khz", "mhz", "ghz", "bps", "kb", "mb", "gb", "tb",
        "kw", "mw", "wh", "kwh", "kv", "kj", "cal", "pa", "kpa", "atm", "mol", "ppm", "deg", "rad",
        "pct", "usd", "eur", "gbp", "rs", "pcs", "pts", "st", "nd", "rd", "th", "rds", "ths",
    )
)  # fmt: skip
_PARTS: Final = {
    ("year", "month"): 12,
    ("week", "day"): 7,
    ("day", "hour"): 24,
    ("hour", "minute"): 60,
    ("hr", "min"): 60,
    ("h", "min"): 60,
    ("minute", "second"): 60,
    ("foot", "inch"): 12,
    ("yard", "foot"): 3,
    ("pound", "ounce"): 16,
    ("dollar", "cent"): 100,
    ("euro", "cent"): 100,
    ("pound", "penny"): 100,
    ("meter", "centimeter"): 100,
    ("metre", "centimetre"): 100,
    ("kilometer", "meter"): 1000,
    ("kilometre", "metre"): 1000,
    ("kilogram", "gram"): 1000,
    ("liter", "milliliter"): 1000,
    ("litre", "millilitre"): 1000,
}
_SINGULAR: Final = {"feet": "foot", "inches": "inch", "pence": "penny", "pennies": "penny"}


def is_unit(word: str) -> bool:
    """Tell whether letters written onto a number can be a unit; of ``5abc``, ``10a`` they can't."""
    if len(word) == 1:
        return word in _LETTERS
    return len(word) > 3 or word.lower() in _SHORT


def unit_at(text: str, at: int) -> bool:
    """Tell whether what is written onto a number that ends there is a unit, or no letter at all."""
    word = _WORD.match(text, at)
    return word is None or is_unit(word[0])


def parts_in(unit: str, part: str) -> int | None:
    """Give how many of a smaller unit make a larger one; None where that is not known."""
    return _PARTS.get((_singular(unit), _singular(part)))


def _singular(unit: str) -> str:
    lower = unit.lower()
    return _SINGULAR.get(lower) or (lower[:-1] if lower.endswith("s") and len(lower) > 2 else lower)

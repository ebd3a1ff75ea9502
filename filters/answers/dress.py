"""What is written around an answer and is not part of it: emphasis, tags, LaTeX's text commands."""

import re
from typing import Final

_TAG = re.compile(
    r"</?(?:a|answer|b|br|center|code|div|em|final_answer|h[1-6]|i|li|mark|p|pre|span|strong|u|ul|ol)"
    r"(?:\s[^<>]{0,200})?/?>",
    re.IGNORECASE,
)
_STRONG = re.compile(r"(?<![\w)])\*\*|\*\*(?![\d(])|__|`+")
"""Not the power of ``2**3``."""
_EMPHASIS = re.compile(r"(?<![\w*])\*(?![\s*])([^*\n]{0,200}[^\s*])\*(?![\w*])")
_UNDERLINED = re.compile(r"(?<![\w\\}])_(?![\s_{])([^_\n]{0,200}[^\s_])_(?!\w)")
WORDED: Final = "text|textrm|textbf|textit|textnormal|mathrm|rm|mbox|hbox|operatorname"
r"""LaTeX's commands, without ``\``, whose content is words: a unit, a name, "and"."""
_TEXT_COMMAND = re.compile(
    rf"\\(?:{WORDED}|textsf|texttt|emph|mathbf|mathit|mathsf|mathtt|mathbb|boldsymbol|bm|underline"
    r"|boxed|fbox|displaylines)\*?\s*\{([^{}]*)\}"
)
_NESTED = 4
_ZERO_WIDTH = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_FULL_WIDTH = {ord(sign) + 0xFEE0: sign for sign in "():;,.%$+-=/[]"}
_BULLET = re.compile(r"(?:[-+*\u2022\u2023\u25cf\u25e6]|\(?\d{1,2}[.)])[ \t]+(?=\S)")
_DELIMITERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))


def undress(text: str) -> str:
    r"""Take off what is dress and no content.

    HTML tags, Markdown emphasis and code marks, LaTeX's text and font commands (their content
    stays), characters without width, and white space at both ends.
    """
    if not text.isascii():
        text = _ZERO_WIDTH.sub("", text).translate(_FULL_WIDTH)
    if "<" in text:
        text = _TAG.sub("", text).strip() or text  # "<B>" alone is an option
    if "**" in text or "__" in text or "`" in text:
        text = _STRONG.sub("", text)
    if "*" in text:
        text = _EMPHASIS.sub(r"\1", text)
    if "_" in text:
        text = _UNDERLINED.sub(r"\1", text)
    if '\\"' in text:
        text = text.replace('\\"', '"')
    text = unwrap_text(text).strip("* \t\r\n")
    if text.endswith(">"):  # "<the answer is 24>", "<B>"
        text = text.removeprefix("<").rstrip("> ")
    return text


def unwrap_text(text: str) -> str:
    r"""Give the content of ``\text{...}``, ``\mathrm{...}`` and the like in their place."""
    for _ in range(_NESTED):
        if "\\" not in text:
            break
        plain = _TEXT_COMMAND.sub(r"\1", text)
        if plain == text:
            break
        text = plain
    return text


def after_bullet(text: str, at: int) -> int:
    """Step over a list's bullet or number, where one begins a line there."""
    match = _BULLET.match(text, at)
    return match.end() if match else at


def strip_math(text: str) -> str:
    """Take the math delimiters off a text that is one formula."""
    for opening, closing in _DELIMITERS:
        inner = text[len(opening) : len(text) - len(closing)]
        if (
            len(text) > len(opening) + len(closing)
            and text.startswith(opening)
            and text.endswith(closing)
            and opening not in inner.replace("\\$", "")
        ):
            return inner.strip()
    return text

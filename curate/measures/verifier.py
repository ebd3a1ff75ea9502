"""The process that compares LaTeX: a file run by itself, which imports nothing of the project.

So it starts in the time that math-verify takes to load, and never imports the caller's script.
"""

import contextlib
import importlib
import logging
import re
import resource
import signal
import sys
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import Any, Final, Literal, cast

Outcome = Literal["equal", "different", "unparseable", "gold_unparseable", "too_large", "time_out"]

MAX_LENGTH: Final = 400
"""Characters of an answer or gold; more is ``too_large`` without being looked at."""
MAX_MEMORY: Final = 3 << 30
"""Bytes of address space a worker may use; more is ``too_large``."""

_PERCENT = re.compile(r"\\?%")
_DIGITS = re.compile(r"\d{30,}")
_COMMAND = re.compile(
    r"\\(?:text|mathrm|textrm|mbox|begin|end)\s*\{[^{}]*\}|\\[A-Za-z]+|[A-Za-z]{2,}"
)
_VARIABLE = re.compile(r"[A-Za-z]")
_CONSTANTS: Final = frozenset("ei")


def serve(pipe: "Connection[Any, Any]", seconds: int) -> None:
    """Answer pairs until the parent closes its end; runs in a worker process.

    Args:
        pipe: to the parent, which kills a process that is late.
        seconds: after which a pair ends the process whose parent was killed itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to the parent too
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    logging.disable(logging.CRITICAL)
    importlib.import_module("math_verify")
    pipe.send("loaded")
    # After a MemoryError the process ends: what is left of it may not have room for the next pair.
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt, MemoryError):
        while True:
            signal.alarm(0)
            gold, answer = pipe.recv()
            signal.alarm(seconds)  # of which the kernel ends it, in C code too
            pipe.send(verify_pair(gold, answer))


def verify_pair(gold: str, answer: str) -> Outcome:
    """Compare two LaTeX texts in this process, with limits on size and none on time.

    Args:
        gold: without or within math delimiters.
        answer: the same.

    Raises:
        MemoryError: they take more than this process may have.
    """
    from math_verify import verify

    if any(len(text) > MAX_LENGTH or _DIGITS.search(text) for text in (gold, answer)):
        return "too_large"
    try:
        golds = list(_known(gold))
        if not golds:
            return "gold_unparseable"
        answers = _expressions(answer)
        if not answers:
            return "unparseable"
        same = verify(golds, answers, timeout_seconds=None) and _one_alphabet(gold, answer)
        return "equal" if same and _exactly(golds[0], answers[0]) else "different"
    except (RecursionError, OverflowError):
        return "too_large"


@lru_cache(maxsize=4096)
def _known(gold: str) -> list[Any]:
    """Parse a gold once for all its answers."""
    return _expressions(gold)


def _expressions(text: str) -> list[Any]:
    """Parse a formula into math-verify's list: an expression and its text."""
    from math_verify import LatexExtractionConfig, parse

    bare = _PERCENT.sub("", text.strip()).strip()
    for opening, closing in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        if bare.startswith(opening) and bare.endswith(closing):
            bare = bare[len(opening) : len(bare) - len(closing)]
    expressions = cast(
        "list[Any]",
        parse(
            f"${bare}$",
            extraction_config=[LatexExtractionConfig()],
            fallback_mode="no_fallback",
            parsing_timeout=cast("int", None),
        ),
    )
    return [_imaginary(expression) for expression in expressions]


def _imaginary(expression: Any) -> Any:
    """Make the imaginary unit of a symbol ``i``, which math-verify keeps as a variable."""
    sympy: Any = importlib.import_module("sympy")
    if not isinstance(expression, sympy.Basic):
        return expression
    units = [symbol for symbol in expression.free_symbols if symbol.name == "i"]
    return expression.subs(dict.fromkeys(units, sympy.I)) if units else expression


def _one_alphabet(gold: str, answer: str) -> bool:
    r"""Deny equality to formulas in other variables: math-verify takes ``r^2 h`` for hours."""
    if "=" in gold + answer:
        return True
    letters = [set(_VARIABLE.findall(_COMMAND.sub(" ", text))) for text in (gold, answer)]
    return not (letters[0] ^ letters[1]) - _CONSTANTS


def _exactly(gold: Any, answer: Any) -> bool:
    """Deny equality to two exact numbers that differ by less than math-verify's rounding."""
    sympy: Any = importlib.import_module("sympy")
    for side in (gold, answer):
        if not isinstance(side, sympy.Basic) or side.free_symbols or side.has(sympy.Float):
            return True
    try:
        gap = sympy.simplify(gold.doit() - answer.doit())
    except (TypeError, AttributeError, NotImplementedError):
        return True
    return not isinstance(gap, sympy.Rational) or bool(gap == 0)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), int(sys.argv[2]))

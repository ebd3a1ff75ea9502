"""Canonical equations: what a rationale computes, whatever words it uses.

A recursive-descent parser over `filters.lexemes`, because the equations stand inside prose: units
("40 cakes - 8 cakes = 32 cakes"), words for operators ("290 divided by 2", "subtracting 8 from 40")
and sentences without any. What it cannot read it skips; it never fails.

Two texts agree in an equation when they agree in operands, operators and result: ``3 + 4 = 7`` and
"the sum of 4 and 3" both read ``3+4=7``; ``16 - (3 + 4)`` reads ``16-3-4=9``.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from filters.lexemes import Kind, Token, lex

MARK: Final = re.compile(r"<<([^<>]*)>>")
"""GSM8K's calculator mark, ``<<16-3=13>>``, before the result it stands for."""
ROUNDING: Final = Fraction(1, 100)
"""Relative difference up to which a stated result is a rounding of the true one."""

UNIT_WORDS: Final = 6
"""Words a unit may have: "4 pieces of junk mail per house"."""
SUBJECT_WORDS: Final = 8
"""Words between a verb and its operand: "subtract the number of cakes he sold (8) from"."""
RESULT_WORDS: Final = 3
"""Words between what states a result and the result: "equals a total of 32"."""
LARGEST_EXPONENT: Final = 64
MOST_BITS: Final = 1000
"""Of a numerator or denominator: what is larger is no step that a rationale takes."""
MOST_TERMS: Final = 200
"""Operands of one sum or product."""
DEEPEST: Final = 24
"""Brackets within each other."""
_LINKERS: Final = {
    "+": frozenset({"and", "to", "with"}),
    "from": frozenset({"from"}),
    "-": frozenset({"and"}),
    "*": frozenset({"by", "and", "with"}),
    "/": frozenset({"by", "and", "into"}),
}
_NO_UNIT: Final = frozenset(
    {"and", "or", "so", "then", "if", "but", "because", "since", "therefore", "thus", "while"}
    | {"when", "from", "to", "with", "by", "has", "have", "had", "was", "were"}
    | {"he", "she", "they", "we", "it", "i", "you"}
)

_STARTS: Final = frozenset({"number", "open", "verb"})


class Equation(NamedTuple):
    """One computation of a rationale.

    Attributes:
        left: canonical operands and operators, ``16-3-4``.
        result: canonical number: as stated where the text gets it wrong, else as computed.
    """

    left: str
    result: str

    def __str__(self) -> str:
        return f"{self.left}={self.result}"


def equations(text: str) -> frozenset[Equation]:
    """Read the equations of a text.

    Args:
        text: a rationale. Where it carries calculator marks, they alone are read: their author
            wrote them for a machine.

    Returns:
        The set of canonical equations, empty where nothing parses.
    """
    marks: list[str] = MARK.findall(text)
    return frozenset(
        equation for source in marks or [text] for equation in _Parser(lex(source)).run()
    )


def canonical_number(value: Fraction) -> str:
    """Write a whole number in full and any other to six significant digits."""
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.6g}"


class _Node(NamedTuple):
    """A canonical expression: a number, a sum, a product or a power.

    Attributes:
        value: what it comes to.
        op: ``+``, ``*``, ``^``, or empty for a number.
        parts: operands, nested sums and products flattened, each with 1 (added, above the line)
            or -1 (subtracted, below the line).
        loose: false where only unspaced ``-`` and ``/`` join the operands: a range or a fraction
            unless a result is stated.
    """

    value: Fraction
    op: str = ""
    parts: tuple[tuple[int, "_Node"], ...] = ()
    loose: bool = False

    def text(self, outer: str = "") -> str:
        """Write it without spaces, commuting operands in order of value."""
        if not self.op:
            return canonical_number(self.value)
        if self.op == "^":
            body = "^".join(node.text("^") for _, node in self.parts)
        else:
            ordered = sorted((node.value, node.text(self.op), side) for side, node in self.parts)
            above = self.op.join(text for _, text, side in ordered if side > 0)
            inverse = "-" if self.op == "+" else "/"
            body = above + "".join(inverse + text for _, text, side in ordered if side < 0)
        return f"({body})" if outer and (outer, self.op) != ("+", "*") else body


def _join(op: str, left: _Node, right: _Node, *, tight: bool) -> _Node | None:
    """Apply an operator; None where it has no value, or one that nobody computes by hand."""
    node = _joined(op, left, right, tight=tight)
    if node is None or _bits(node.value) > MOST_BITS or len(node.parts) > MOST_TERMS:
        return None
    return node


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _joined(op: str, left: _Node, right: _Node, *, tight: bool) -> _Node | None:
    loose = left.loose or right.loose or not (tight and op in "-/")
    if op == "^":
        exponent = right.value
        if exponent.denominator != 1 or abs(exponent) > LARGEST_EXPONENT:
            return None
        if left.value == 0 and exponent < 0:
            return None
        if _bits(left.value) * abs(exponent) > 2 * MOST_BITS:
            return None
        value = left.value ** int(exponent)
        return _Node(value, op, ((1, left), (1, right)), loose)
    if op == "/" and right.value == 0:
        return None
    side = -1 if op in "-/" else 1
    family = "+" if op in "+-" else "*"
    value = {
        "+": lambda: left.value + right.value,
        "-": lambda: left.value - right.value,
        "*": lambda: left.value * right.value,
        "/": lambda: left.value / right.value,
    }[op]()
    parts = [(sign, node) for sign, node in _parts(left, family)]
    parts += [(side * sign, node) for sign, node in _parts(right, family)]
    return _Node(value, family, tuple(parts), loose)


def _parts(node: _Node, family: str) -> tuple[tuple[int, _Node], ...]:
    """Open a nested sum inside a sum, a nested product inside a product."""
    return node.parts if node.op == family else ((1, node),)


class _Parser:
    """Reads equations from tokens, left to right, each parse method moving `at` behind its find."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0

    def run(self) -> Iterator[Equation]:
        """Yield every equation; a chain ``a+b = c*d = e`` yields two."""
        while self.at < len(self.tokens):
            if self.tokens[self.at].kind not in _STARTS:
                self.at += 1
                continue
            start = self.at
            node = self._verb() if self._is("verb") else self._sum()
            if node is None or not node.op:
                self.at = max(start + 1, self.at if node else 0)
                continue
            stated = self._result(node)
            if stated is not None or node.loose:
                yield Equation(node.text(), canonical_number(_settle(node.value, stated)))

    def _peek(self, ahead: int = 0) -> Token | None:
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else None

    def _is(self, kind: Kind, *texts: str, ahead: int = 0) -> bool:
        token = self._peek(ahead)
        return token is not None and token.kind == kind and (not texts or token.text in texts)

    def _sum(self) -> _Node | None:
        return self._chain("+-", self._product)

    def _product(self) -> _Node | None:
        """Read a product, or a fraction of something: "3/4 of the 20"."""
        left = self._chain("*/", self._power)
        if left and left.op and not left.loose and (whole := self._whole()):
            return _join("*", left, whole, tight=False)
        return left

    def _power(self) -> _Node | None:
        return self._chain("^", self._operand)

    def _chain(self, ops: str, operand: Callable[[], _Node | None]) -> _Node | None:
        """Read ``operand (op operand)*``; an operator without a right side is left standing."""
        left = operand()
        while left is not None and self._is("op", *ops):
            before, op = self.at, self.tokens[self.at]
            self.at += 1
            right = operand()
            joined = right and _join(op.text, left, right, tight=op.tight)
            if joined is None:
                self.at = before
                break
            left = joined
        return left

    def _operand(self) -> _Node | None:
        """Read a number with its unit, a bracket, or a share of something ("20% of 50")."""
        if self._is("open"):
            self.at += 1
            self.depth += 1
            inner = self._sum() if self.depth <= DEEPEST else None
            self.depth -= 1
            if inner is None or not self._is("close"):
                return None
            self.at += 1
            self._unit()
            return inner
        token = self._peek()
        if token is None or token.kind != "number":
            return None
        self.at += 1
        number = _Node(token.value)
        if token.share and (whole := self._whole()):
            return _join("*", number, whole, tight=False)
        self._unit()
        return number

    def _whole(self) -> _Node | None:
        """Read what a share is of, if it says so at once: "of 50", "of the 50", "twice 8"."""
        before = self.at
        self._words(2, {"of", "the"})
        if (self._is("number") or self._is("open")) and (whole := self._operand()):
            return whole
        self.at = before
        return None

    def _unit(self) -> None:
        """Skip the words of a unit where an operator, a result or a bracket's end follows them."""
        before = self.at
        self._words(UNIT_WORDS)
        if not (self._is("op") or self._is("equals") or self._is("close") or self._is("comma")):
            self.at = before

    def _words(self, most: int, only: set[str] | None = None) -> None:
        """Skip words that may stand inside a unit."""
        for _ in range(most):
            token = self._peek()
            if token is None or token.kind != "word" or token.text in _NO_UNIT:
                return
            if only is not None and token.text not in only:
                return
            self.at += 1

    def _result(self, node: _Node) -> Fraction | None:
        """Read the stated result behind an expression, leaving `at` on the result."""
        before = self.at
        self._words(UNIT_WORDS)
        if self._is("comma"):
            self.at += 1
        if self._is("equals"):
            self.at += 1
            self._words(RESULT_WORDS)
            start = self.at
            first = self._peek()
            if first and first.kind == "number" and (whole := self._sum()):
                self.at = start
                return node.value if node.value == whole.value else first.value
        self.at = before
        return None

    def _verb(self) -> _Node | None:
        """Read a verb that comes before its operands: "subtract 8 from 40", "sum of 3 and 4"."""
        verb = self.tokens[self.at].text
        self.at += 1
        left = self._subject()
        if left is None or not self._link(verb) or (right := self._subject()) is None:
            return None
        if verb == "from":
            return _join("-", right, left, tight=False)
        joined = _join(verb, left, right, tight=False)
        while joined and verb in "+*" and self._link(verb) and (more := self._subject()):
            joined = _join(verb, joined, more, tight=False)
        return joined

    def _subject(self) -> _Node | None:
        """Read a verb's operand, behind at most `SUBJECT_WORDS` words; expressions are refused."""
        self._words(SUBJECT_WORDS)
        bracketed = self._is("open") and self._is("close", ahead=2)
        self.at += bracketed
        token = self._peek()
        if token is None or token.kind != "number":
            return None
        self.at += 1 + bracketed
        before = self.at
        self._words(UNIT_WORDS)
        if self._is("op"):
            return None
        self.at = before
        return _Node(token.value)

    def _link(self, verb: str) -> bool:
        """Move behind the word that joins a verb's operands."""
        before = self.at
        for _ in range(SUBJECT_WORDS):
            token = self._peek()
            if token is None or token.kind not in {"word", "comma"}:
                break
            self.at += 1
            if token.text in _LINKERS[verb] or (token.kind == "comma" and self._is("number")):
                return True
        self.at = before
        return False


def _settle(computed: Fraction, stated: Fraction | None) -> Fraction:
    """Prefer the computed value where the stated one is a rounding of it."""
    if stated is None or abs(stated - computed) <= ROUNDING * abs(computed):
        return computed
    return stated

"""What teachers state, in the many dresses in which they do: which answers are right, which not.

Every row goes the ordinary way: parsed, compared, by math-verify too where nothing else can tell,
and judged.
"""

from typing import Final, NamedTuple

import polars as pl
import pytest

from curate.measures.parse import Parse
from curate.measures.verify import Verify
from filters.answers import GOLD_TYPES, GoldType
from filters.answers.extract import FORMS
from filters.correctness import Correctness

METALS: Final = ["iron", "copper", "native gold", "tin"]


class Stated(NamedTuple):
    """A completion, and the answers that it does or does not state.

    Attributes:
        kind: what is special.
        gold_type: of the question.
        text: of the completion.
        right: golds that it must be held to state.
        wrong: golds that it must not.
        form: how the answer was found.
    """

    kind: str
    gold_type: GoldType
    text: str
    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    form: str = ""


def number(
    kind: str, text: str, *right: str, wrong: tuple[str, ...] = (), form: str = ""
) -> Stated:
    return Stated(kind, "number", text, right, wrong, form)


def latex(kind: str, text: str, *right: str, wrong: tuple[str, ...] = (), form: str = "") -> Stated:
    return Stated(kind, "latex", text, right, wrong, form)


def choice(
    kind: str, text: str, *right: str, wrong: tuple[str, ...] = (), form: str = ""
) -> Stated:
    return Stated(kind, "choice", text, right, wrong, form)


def other(
    gold_type: GoldType, text: str, *right: str, wrong: tuple[str, ...] = (), form: str = ""
) -> Stated:
    return Stated("words", gold_type, text, right, wrong, form)


NUMBERS: Final = [
    # A value and its unit inside emphasis.
    number("emphasis", "7 crates of 12. The answer is **84 jars**.", "84", form="answer_is"),
    number("emphasis", "So the fare is 3 * 9.\n\n**Answer: $27 per trip**", "27"),
    number("emphasis", "**Final answer:** *31 seats*", "31"),
    number("emphasis", "__Answer__: `56`", "56"),
    number("emphasis", "Final Answer: <strong>140 km</strong>", "140"),
    number("emphasis", "The answer is **$45$ euros**.", "45"),
    number("emphasis", "He feeds **14 seals** a day, out of 40 animals.", "14", wrong=("40",)),
    # The whole of what is stated is the answer.
    number("a piece", r"The diagonal is \boxed{\sqrt{19}}.", wrong=("19",)),
    number("a piece", r"The circumference is \boxed{6\pi}.", wrong=("6",)),
    number("a piece", r"\boxed{\binom{9}{4}}", wrong=("4", "9")),
    number("a piece", r"The roots are \boxed{2, 9}.", wrong=("2", "9")),
    number("a piece", r"We get \boxed{11y}.", wrong=("11",)),
    number("a piece", r"\boxed{n \geq 12}", wrong=("12",)),
    number("a piece", "The answer is 30 or 31.", wrong=("30", "31")),
    number("a piece", "The answer is between 4 and 6.", wrong=("4", "6")),
    number("a piece", "The answer is 8:45.", wrong=("8", "45")),
    number("a piece", "The answer is plainly not 12.", wrong=("12",)),
    number("a piece", "The sum cannot be 12.", wrong=("12",)),
    number("a piece", "The odds are \\boxed{3:8}.", wrong=("3", "8")),
    number("a piece", "The answer is \u00b19.", wrong=("9", "-9")),
    number("a piece", "So the curve is y^2 + 14.", wrong=("14",)),
    number("a piece", "The side is $\\sqrt{23}$.", wrong=("23",)),
    number("a piece", "Hence $t=\\frac{3+\\sqrt{7}}{4}$.", wrong=("4", "7")),
    number("an aside", "Therefore, the answer is 64, not 63.", "64", wrong=("63",)),
    number("an aside", "The answer is 12 out of 25.", "12", wrong=("25",)),
    number("an aside", "The answer is 9 because 3 * 3 = 9 and 8 is too small.", "9", wrong=("8",)),
    # Signs, powers, roots, fractions, words.
    number("signs", "The answer is negative 40.", "-40", wrong=("40",)),
    number("signs", "The answer is minus 2.5 degrees.", "-2.5", wrong=("2.5",)),
    number("signs", "The gradient is -\u00be.", "-0.75", wrong=("0.75", "3")),
    number("fractions", "She walked for 3\u00bc hours.", "3.25", wrong=("0.25",)),
    number("fractions", "The answer is two thirds.", "2/3"),
    number("fractions", r"Answer: $4\frac{1}{8}$", "4.125"),
    number("powers", "The answer is $3^{4}$.", "81", wrong=("3", "4")),
    number("powers", "The answer is 7\u00b2.", "49", wrong=("7",)),
    number("powers", "The answer is 7**2.", "49", wrong=("7", "72")),
    number("emphasis", "The answer is **72** or so.", "72"),
    number("powers", "The answer is 5 \u00d7 10\u207b\u00b2.", "0.05"),
    number("powers", "The answer is 3.1 x 10^4 metres.", "31000"),
    number("powers", "There are \\boxed{4!} orders.", "24", wrong=("4",)),
    number("roots", r"The side is \boxed{\sqrt{144}}.", "12"),
    number("words", "The answer is twelve.", "12"),
    number("words", "The answer is thirty-five boats.", "35"),
    number("words", "The answer is two hundred and six.", "206"),
    number("words", "The answer is a dozen.", "12"),
    # Degrees, moduli, thousands, magnitudes, units.
    number("units", r"The angle is \boxed{75^{\circ}}.", "75"),
    number("units", r"The angle is \boxed{135^\circ}.", "135"),
    number("units", r"\boxed{5 \pmod{11}}", "5", wrong=("11",)),
    number("units", "The answer is 60 kg\u00b7m/s.", "60"),
    number("units", "The answer is 9.8 m/s^2.", "9.8"),
    number("units", "The answer is 45 m\u00b2.", "45"),
    number("units", "The answer is 250\u20ac.", "250"),
    number("units", "The answer is 35% of the class.", "35", wrong=("0.35",)),
    number("units", "The answer is 2 hours and 15 minutes.", "2.25", wrong=("2", "15")),
    number("units", "The answer is 7 dollars and 5 cents.", "7.05", wrong=("7", "5")),
    number("thousands", r"The answer is $23,\!750$.", "23750", wrong=("750",)),
    number("thousands", "The answer is $18 {, }204$.", "18204", wrong=("204",)),
    number("thousands", "The answer is 31,\u200b415.", "31415", wrong=("415",)),
    number("thousands", "The answer is 2 500 000.", "2500000", wrong=("0", "500")),
    number("thousands", "The answer is 4'200.", "4200"),
    number("magnitudes", "The answer is 12k.", "12000", wrong=("12",)),
    number("magnitudes", "The answer is $2.5M.", "2500000", wrong=("2.5",)),
    number("magnitudes", "The answer is 4bn.", "4000000000", wrong=("4",)),
    number("magnitudes", "The answer is 3 lakh.", "300000", wrong=("3",)),
    number("magnitudes", "The answer is 5 dozen rolls.", "60", wrong=("5",)),
    number("on the hour", "They have to leave at the latest at 3:00 pm. Answer: 3:00 pm", "3"),
    # Forms.
    number("tags", "<think>\nFour nines.\n</think>\n<answer>\n36\n</answer>", "36", form="tag"),
    number("tags", "4 * 9 = 36. <answer>It is \\boxed{36}</answer>", "36", form="boxed"),
    number("JSON", '```json\n{"reasoning": "8 * 8", "answer": 64}\n```', "64", form="json"),
    number("JSON", '{"final_answer": "64 tiles", "confidence": 0.7}', "64", wrong=("0.7",)),
    number("JSON", '{"answer": {"red": 3, "blue": 4}}', wrong=("3", "4")),
    number("bullets", "The answer is:\n\n- 52", "52", wrong=("-52",)),
    number("bullets", "The answer is:\n\n1. 52", "52", wrong=("1",)),
    number("headings", "### Answer\n\n73", "73"),
    number("displayed", "Adding up, we have\n\\[\n88\n\\]", "88"),
    number("displayed", "The answer is\n$$\n88.\n$$", "88"),
    number("bare box", "We are left with \\boxed 61", "61"),
    number("Chinese", "\u4e00\u5171\u662f15\u4e2a\u3002\u7b54\u6848\u662f15\u3002", "15"),
    number("Chinese", "\u7b54\u6848\uff1a15\u4e2a\u82f9\u679c", "15"),
    number("Japanese", "\u7b54\u3048\u306f15\u3067\u3059\u3002", "15"),
    number("Korean", "\uc815\ub2f5: 15", "15"),
    number("end tokens", "The answer is 29.<|im_end|>", "29"),
    number("end tokens", "#### 29<|eot_id|>", "29", form="hashes"),
    number("end tokens", "The answer is 29.<\uff5cend\u2581of\u2581sentence\uff5c>", "29"),
    number("end tokens", "The answer is 29.</s>", "29"),
    number("run-on", "The answer is 29.\n\nHuman: And 3 * 4?\nAssistant: The answer is 12.", "29",
           wrong=("12",)),
    number("corrected", "The answer is 8.\n\nWait, 5 + 4 = 9, not 8.\n\nSo it should be 9.", "9",
           wrong=("8",), form="corrected"),
    number("several boxes", r"There are \boxed{3} cats and \boxed{4} dogs.", wrong=("3", "4")),
    number("several boxes", r"First \boxed{3}. Then, all in all, \boxed{7}.", "7", wrong=("3",)),
    # Parts, multiples, bounds and algebra around a number are part of what is stated.
    number("a part", "The walk takes 3 and a half hours. The answer is 3 and a half.", "3.5",
           wrong=("3",)),
    number("a part", "So it weighs 8 and a quarter kilos.", "8.25", wrong=("8",)),
    number("a multiple", "The answer is twice 9.", wrong=("9",)),
    number("a multiple", "The answer is half of 30.", wrong=("30",)),
    number("a multiple", "So the area is 12 pi.", wrong=("12",)),
    number("a multiple", r"The area is 12\pi", wrong=("12",)),
    number("a multiple", r"\boxed{12 pi}", wrong=("12",)),
    number("a multiple", "The answer is 6 squared.", wrong=("6",)),
    number("magnitudes", "So they sold 3 million tickets.", "3000000", wrong=("3",)),
    number("magnitudes", "In the end she bakes 4 dozen.", "48", wrong=("4",)),
    number("magnitudes", "So the plant makes 7 thousand nails a day.", "7000", wrong=("7",)),
    number("bounds", "The answer is at least 11.", wrong=("11",)),
    number("bounds", "The answer is > 11.", wrong=("11",)),
    number("bounds", "The answer is y != 11.", wrong=("11",)),
    number("bounds", "So we get 11 < y.", wrong=("11",)),
    number("algebra", "So we get 11 + x.", wrong=("11",)),
    number("algebra", "So we get 11 x.", wrong=("11",)),
    number("algebra", '{"steps": "y is unknown", "answer": "y - 8"}', wrong=("8",)),
    number("algebra", "<answer>y - 8</answer>", wrong=("8",)),
    number("algebra", '{"answer": "5 + sqrt(31)"}', wrong=("31", "5")),
    number("alternatives", "The answer is y or 0.", wrong=("0",)),
    number("alternatives", "The answer is seven and nine.", wrong=("7", "9")),
    number("letters", r"\boxed{6abc}", wrong=("6",)),
    number("letters", "6abc", wrong=("6",)),
    number("letters", "The answer is 6kg.", "6"),
    number("letters", "The answer is 6pounds.", "6"),
    number("dates", "So she leaves on 2023-04-09.", wrong=("9", "4")),
    # What was cut off in the middle states nothing.
    number("cut off", "So we get 6 + 8 = 14 +", wrong=("14",)),
    number("cut off", "We try 6 + 8 = 14. That does not add up to", wrong=("14",)),
    number("cut off", "The average of 6 and 8 is", wrong=("8",)),
    # A JSON value without quotes is read to its end.
    number("JSON", '{"steps": "add",\n "answer": 120 + 45 + 5\n}', "170", wrong=("120",)),
    number("JSON", '{"answer": 25 * 4}', "100", wrong=("25",)),
    number("JSON", '{"answer": 1,250}', "1250", wrong=("1",)),
    number("JSON", '{"answer": (10 + 5) / 60 * 100 + "%"}', wrong=("10", "25")),
    # What is later called final or correct in words supersedes what was marked before.
    number("superseded", '{"steps": "...", "answer": "64"}\n\nThat forgets a day. '
           "Thus, the final answer is 72 pages.", "72", wrong=("64",), form="answer_is"),
    number("superseded", r"Interest: $\boxed{35}$. Altogether 400 + 35 = 435. "
           "Final Answer: The final answer is $435$. I hope it is correct.", "435",
           wrong=("35",)),
    number("superseded", '{"answer": "$90"}\n\nThe correct answer, based on these steps, is $95.',
           "95", wrong=("90",)),
    number("superseded", r"\boxed{35} The final answer is that 4 trips cost 35 dollars.", "35",
           wrong=("4",), form="boxed"),
    number("superseded", r"\boxed{35}. This is the right answer to the question.", "35"),
    number("thousands", r"The answer is $\boxed{14,\! 250,\! 000}$.", "14250000", wrong=("14",)),
    number("thousands", r"14,\! 250,\! 000", "14250000", wrong=("0",)),
    # Scripts that leave no space between words and numbers.
    number("Chinese", "\u6240\u4ee5\u4ed6\u5171\u6709126\u9897\u7cd6\u3002", "126"),
    number("Chinese", "60\u516c\u65a4 + 66\u516c\u65a4 = 126\u516c\u65a4", "126",
           wrong=("66",)),
    number("Chinese", "\u6bd4\u4f8b\u4e3a5/9", "5/9", wrong=("9", "5")),
]  # fmt: skip

FORMULAS: Final = [
    latex("matrices", r"\boxed{\begin{bmatrix} 2 & 0 \\ 1 & 5 \end{bmatrix}}",
          r"\begin{pmatrix} 2 & 0 \\ 1 & 5 \end{pmatrix}",
          wrong=(r"\begin{pmatrix} 2 & 1 \\ 0 & 5 \end{pmatrix}",)),
    latex("units", "We count 14 in all. The answer is 14", r"14\text{ ducks}", "14"),
    latex("units", r"\boxed{16\pi}", r"16\pi \text{ square feet}", r"16\pi", wrong=("16",)),
    latex("units", r"\boxed{62 percent}", r"62\%"),
    latex("mixed", r"The answer is $\frac{7}{2}$.", "3 1/2", r"3\frac{1}{2}", wrong=("31/2",)),
    latex("Unicode", "The answer is 5\u221a2.", r"5\sqrt{2}", wrong=("5", "2")),
    latex("Unicode", "The answer is x\u00b2 \u2212 4x + 1.", "x^2-4x+1"),
    latex("Unicode", "The answer is \u2154.", r"\frac{2}{3}"),
    latex("Unicode", "The answer is 45\u00b0.", r"45^\circ", "45"),
    latex("Unicode", "The answer is 3\u03c0.", r"3\pi"),
    latex("plain functions", "The answer is 6*sqrt(5).", r"6\sqrt{5}"),
    latex("closing words", "Both sides give b = 27. The larger of them is 27.", "27"),
    latex("closing words", "The remainder of $M$ by 100 is found to be 44.", "44", wrong=("100",)),
    latex("closing words", "Final answer: The least $k$ is 12.", "12"),
    latex("closing words", "512", "512"),
    latex("bare formula", r"\frac{x+1}{x-2}", r"\frac{x+1}{x-2}"),
    latex("bare formula", r"6\pi", r"6\pi", wrong=("6",)),
    latex("displayed", "Therefore\n\\[\n\\frac{5}{7}\n\\]", r"\frac{5}{7}"),
    latex("several boxes", r"The roots are \boxed{4} and \boxed{-6}.", "4,-6", "-6, 4",
          wrong=("4", "-6")),
    latex("lists", r"$\boxed{(2, -3)}$", "(2,-3)", wrong=("(-3,2)", "2,-3,1")),
    latex("lists", r"The answer is $\{1, 3\}$.", r"\{3,1\}", wrong=(r"\{1,2\}",)),
    latex("lists", r"The answer is $x = 2, y = 5$.", "x=2,y=5"),
    latex("eaten backslashes", "The answer is \x0crac{2}{9}", r"\frac{2}{9}"),
    latex("eaten backslashes", "The answer is \x08inom{7}{3}", r"\binom{7}{3}"),
    latex("eaten backslashes", "The answer is 4 \times 5", "20", r"4 \times 5"),
    latex("assignments", r"The answer is \boxed{9}.", "9=t", "t=9", r"t \approx 9"),
    latex("assignments", r"The answer is \boxed{f(x) = 3x - 1}.", "y=3x-1", "3x-1"),
    latex("equations", r"The answer is $0$.", "0", wrong=("a+2b=0", "x^2-1=0")),
    latex("equations", r"Now $\sin^2 t + \cos^2 t = 1$.", wrong=("1",)),
    latex("equations", r"The answer is $\cos t = \frac{2}{3}$.", r"\cos t = \frac{2}{3}",
          wrong=(r"\sin t = \frac{2}{3}",)),
    latex("intervals", r"The answer is $x \geq 4$.", r"[4,\infty)", "x >= 4",
          wrong=(r"(4,\infty)", "4")),
    latex("intervals", r"The answer is $-1 < x \leq 6$.", "(-1,6]", wrong=("[-1,6]", "(-1,6)")),
    latex("other variables", r"\boxed{\pi r^2}", r"\pi r^2", wrong=(r"\pi r^2 h",)),
    latex("words", r"\boxed{\text{odd}}", "odd", r"\text{Odd}", wrong=("even",)),
    latex("words", r"\boxed{\text{5:15 p.m.}}", r"\text{5:15 p.m.}"),
    latex("sentence", '{"answer": "This is a hard problem that I can not solve from here."}',
          wrong=("0",)),
    latex("special", r"It is \(\boxed{\dfrac{3}{8}}\).<|endoftext|>", r"\frac38", "3/8", "0.375"),
    latex("algebra", r"The answer is $(x-1)(x+1)$.", "x^2-1", wrong=("x^2+1",)),
    latex("algebra", r"The answer is $\frac{1}{\sqrt{3}}$.", r"\frac{\sqrt{3}}{3}"),
    latex("factors", r"The answer is $\boxed{6}$.", wrong=("6a", "6abc", "6t", r"6\pi")),
    latex("factors", r"The answer is $\boxed{6b}$.", "6b", wrong=("6a", "6")),
    latex("factors", r"\boxed{8a^3}", "8a^{3}", wrong=("8a^2", "8")),
    latex("factors", r"\boxed{6 cm}", r"6\text{ cm}", "6", wrong=(r"7\text{ cm}",)),
    latex("factors", "So the area is 12 pi.", wrong=("12",)),
    latex("complex", r"\boxed{3i-2}", "-2+3i", "(-2+3i)", wrong=("2+3i", "-2-3i")),
    latex("complex", r"\boxed{i(3-i)}", "1+3i", wrong=("3i",)),
    latex("complex", r"\boxed{i^2}", "-1", wrong=("1",)),
    latex("bases", r"\boxed{1101_{2}}", "1101_2", wrong=("1101_3", r"1101^\circ")),
    latex("repeated", r"\boxed{2, 2}", "2, 2", wrong=("2",)),
    latex("halves of the day", r"\boxed{7\text{ p.m.}}", r"7\text{ pm}",
          wrong=(r"7\text{ a.m.}",)),
    latex("several formulas", "So the zeros are $-1$, $4$ and $6$.", "-1, 4, 6", wrong=("6",)),
    latex("several formulas", "So either $y = 3$ or $y = 8$.", "3, 8", wrong=("8",)),
    latex("several formulas", r"The answer is 0, \frac{\pi}{5}, 2 \pi.",
          r"0, \frac{\pi}{5}, 2\pi", wrong=("0",)),
    latex("several formulas", r"\boxed{a = 2, b = 9 \text{ and } a = 4, b = 1}", "a=2,b=9;a=4,b=1",
          wrong=("a=2,b=9", "a=2,b=1")),
    latex("units", r"\boxed{62 pct}", r"62\%"),
    latex("qualified", "The answer is all even $m$.", wrong=("m",)),
    latex("qualified", "The answer is even $m$.", "even $m$", wrong=("m", "odd $m$")),
    latex("words", r"\boxed{\text{neither}}", r"\text{neither}", wrong=(r"\text{odd}",)),
    latex("upright", r"\boxed{2 - \frac{3}{\mathrm{e}}}", r"2-\frac{3}{e}", wrong=("2",)),
    latex("programs", r"\boxed{7**(1/3)}", r"\sqrt[3]{7}", wrong=("7/3",)),
    latex("programs", "The answer is x**3 - 2.", "x^3-2", wrong=("3x-2",)),
    latex("programs", '{"answer": "sqrt((5 + sqrt(13))/2)"}',
          r"\sqrt{\frac{5+\sqrt{13}}{2}}", wrong=(r"\sqrt{13}",)),
    latex("programs", "The answer is sqrt(3 + 2*sqrt(2)).", r"1+\sqrt{2}", wrong=("3",)),
    latex("degrees", r"\boxed{\cos 60^\circ}", r"\frac{1}{2}", wrong=("60", r"\frac{\sqrt{3}}{2}")),
    latex("currency", r"So it costs $\$9 + \$4 = \$13$.", "13", r"\$13", wrong=("9", "4")),
    latex("cut off", "The length is 6 + 2 * sqrt(5) = 6 +", wrong=("6",)),
    latex("Chinese", "\u6bd4\u4f8b\u4e3a5/9", r"\frac{5}{9}", wrong=("5",)),
]  # fmt: skip

CHOICES: Final = [
    choice("alone", "B", "B"),
    choice("alone", "It rusts, so it is not iron.\n\n**C**", "C"),
    choice("alone", "$D$", "D"),
    choice("alone", r"\boxed{\text{C}}", "C", form="boxed"),
    choice("alone", r"\boxed{\mathbf{A}}", "A"),
    choice("alone", r"The answer is \boxed{\mathrm{B}}.", "B"),
    choice("alone", "The answer is `D`.", "D"),
    choice("alone", "Answer: \\(C\\)", "C"),
    choice("alone", "Answer: $C$", "C"),
    choice("alone", "the answer is <B>", "B"),
    choice("tags", "<think>\nNone rusts.\n</think>\n<answer>\nC\n</answer>", "C", form="tag"),
    choice("JSON", '{"reasoning": "it does not rust", "answer": "C"}', "C", form="json"),
    choice("named", "Therefore, option C.", "C"),
    choice("named", "Therefore, option C is correct.", "C", wrong=("A",), form="is_answer"),
    choice("named", "It is neither A nor B, so C is the answer.", "C", wrong=("A", "B")),
    choice("named", "So I choose D.", "D"),
    choice("named", "I think it's D.", "D"),
    choice("named", "The answer is definitely C, it can't be A or D", "C", wrong=("A", "D")),
    choice("bullets", "The correct answer is:\n\n- C", "C"),
    choice("headings", "### Answer\nC", "C"),
    choice("Chinese", "\u7b54\u6848\u662f\uff08C\uff09", "C"),
    choice("Chinese", "\u6545\u9009\uff1aC", "C"),
    choice("by text", "The answer is native gold.", "C"),
    choice("end tokens", "The answer is (C).<|im_end|>", "C"),
    choice("first", "D. It can't be A or B.", "D", wrong=("A", "B"), form="first_option"),
    choice("first", "B. copper. Because iron can't stay bright.", "B", wrong=("A",)),
    choice("first", "B\u3002 \u4e0d\u662f A", "B", wrong=("A",)),
    choice("first", "A. Iron rusts.\nB. Copper turns green.\nSo it's C.", "C", wrong=("A",)),
    choice("first", "A. is wrong, since iron rusts. So I choose C.", "C", wrong=("A",)),
]

WORDS: Final = [
    other("string", "I recall it. The answer is Oslo because it is by the sea.", "Oslo"),
    other("string", "The answer is Oslo (Norway).", "Oslo"),
    other("string", "The answer is Not known.", "Not known"),
    other("string", "The answer is U.S. Army.", "U.S. Army"),
    other("string", "The answer is Dr. Moreau.", "Dr. Moreau"),
    other("string", "The answer is J. R. R. Tolkien.", "J. R. R. Tolkien"),
    other("string", r"\boxed{\text{Oslo}}", "Oslo"),
    other("string", r"\boxed{\textbf{Oslo}}", "Oslo"),
    other("string", "<answer>Buenos Aires</answer>", "Buenos Aires", form="tag"),
    other("string", '{"answer": "Oslo"}', "Oslo", form="json"),
    other("string", "\u7b54\u6848\uff1a\u4e1c\u4eac", "\u4e1c\u4eac"),
    other("string", "The answer is Oslo.<|im_end|>", "Oslo", wrong=("Bergen",)),
    other("boolean", "Answer: T", "true", "yes", wrong=("no",)),
    other("boolean", "Answer: 0", "false", "no"),
    other("boolean", r"\boxed{\text{No}}", "no", "False", wrong=("yes",)),
    other("boolean", "The answer is (A) Yes", "yes"),
    other("boolean", '{"answer": false}', "no"),
    other("boolean", "<answer>yes</answer>", "True"),
    other("date", "The answer is 03/09/19.", "03/09/2019", wrong=("09/03/2019",)),
    other("date", "The answer is **2019\u5e743\u67089\u65e5**", "03/09/2019"),
    other("date", "The answer is March 9th, 2019.", "03/09/2019", "2019-03-09"),
    other("string", "Quito", "Quito"),
    other("string", "Mary Ann Evans", "Mary Ann Evans", wrong=("Evans",)),
    other("string", "She was born there.\n\nNew Delhi, India.", wrong=("India",)),
    other("string", "She was born there.\n\nSouth New Delhi", "South New Delhi"),
    other("string", "I do not know.", wrong=("know",)),
    other("string", "The answer is the heron.", "heron", "The heron", wrong=("eagle",)),
]

STATED: Final = [*NUMBERS, *FORMULAS, *CHOICES, *WORDS]
PAIRS: Final = [
    (at, gold, right)
    for at, stated in enumerate(STATED)
    for golds, right in ((stated.right, True), (stated.wrong, False))
    for gold in golds
]


@pytest.fixture(scope="module")
def judged() -> pl.DataFrame:
    """Parse, verify and judge every completion against each of its golds."""
    rows = [STATED[at] for at, _, _ in PAIRS]
    frame = pl.DataFrame(
        {
            "raw_output": [row.text for row in rows],
            "gold": [gold for _, gold, _ in PAIRS],
            "gold_type": [row.gold_type for row in rows],
            "choices": [METALS if row.gold_type == "choice" else None for row in rows],
        },
        schema_overrides={"choices": pl.List(pl.String)},
    ).with_columns(
        pl.lit(value=None, dtype=pl.String).alias("reasoning_field"),
        finish_reason=pl.lit("stop"),
        source=pl.lit("pool"),
        question=pl.lit("Which?"),
    )
    frame = frame.hstack(Parse().derive(frame))
    verify = Verify()
    try:
        items = {item.key: item for item in verify.items(frame)}
        outcomes = dict(verify.compute(items.values()))
        frame = frame.hstack(verify.assemble(frame, outcomes, {}))
    finally:
        verify.close()
    return frame.hstack(Correctness().judge(frame).select("keep", "reason"))


def test_every_answer_is_held_to_be_what_it_is(judged: pl.DataFrame) -> None:
    mistakes = [
        (STATED[at].kind, STATED[at].text[-70:], gold, row["answer"], row["reason"])
        for (at, gold, right), row in zip(PAIRS, judged.iter_rows(named=True), strict=True)
        if (row["keep"] is True) != right
    ]
    assert mistakes == []


def test_the_form_is_named(judged: pl.DataFrame) -> None:
    forms = dict(zip((at for at, _, _ in PAIRS), judged["answer_form"], strict=True))
    assert {at: forms[at] for at, row in enumerate(STATED) if row.form} == {
        at: row.form for at, row in enumerate(STATED) if row.form
    }
    assert set(judged["answer_form"].drop_nulls()) >= set(FORMS) - {
        "after", "a_line", "last_option", "last_boolean", "last_date", "last_words",
    }  # fmt: skip


def test_every_type_is_among_them() -> None:
    assert {row.gold_type for row in STATED} == set(GOLD_TYPES)

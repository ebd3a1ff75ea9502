"""Cues: the words in which a text takes its answer back, or shows that it was given one.

None of them says anything alone; `filters.admissions` says what else it takes. Every pattern is
linear: what may repeat within one is bounded.
"""

import re
from typing import Final

_APOSTROPHE: Final = r"['\u2019]"
CITED: Final = re.compile(
    r"\b(?:given|provided|supplied|stated)\s+(?:final\s+|correct\s+)?answer"
    rf"(?!s\b|{_APOSTROPHE}|\s+(?:choice|option|format|to(?!\s+be)|from|by)s?\b"
    r"|\s+of\s+(?![$\d])|\s+is\s+(?:in|an|the)\b)"
    r"|\bthe\s+(?:(?:correct|final|exact)\s+)?answer\s+"
    r"(?:(?:is|was|that\s+is|that\s+was)\s+)?(?:already\s+)?"
    r"(?:given|(?<!final\sanswer\s)provided)"
    r"(?=\s+(?:as\s+)?[-$(\"']{0,2}(?:\d|[A-H]\b)|\s+(?:is|was)\b|\s*[,.;:)]|\s*$)"
    r"|\banswer\s+key\b"
    r"|\b(?:according\s+to|as\s+per|per)\s+the\s+answer\b(?!\s+(?:choice|option|to|from|of|in)s?\b)",
    re.IGNORECASE,
)
OWN: Final = re.compile(
    r"\b(?:json|format|original|initial|previous|earlier|my|response)\b", re.IGNORECASE
)
INTRUDING: Final = re.compile(
    r"\b(?:but|however|yet|although|though|wait|since|because|given\s+that|no|actually)\b"
    r"[\s,.!\u2026]{1,4}(?:since\s+|because\s+|as\s+)?(?:that\s+)?"
    r"(?:(?:the\s+)?(?:question|problem|book|key)\s+says\s+(?:that\s+)?)?(?:the\s+)?"
    r"(?:(?:correct|right|actual|final|expected|real|known)\s+)?answer\s+"
    r"(?:is|was|should\s+be|must\s+be|has\s+to\s+be)\s+"
    r"(?:(?:actually|really|supposed\s+to\s+be|known\s+to\s+be|clearly|just|only)\s+)?",
    re.IGNORECASE,
)
MISSED: Final = re.compile(
    r"(?:\banswer\s+is\s+not|\bstill\s+not|(?<![^.!?\s])not)\s+(?=[-$(]{0,2}\d)", re.IGNORECASE
)
VALUE: Final = re.compile(
    r"[$\u20ac\u00a3(*\"']{0,3}(?:(?P<number>-?\d[\d,]*(?:\.\d+)?)|(?P<letter>[A-H])(?![\w'\u2019]))"
    r"(?!\s*[-+*/x\u00d7\u00f7=^]\s*[\d(]|[.,/:]?\d)"
)
WHY: Final = re.compile(r"[^.!?]{0,60}?\b(?:because|since|as|if|when|for\s+(?:the|each|every|a))\b")
DOUBTED: Final = re.compile(
    r"\b(?:mistake|error|typo|inconsistency|inconsistencies|discrepancy|contradiction)\s+"
    r"(?:in|with|between)\s+(?:the|this|my|our|your)\b"
    r"|\b(?:question|problem)(?:\s+statement)?\s+(?:itself\s+)?"
    r"(?:is|seems?|appears?|must|may|might|could|has|contains?)\s+(?:[a-z]+\s+){0,4}?"
    r"(?:incorrect|wrong|flawed|inconsisten\w+|nonsensical|mistaken?|an?\s+error|typo|contradict\w+)"
    r"|\b(?:i|we)\s+(?:must\s+have\s+|may\s+have\s+|might\s+have\s+|have\s+)?made\s+"
    r"(?:a|an|another|some)\s+(?:[a-z]+\s+)?(?:mistake|error)"
    rf"|\b(?:does\s+not|doesn{_APOSTROPHE}t|do\s+not|don{_APOSTROPHE}t)\s+"
    r"(?:match|make\s+sense|add\s+up)"
    r"|\bmakes\s+no\s+sense|\bi\s+give\s+up|\bnot\s+sure\s+(?:what|how|which)"
    rf"|\b(?:cannot|can{_APOSTROPHE}t|could\s+not|unable\s+to)\s+(?:be\s+)?"
    r"(?:find|determined?|reach|arrive|calculated?)\b"
    rf"|\b(?:this|that|which|it)(?:{_APOSTROPHE}s|\s+is|\s+isn{_APOSTROPHE}t|\s+seems|\s+appears)"
    r"(?:\s+to\s+be)?\s+(?:not\s+(?:right|correct|possible)|incorrect|wrong|impossible|inconsistent)\b"
    r"|\b\d+\s+is\s+(?:not\s+possible|impossible)"
    rf"|\bassume\s+(?:it|this|that|there)(?:{_APOSTROPHE}s|\s+is)\s+an?\s+(?:mistake|error|typo)"
    r"|\b(?:solution|answer)\s+is\s+"
    r"(?:wrong|incorrect|not\s+(?=[$\d]|correct|right|possible|consistent))",
    re.IGNORECASE,
)
_OF_OPTIONS: Final = (
    r"(?:(?:given|provided|listed|available|above|answer|four|five)\s+){0,3}"
    r"(?:answers|choices|options)"
)
DENIED: Final = re.compile(
    rf"\b(?:none|neither)\s+of\s+(?:the|these|those)\s+{_OF_OPTIONS}\s+"
    r"(?:(?:given|provided|listed|here|above)\s+)?"
    r"(?:(?:is|are|seems?|appears?|would\s+be)\s+"
    r"(?:(?:truly|really|actually|factually|entirely|a)\s+){0,2}"
    r"(?:correct|right|accurate|true|valid)\b|(?:correctly|accurately)\b|match(?:es)?\b)"
    r"|\banswer\s+(?:choices|options)\s+(?:(?:provided|given)\s+)?are\s+(?:all\s+)?"
    r"(?:incorrect|wrong|flawed)"
    r"|\bno\s+correct\s+(?:answer|option|choice)\b"
    rf"|\bnot\s+(?:one\s+of|among|in|listed\s+(?:in|among))\s+the\s+{_OF_OPTIONS}"
    r"|\bforced\s+to\s+(?:choose|select|pick|guess)|\bleast\s+(?:incorrect|wrong|inaccurate)\b",
    re.IGNORECASE,
)
NO_OPTION: Final = re.compile(
    r"\b(?:none|neither|no|all|both|any|incorrect|wrong|cannot)\b", re.IGNORECASE
)
AGAIN: Final = re.compile(
    rf"\blet(?:{_APOSTROPHE}s|\s+us|\s+me)\s+(?:re|try|double|look|go\s+back|check)"
    r"|\bre-?(?:calculat|comput|check|examin|consider|evaluat|read|count)\w*|\btry\s+again"
    r"|\bwait\b|\bi\s+made",
    re.IGNORECASE,
)
STATED: Final = re.compile(
    r"\banswer\s+(?:is|should\s+be|must\s+be|:)\s*:?\s*(?:actually\s+|option\s+|choice\s+)?",
    re.IGNORECASE,
)
SUPPOSED: Final = re.compile(
    r"\b(?:if|whether|suppose|assum\w+|would|could|might|may|not|why|think|thought|maybe|perhaps"
    r"|say|first|second|previous|part)\b|n['\u2019]t\b",
    re.IGNORECASE,
)

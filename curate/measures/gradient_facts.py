"""What a run says of its gradients: GRACE and G-Vendi with intervals, at equal numbers of rows.

Both figures depend on the number of rows, so teachers are compared on as many rows as the one with
fewest has, drawn by hash, and so are sources and arms; of whom there are rows of fewer than
`FEWEST` questions, that alone is said.

Intervals are those of a jackknife over groups of whole questions, on the logarithm. A bootstrap
would not do: a row drawn twice is no second row, so there are fewer directions in what it draws
than in what there is, and its G-Vendi lies below the one that it is to surround.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.measures.gradient_diversity import Floats, g_vendi, grace, inner_products
from curate.measures.gradient_options import GradientOptions

Places = NDArray[np.intp]
Figures = Callable[[Places], Mapping[str, float]]

FEWEST: Final = 30
"""Questions with a measured row below which nothing is said."""
_GROUPS: Final = 20
_REACH: Final = 2.093
"""Standard deviations to either side that hold 95 %, by the t distribution of so many groups."""


def facts_of(
    rows: pl.DataFrame, arms: Mapping[str, bool], options: GradientOptions
) -> dict[str, dict[str, Any]]:
    """Compare teachers, sources and arms.

    Args:
        rows: measured ones: ``question_id``, ``sample_id``, ``source``, ``teacher``, ``gradient``,
            ``gradient_norm``, and a Boolean for each arm.
        arms: names of these, and whether all of their rows could have been measured.
        options: of the recipe.

    Returns:
        ``teachers`` (with ``grace``, ``grace_unit`` and ``g_vendi``), ``sources`` and ``arms``
        (with ``g_vendi``), by name. Every figure has ``value`` and a 95 % interval ``low`` to
        ``high``; beside it stand ``rows`` and ``questions`` that it is of. Of whom nothing can be
        said there is a ``reason`` alone: ``too_few_questions``, or ``not_all_measured`` of an arm
        that holds rows which were stopped before gradients were taken.
    """
    rows = rows.sort("question_id", "sample_id")
    measured = _Measured(rows, options)
    teachers, sources = (_parts(rows[name]) for name in ("teacher", "source"))
    marked = {name: rows[name].arg_true().to_numpy().astype(np.intp) for name in arms if arms[name]}
    beyond = {name: {"reason": "not_all_measured"} for name in arms if not arms[name]}
    return {
        "teachers": measured.compared(teachers, measured.of_teacher),
        "sources": measured.compared(sources, measured.of_set),
        "arms": measured.compared(marked, measured.of_set) | beyond,
    }


def jackknife(
    places: Places, questions: Sequence[str], figures: Figures
) -> dict[str, dict[str, float]]:
    """Give positive figures of some rows with 95 % intervals.

    Args:
        places: of the rows; those of a question stand together (n).
        questions: of each (n).
        figures: what to compute of rows at some places, by name.
    """
    groups = _groups(questions)
    others = [figures(places[groups != group]) for group in range(_GROUPS)]
    intervals: dict[str, dict[str, float]] = {}
    for name, value in figures(places).items():
        logs = np.log([other[name] for other in others])
        variance = (_GROUPS - 1) / _GROUPS * float(((logs - logs.mean()) ** 2).sum())
        factor = float(np.exp(_REACH * np.sqrt(variance)))
        intervals[name] = {"value": value, "low": value / factor, "high": value * factor}
    return intervals


def _groups(questions: Sequence[str]) -> Places:
    """Cut rows into groups of whole questions and of about as many rows; number each row's."""
    starts: dict[str, int] = {}
    for place, question in enumerate(questions):
        starts.setdefault(question, place)
    return np.array([starts[question] for question in questions]) * _GROUPS // len(questions)


def _parts(names: pl.Series) -> dict[str, Places]:
    """Give the places of each name."""
    return {
        str(name): (names == name).arg_true().to_numpy().astype(np.intp)
        for name in names.drop_nulls().unique().sort()
    }


class _Measured:
    """Compares sets of rows that were measured.

    Args:
        rows: by question.
        options: of the recipe.
    """

    def __init__(self, rows: pl.DataFrame, options: GradientOptions) -> None:
        self._options = options
        self._questions = np.array(rows["question_id"].to_list(), dtype=object)
        # ids are hashes, so their order is a random one
        self._order = rows["sample_id"].rank("ordinal").to_numpy()
        self._norms: Floats = rows["gradient_norm"].to_numpy().astype(np.float64)
        self._vectors = rows["gradient"].list.to_array(options.dimensions).to_numpy()

    def compared(self, parts: Mapping[str, Places], figures: Figures) -> dict[str, Any]:
        """Take figures of sets of rows, at equal numbers."""
        counts = {name: len(set(self._questions[part])) for name, part in parts.items()}
        size = min((len(p) for name, p in parts.items() if counts[name] >= FEWEST), default=0)
        return {
            name: self._of(part, size, figures)
            if counts[name] >= FEWEST
            else {"reason": "too_few_questions"}
            for name, part in parts.items()
        }

    def of_set(self, places: Places) -> dict[str, float]:
        """Give G-Vendi."""
        return {"g_vendi": g_vendi(inner_products(self._vectors[places]))}

    def of_teacher(self, places: Places) -> dict[str, float]:
        """Give GRACE, and G-Vendi."""
        products = inner_products(self._vectors[places])
        options = self._options
        score = grace(
            products, self._norms[places], self._questions[places].tolist(), options.dimensions,
            splits=options.splits, smoothing=options.smoothing, seed=options.seed,
        )  # fmt: skip
        return {
            "grace": score.value, "grace_unit": score.unit, "g_vendi": g_vendi(products),
        }  # fmt: skip

    def _of(self, part: Places, size: int, figures: Figures) -> dict[str, Any]:
        drawn = np.sort(part[np.argsort(self._order[part])[:size]])
        questions = self._questions[drawn].tolist()
        facts = {"rows": size, "questions": len(set(questions))}
        return facts | jackknife(drawn, questions, figures)

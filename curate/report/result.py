"""A finished run as Python has it: it shows itself, and answers what is asked of it.

The command line's verbs, for a prompt and a notebook: what is shown is read from the run's own
files, so a run of yesterday is opened and seen like the one that just ended.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from urllib.parse import quote

import polars as pl

from curate.errors import InputError, count_of
from curate.release.funnel import Funnel
from curate.release.runs import Run
from curate.report.html.page import fill, page_path, write_report
from curate.report.scores.comparison import compare
from curate.report.scores.view import ComparisonView
from curate.report.why import Explanation, explain

if TYPE_CHECKING:
    import datasets

    _Path = Path
else:
    _Path = type(Path())  # Path itself can't be derived from before Python 3.12

_COLUMNS: Final = ("", "samples", "questions")
_ASKED: Final = ".dataset  .audit  .why(SAMPLE_ID)  .scores()  .report()"


class Link(NamedTuple):
    """A file or folder as a notebook links it.

    Attributes:
        address: from the working folder, which a notebook's server knows, where it lies below that.
        text: what is read.
    """

    address: str
    text: str

    @classmethod
    def to(cls, path: Path) -> Self:
        """Link a path."""
        whole, here = path.resolve(), Path.cwd()
        if not whole.is_relative_to(here):
            return cls(whole.as_uri(), str(path))
        near = whole.relative_to(here).as_posix()
        return cls(f"./{quote(near)}", near)


class Page(_Path):
    """The path of a page that was written; a notebook shows it as a link."""

    def _repr_html_(self) -> str:
        return fill("link.html.jinja", link=Link.to(self))


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """A finished run.

    Attributes:
        run: its files.
    """

    run: Run

    @classmethod
    def open(cls, reference: Path | str) -> Self:
        """Open a run that was finished before.

        Args:
            reference: a run folder, or ``runs/<name>``, whose latest run is meant.

        Raises:
            InputError: there is none, or one written by a later version.
        """
        return cls(Run.open(Path(reference)))

    @property
    def folder(self) -> Path:
        """Holds ``dataset/``, ``audit/``, ``run.json`` and a card."""
        return self.run.folder

    @property
    def funnel(self) -> Funnel:
        """Where samples and questions went."""
        return self.run.funnel

    @property
    def dataset_hash(self) -> str:
        """What identifies the selection, whatever made it."""
        return self.run.manifest["dataset_hash"]

    @property
    def tally(self) -> Mapping[str, Any]:
        """What was asked of models, and what it took, as ``run.json`` has it."""
        return self.run.account["tally"]

    @property
    def dataset(self) -> "datasets.Dataset":
        """The selection, through `datasets.load_dataset`; of several splits, ``train``.

        Raises:
            InputError: there is nothing in it.
        """
        import datasets

        if "train" not in self.run.manifest["configs"]["default"]["splits"]:
            raise InputError(
                f"no row to train on was selected in {str(self.folder)!r}; .audit says what "
                "stopped each sample"
            )
        return datasets.load_dataset(str(self.folder), split="train")

    @property
    def audit(self) -> pl.DataFrame:
        """Every sample with every verdict, and what stopped it."""
        return self.run.samples().collect()

    def why(self, sample: str) -> Explanation:
        """Explain one sample's way through the chain.

        Args:
            sample: its id, or enough of its start.

        Raises:
            InputError: no sample, or more than one, has an id that starts so.
        """
        return explain(self.folder, sample)

    def scores(self) -> ComparisonView:
        """Set its scores side by side; the figures are in `comparison` of what is shown.

        Raises:
            InputError: none of them tells the samples of a question apart.
        """
        return ComparisonView(compare(self.folder))

    def report(self) -> Path:
        """Write one HTML file beside the run that shows where every sample went and why."""
        return Page(write_report(self.folder))

    def __repr__(self) -> str:
        rows = [_COLUMNS, *self._rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            f"{name:<{widths[0]}}  {samples:>{widths[1]}}  {questions:>{widths[2]}}"
            for name, samples, questions in rows
        ]
        return "\n".join([self._title, *lines, *self.funnel.notes, str(self.folder), _ASKED])

    def _repr_html_(self) -> str:
        page = page_path(self.folder)
        return fill(
            "result.html.jinja",
            title=self._title,
            columns=_COLUMNS,
            rows=list(self._rows()),
            notes=self.funnel.notes,
            folder=Link.to(self.folder),
            report=Link.to(page) if page.is_file() else None,
        )

    @property
    def _title(self) -> str:
        funnel = self.funnel
        samples = count_of(funnel.samples, "sample")
        return f"{self.run.title}: {funnel.picks[0].rows:,} of {samples} selected"

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        """Give what each filter left, then the selection and the arms."""
        funnel = self.funnel
        yield "all samples", f"{funnel.samples:,}", f"{funnel.covered:,}"
        for line in funnel.filters:
            yield line.name, f"{line.live:,}", f"{line.covered:,}"
        for pick in funnel.picks:
            yield pick.name, f"{pick.rows:,}", f"{pick.questions:,}"

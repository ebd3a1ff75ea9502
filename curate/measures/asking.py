"""How the recipe's student is asked: found on this machine, its layout and type chosen, opened."""

from collections.abc import Mapping
from typing import Any

from curate.errors import ModelError
from curate.measures.score_options import ScoreOptions, choose_dtype, choose_layout
from curate.models.references import ResolvedModel
from curate.models.rendering import Layout
from curate.models.servers.servers import StudentServer
from curate.models.students.pairs import SpanScorer


class Asking:
    """A student, and the way it is asked; loads nothing.

    Args:
        options: as the recipe gives them under ``score``.
        student: the same, found on this machine.
        server: where it is, for dtype ``served``; else None.

    Attributes:
        student: found on this machine.
        layout: of its prompt.
        dtype: in which it computes, or ``served``.

    Raises:
        ModelError: an encoder-decoder is wanted of a server.
    """

    def __init__(
        self, options: ScoreOptions, student: ResolvedModel, server: StudentServer | None = None
    ) -> None:
        self.student = student
        self.layout: Layout = choose_layout(options, student.path)
        self._server = server
        self.dtype = choose_dtype(options.dtype)
        if server and self.layout == "encoder":
            raise ModelError(
                f"{options.student!r} is an encoder-decoder, of which a server says nothing; drop "
                "`dtype: served` under measures.score, so that it is loaded here"
            )

    @property
    def identity(self) -> Mapping[str, Any]:
        """Identify both for a key."""
        return {
            "student": self.student.name,
            "revision": self.student.revision,
            "dtype": self.dtype,
            "layout": self.layout,
        }

    def open(self) -> SpanScorer:
        """Load the student on all devices there are, or reach it where it is served.

        Raises:
            ModelError: it can't be loaded.
            BackendError: nobody serves it there.
        """
        if self._server is None:
            from curate.models.students.sharded import open_student

            return open_student(self.student.path, self.dtype)
        from curate.models.students.served import ServedScorer

        return ServedScorer(self.student.path, self.student.name, self._server)

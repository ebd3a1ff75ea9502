"""What is known of a run before it: samples that the record has, and the first prompt in full.

Nothing is fetched: where a model is not pinned yet, or the questions are on the Hub, that is said.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.padding import Padding
from rich.text import Text

from curate.engine.inputs import read_questions
from curate.engine.progress.progress import Progress
from curate.engine.sampling import Sampler
from curate.errors import CONTROLS, CurateError, count_of
from curate.models.rendering import Rendered
from curate.recipe.files import RecipeFile
from curate.recipe.lock import Lock
from curate.sources import SampledSource
from curate.sources.lineage import wanted_of
from curate.sources.questions import QuestionsTable
from curate.sources.tables import is_here
from curate.sources.templates import PARENT_VARIABLES
from curate.sources.templates import Rendered as Prompt
from curate.store.store import Store


@dataclass(frozen=True, slots=True)
class SourcePreview:
    """A source before a run.

    Attributes:
        name: of the source.
        wanted: samples it asks a teacher for; None where it asks none, or that takes samples.
        recorded: of these, in the record; None where its model is not pinned yet.
        prompt: of the first question; None where nobody is asked.
        in_words: what it asks for, where that takes samples.
    """

    name: str
    wanted: int | None = None
    recorded: int | None = None
    prompt: Prompt | None = None
    in_words: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """A run before it is begun.

    Attributes:
        questions: in use; None where they lie on the Hub and were not fetched.
        sources: in the recipe's order.
    """

    questions: int | None
    sources: tuple[SourcePreview, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for a terminal."""
        if self.questions is None:
            yield Text("the questions are on the Hub; --probe 32 fetches and tries some", "dim")
            return
        yield Text(f"{count_of(self.questions, 'question')} in use")
        for source in self.sources:
            if source.prompt is None:
                yield Text(f"{source.name}: its rows are there already, no teacher is asked")
                continue
            if source.wanted is None:
                yield Text(f"{source.name}: {source.in_words}; samples will tell how many")
                yield Padding(_prompt(source.prompt), (1, 0, 1, 2))
                continue
            text = "how many are recorded is known once its model is pinned"
            if source.recorded is not None:
                rest = source.wanted - source.recorded
                text = f"{source.recorded:,} in the record, {rest:,} to draw"
            yield Text(f"{source.name}: {count_of(source.wanted, 'sample')}, {text}")
            yield Padding(_prompt(source.prompt), (1, 0, 1, 2))


def preview(file: RecipeFile) -> Preview:
    """Look at a recipe's questions, record and prompts.

    Args:
        file: the recipe.

    Raises:
        InputError: its questions or a template can't be read.
    """
    recipe = file.recipe
    if not is_here(recipe.questions.path):
        return Preview(None, ())
    questions = read_questions(file, file.limited_to(None))
    usable = questions.frame.filter(status="ok")
    if not usable.height:
        return Preview(0, ())
    counts = _recorded(file, questions)
    first = usable.row(0, named=True)
    return Preview(
        usable.height,
        tuple(
            _previewed(source, file, usable.height, first, counts.get(source.name))
            if isinstance(source, SampledSource)
            else SourcePreview(source.name)
            for source in recipe.used_sources
        ),
    )


def _previewed(
    source: SampledSource,
    file: RecipeFile,
    questions: int,
    first: Mapping[str, Any],
    recorded: int | None,
) -> SourcePreview:
    names = PARENT_VARIABLES if source.parent else ()
    stand_in = {name: f"⟨its {name}⟩" for name in names if name != "problem"}
    prompt = source.template(file.folder).render({**first, **stand_in})
    wanted = wanted_of(source, file.recipe.used_sources, questions)
    return SourcePreview(source.name, wanted, recorded, prompt, source.in_words)


def _recorded(file: RecipeFile, questions: QuestionsTable) -> dict[str, int]:
    """Count what the record has, as far as the lock file pins the models."""
    backends = [
        file.recipe.backend(source.name)
        for source in file.recipe.used_sources
        if isinstance(source, SampledSource)
    ]
    # a model that is loaded here and not pinned yet would be fetched
    locked = not all(backend.remote for backend in backends)
    try:
        lock = Lock(file.lock, locked=locked, start=file.lock_text, written=file.written)
        sampler = Sampler(file, lock, Store(), Progress(quiet=True), replay=True)
    except CurateError:
        return {}
    counts = sampler.recorded(questions).items()
    return {name: both[1] for name, both in counts if both is not None}


def _prompt(prompt: Prompt) -> Group:
    turns = [(one["role"], one["content"]) for one in prompt.messages or ()]
    turns = turns or [("prompt", prompt.prompt or "")]
    return Group(*(part for role, text in turns for part in _turn(role, text)))


def _turn(role: str, text: str) -> Iterator[Text | Padding]:
    yield Text(role, "dim")
    yield Padding(Text(text.translate(CONTROLS)), (0, 0, 0, 2))


def scored(rendered: Rendered) -> Group:
    """Show a text as the student reads it, what is scored between marks."""
    start, end = rendered.answer
    text = rendered.text
    parts = (rendered.source, text[:start], text[start:end], text[end:])
    source, before, answer, after = (part.translate(CONTROLS) for part in parts)
    marked = Text.assemble(
        f"{source}\n" if source else "", before, (f"⟦{answer}⟧", "bold reverse"), after
    )
    head = "a sample as the student reads it; the likelihood of what is between ⟦ and ⟧ is measured"
    return Group(Text(head, "dim"), Padding(marked, (0, 0, 1, 2)))

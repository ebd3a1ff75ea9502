"""Opening a teacher: the libraries behind each backend are imported here, on first use."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from curate.models.teachers.base import Generator, Sampling
from curate.models.teachers.options import Backend, OpenAIOptions, Teacher, VllmOptions
from filters.registry import Registry, instance_of


@dataclass(frozen=True, slots=True)
class Access:
    """What is needed to ask a teacher.

    Attributes:
        teacher: what is sampled.
        sampling: how, the template's stop strings included.
        path: folder of the model's weights, where it was resolved to one.
        folder: where an engine may keep its lock and its log, alive as long as the store.
    """

    teacher: Teacher
    sampling: Sampling
    path: str | Path | None
    folder: Path


@dataclass(frozen=True, slots=True)
class TeacherKind:
    """A way to reach teachers.

    Attributes:
        options: model of its options; the literal of its `backend` names it in a recipe.
        open: makes the generator; cheap, since models and connections open on first use. Raises
            InputError where the options cannot work.
        libraries: of the optional ones (`curate.models.libraries`), those that it imports.
    """

    options: type[Backend]
    open: Callable[[Access, Any], Generator]
    libraries: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The word in a recipe.

        Raises:
            TypeError: the options have none.
        """
        words = get_args(self.options.model_fields["backend"].annotation)
        if not words:
            raise TypeError(
                f"{self.options.__name__} has no name for a recipe; give it a field like "
                '`backend: Literal["mine"] = "mine"`'
            )
        return str(words[0])


def _open_engine(access: Access, options: VllmOptions) -> Generator:
    from curate.models.teachers.vllm_engine import EngineGenerator

    path = access.path or access.teacher.model
    return EngineGenerator(
        access.teacher, access.sampling, options, path=path, folder=access.folder
    )


def _open_server(access: Access, options: OpenAIOptions) -> Generator:
    from curate.models.teachers.openai_server import ServerGenerator

    return ServerGenerator(access.teacher, access.sampling, options)


SHIPPED: Final = (
    TeacherKind(VllmOptions, _open_engine, libraries=("vllm",)),
    TeacherKind(OpenAIOptions, _open_server, libraries=("aiohttp",)),
)

TEACHERS: Final = Registry[TeacherKind](
    "teacher", "curate.teachers", SHIPPED, lambda kind: kind.name, instance_of(TeacherKind)
)
"""Every way to reach a teacher that ``runtime.sources`` can name."""


def open_generator(access: Access, options: Backend) -> Generator:
    """Make the generator of a teacher.

    Args:
        access: the teacher, and what its backend may need.
        options: how it is reached.

    Raises:
        InputError: the options cannot work, as an `api_key_env` that is not set.
    """
    kind = TEACHERS.get(options.backend)
    assert kind is not None, "a recipe holds no other"
    return kind.open(access, options)

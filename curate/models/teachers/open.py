"""Opening a teacher: the libraries behind the two backends are imported here, on first use."""

from pathlib import Path

from curate.models.teachers.base import Generator, Sampling
from curate.models.teachers.options import OpenAIOptions, Teacher, VllmOptions


def open_generator(
    teacher: Teacher,
    sampling: Sampling,
    options: VllmOptions | OpenAIOptions,
    *,
    path: str | Path | None = None,
    folder: Path,
) -> Generator:
    """Make the generator of a teacher; cheap, since models and connections open on first use.

    Args:
        teacher: what is sampled.
        sampling: how, the template's stop strings included.
        options: how it is reached.
        path: folder of the model's weights, where it was resolved to one (vLLM only).
        folder: where the engine may keep its lock and its log, alive as long as the store.

    Raises:
        InputError: the options cannot work, as an `api_key_env` that is not set.
    """
    if isinstance(options, OpenAIOptions):
        from curate.models.teachers.openai_server import ServerGenerator

        return ServerGenerator(teacher, sampling, options)
    from curate.models.teachers.vllm_engine import EngineGenerator

    return EngineGenerator(teacher, sampling, options, path=path or teacher.model, folder=folder)

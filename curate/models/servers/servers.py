"""How a server is reached that speaks OpenAI's protocol; imports nothing that reaches it."""

from pydantic import BaseModel, ConfigDict, Field


class ServerOptions(BaseModel):
    """Where a server is and how patiently it is asked; none of it is in a key.

    Attributes:
        url: base of the API, ending where ``/chat/completions`` follows (usually ``/v1``).
        api_key_env: name of the environment variable that holds the key; the key itself is never
            written anywhere.
        in_flight: most requests open at a time.
        timeout: seconds a single request may take.
        patience: seconds for which one request is tried again after 429, 5xx or a lost connection
            before the run stops.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^https?://")
    api_key_env: str | None = None
    in_flight: int = Field(default=64, ge=1)
    timeout: float = Field(default=600.0, gt=0)
    patience: float = Field(default=600.0, ge=0)


class StudentServer(ServerOptions):
    """Where a student is served by vLLM, for those who cannot load it themselves.

    Attributes:
        model: name under which it is served; by default the student's in ``measures.score``.
    """

    model: str | None = None


MILLION = 1e6


class Price(BaseModel):
    """What a server asks, in any currency, for a million tokens.

    Attributes:
        prompt: of the prompt.
        completion: of the completion.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: float = Field(ge=0)
    completion: float = Field(ge=0)

    def of(self, prompt: float, completion: float) -> float:
        """Give the cost of so many tokens."""
        return (prompt * self.prompt + completion * self.completion) / MILLION

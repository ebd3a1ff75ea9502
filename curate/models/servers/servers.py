"""How a server is reached that speaks OpenAI's protocol; imports nothing that reaches it."""

from pydantic import BaseModel, ConfigDict, Field


class ServerOptions(BaseModel):
    """Where a server is and how patiently it is asked; none of it is in a key."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    url: str = Field(pattern=r"^https?://")
    """Base of the API, ending where ``/chat/completions`` follows (usually ``/v1``)."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; the key itself is never written
    anywhere.
    """
    in_flight: int = Field(default=64, ge=1)
    """Most requests open at a time."""
    timeout: float = Field(default=600.0, gt=0)
    """Seconds a single request may take."""
    patience: float = Field(default=600.0, ge=0)
    """Seconds for which one request is tried again after 429, 5xx, a lost connection or a garbled
    answer; then it is a failed sample if the server answers others, and the run stops if it does
    not, or if it wants to be left alone for longer.
    """

    @property
    def address(self) -> str:
        """The url as messages show it, without what may be secret: a user, a password, a query."""
        scheme, _, rest = self.url.partition("?")[0].partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


class StudentServer(ServerOptions):
    """Where a student is served by vLLM, for those who cannot load it themselves."""

    model: str | None = None
    """Name under which it is served; by default the student's in ``measures.score``."""


MILLION = 1e6


class Price(BaseModel):
    """What a server asks, in any currency, for a million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    prompt: float = Field(ge=0)
    """Of the prompt."""
    completion: float = Field(ge=0)
    """Of the completion."""

    def of(self, prompt: float, completion: float) -> float:
        """Give the cost of so many tokens."""
        return (prompt * self.prompt + completion * self.completion) / MILLION

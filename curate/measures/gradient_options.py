"""Which rows' gradients are taken, and how."""

from pydantic import BaseModel, ConfigDict, Field


class GradientOptions(BaseModel):
    """Gradients under the student: GRACE of each teacher, G-Vendi of each source and arm.

    Runs where it is named, though no filter and no order reads it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    questions: int = Field(default=128, ge=1)
    """Most questions whose rows are measured, chosen by hash among those that have a row left
    behind the filter that tells right from wrong; a few hundred rows a teacher suffice.
    """
    samples: int = Field(default=4, ge=1)
    """Most rows of a question and teacher, chosen by seeded hash."""
    blocks: int = Field(default=2, ge=1)
    """Last blocks of the student whose weights the gradient is taken with respect to. At 2 a row
    costs about two forward passes of a student of half a billion parameters.
    """
    dimensions: int = Field(default=1024, ge=2, le=65_536)
    """To which a gradient is projected at random; the cosine of two gradients is then off by about
    0.03 at 1,024, and by half of that at four times as many.
    """
    splits: int = Field(default=10, ge=1)
    """Ways in which GRACE holds a tenth of the questions out, to average over."""
    smoothing: float = Field(default=1e-3, ge=1e-6, lt=1)
    """Share of the spectrum that GRACE spreads evenly before it inverts it."""
    seed: int = Field(default=0, ge=-(2**63), lt=2**63)
    """Of the projection, and of the hashes that choose rows and splits."""

"""How a student may be trained; apart, for recipes know it and import nothing heavy."""

from typing import Literal

Method = Literal["lora", "full"]
"""Low-rank adapters of all linear layers, or all weights."""

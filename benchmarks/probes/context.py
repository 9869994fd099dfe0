"""What a scenario is given: how thorough to be, whom to tell, where to put things."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

_Choice = TypeVar("_Choice")

#: Result bytes of most scenarios: a picture of a megapixel or two as PNG.
IMAGE_BYTES = 1_500_000
#: The provider's own limit of active tasks.
SLOTS = 24


@dataclass(kw_only=True)
class Context:
    """How to run.

    Attributes:
        quick: Tiny numbers, to see that it works; the figures mean nothing.
        peers: Where the peers' environments are kept.
        say: Tells the person who waits what is done now.
        run: Which run this is; results of several are kept side by side.
        kept: What one scenario leaves for another one of the same run.
    """

    quick: bool
    peers: Path
    say: Callable[[str], None]
    run: int = 1
    kept: dict[str, Any] = field(default_factory=dict)

    def pick(self, full: _Choice, quick: _Choice) -> _Choice:
        """Return the number for this kind of run."""
        return quick if self.quick else full

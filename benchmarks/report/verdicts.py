"""What there is to say of goals that are missed: kept by hand, shown only while they are."""

import tomllib
from pathlib import Path
from typing import Final, NamedTuple

FILE: Final = Path(__file__).with_name("verdicts.toml")


class Verdict(NamedTuple):
    """Why a scenario's goal is missed, what was tried, and what the floor is."""

    why: str
    tried: str
    floor: str

    @property
    def text(self) -> str:
        """As the page has it."""
        return f"- Why: {self.why}\n- Tried: {self.tried}\n- The floor: {self.floor}\n"


def read(file: Path = FILE) -> dict[str, Verdict]:
    """Return the verdicts by scenario.

    Raises:
        TypeError: One lacks a part, or has one that is not asked for.
        ValueError: A part says nothing.
    """
    found = tomllib.loads(file.read_text(encoding="utf-8"))
    verdicts = {name: Verdict(**parts) for name, parts in found.items()}
    for name, verdict in verdicts.items():
        if not all(part.strip() for part in verdict):
            raise ValueError(f"a part of the verdict on {name} says nothing")
    return {name: Verdict(*map(_one_line, verdict)) for name, verdict in verdicts.items()}


def _one_line(text: str) -> str:
    return " ".join(text.split())

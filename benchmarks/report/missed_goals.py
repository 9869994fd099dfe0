"""Explanations of missed goals: written by hand, shown only while a goal is missed."""

import tomllib
from pathlib import Path
from typing import Final, NamedTuple

FILE: Final = Path(__file__).with_name("missed_goals.toml")


class MissedGoal(NamedTuple):
    """Why a scenario's goal is missed, what was tried, and what the floor is."""

    why: str
    tried: str
    floor: str

    @property
    def text(self) -> str:
        """The text on the page."""
        return f"- Why: {self.why}\n- Tried: {self.tried}\n- The floor: {self.floor}\n"


def read(file: Path = FILE) -> dict[str, MissedGoal]:
    """Return the entries by scenario.

    Raises:
        TypeError: One lacks a part or has an unknown one.
        ValueError: A part is empty.
    """
    found = tomllib.loads(file.read_text(encoding="utf-8"))
    entries = {name: MissedGoal(**parts) for name, parts in found.items()}
    for name, entry in entries.items():
        if not all(part.strip() for part in entry):
            raise ValueError(f"a part of the entry for {name} is empty")
    return {name: MissedGoal(*map(_one_line, entry)) for name, entry in entries.items()}


def _one_line(text: str) -> str:
    return " ".join(text.split())

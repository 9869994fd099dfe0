"""What a scenario found: rows of a table, notes, a picture; written as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks.report.statistics import ratio


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure of ours beside what it is compared with.

    Attributes:
        what: What was measured.
        ours: Our figure.
        against: The other figure; None where the goal is a bound of its own.
        unit: Of both.
        other: What the other figure is of.
        goal: In words; empty where there is none.
        met: Whether the goal is met; None where there is none.
    """

    what: str
    ours: float
    unit: str
    against: float | None = None
    other: str = ""
    goal: str = ""
    met: bool | None = None

    @property
    def ratio(self) -> float | None:
        """Ours by the other."""
        return None if self.against is None else ratio(self.ours, self.against)


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A picture: `bars` (one value per label), `shares` (cumulative) or `lines` (x, y)."""

    kind: str
    title: str
    x: str
    y: str
    series: Mapping[str, list[Any]]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one scenario found.

    Attributes:
        title: The scenario in a few words.
        about: How it is measured, in sentences.
        rows: The figures.
        notes: What else a reader must know.
        plots: Pictures.
        tables: Further tables by caption: a head, then rows.
    """

    title: str
    about: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    tables: Mapping[str, list[list[str]]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Read back what `to_json` gave."""
        rows = [Row(**row) for row in body["rows"]]
        plots = [Plot(**plot) for plot in body["plots"]]
        return cls(**{**body, "rows": rows, "plots": plots})


@dataclass(frozen=True, kw_only=True)
class Record:
    """An outcome with when, where and by which command it came about."""

    name: str
    command: str
    started_at: str
    seconds: float
    quick: bool
    machine: Mapping[str, str]
    outcome: Outcome

    def write(self, folder: Path) -> None:
        """Write it into the folder of results."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (folder / f"{self.name}.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read one from a file."""
        body = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**body, "outcome": Outcome.from_json(body["outcome"])})


def at_most(limit: float, **facts: Any) -> Row:
    """Return a row whose ratio may be so large at most."""
    row = Row(**facts)
    return Row(**facts, goal=f"≤ {limit:g} ×", met=row.ratio is not None and row.ratio <= limit)


def at_least(limit: float, **facts: Any) -> Row:
    """Return a row whose ratio must be so large at least."""
    row = Row(**facts)
    return Row(**facts, goal=f"≥ {limit:g} ×", met=row.ratio is not None and row.ratio >= limit)

"""The rules of recovery: what each is for, where it stands, and how to take it away."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
LISTS: Final = Path(__file__).parent / "lists"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A piece of code that is there only because something dies, gets lost, or comes twice or late.

    Attributes:
        name: A short name, unique.
        purpose: What goes wrong in the world, and what the rule does about it.
        file: Where it stands, below the project's root.
        find: The text that makes it; it stands in `file` once.
        replace: What stands there once the rule is taken away; the code stays valid.
        tests: Pytest ids; at least one of them fails without the rule.
        area: The heading below which it is shown.
    """

    name: str
    purpose: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]
    area: str

    def without(self, text: str) -> str:
        """Return the text of its file without the rule.

        Raises:
            ValueError: The rule's text does not stand there exactly once.
        """
        count = text.count(self.find)
        if count != 1:
            raise ValueError(f"{self.name}: its text stands {count} times in {self.file}")
        return text.replace(self.find, self.replace)


def read_rules(folder: Path = LISTS) -> list[Rule]:
    """Read all lists of a folder, in the order of their file names."""
    rules: list[Rule] = []
    for path in sorted(folder.glob("*.toml")):
        listed = tomllib.loads(path.read_text(encoding="utf-8"))
        for entry in listed["rule"]:
            tests = tuple(entry.pop("tests"))
            rules.append(Rule(area=listed["area"], tests=tests, **entry))
    return rules


def chosen(rules: Sequence[Rule], names: Sequence[str]) -> list[Rule]:
    """Return the rules of these names, all where none is named.

    Raises:
        KeyError: There is no such rule.
    """
    if not names:
        return list(rules)
    known = {rule.name: rule for rule in rules}
    return [known[name] for name in names]


def markdown(rules: Sequence[Rule]) -> str:
    """Return the rules as tables, one per area, for a page in `docs/`."""
    lines: list[str] = []
    for area in dict.fromkeys(rule.area for rule in rules):
        lines += [f"### {area}", "", "| rule | what it is for | held by |", "|---|---|---|"]
        for rule in rules:
            if rule.area == area:
                tests = "<br>".join(_link(test) for test in rule.tests)
                lines.append(f"| {rule.name} | {rule.purpose} | {tests} |")
        lines.append("")
    return "\n".join(lines)


def _link(test: str) -> str:
    path, _, name = test.partition("::")
    return f"[{name.partition('[')[0]}](../{path})"

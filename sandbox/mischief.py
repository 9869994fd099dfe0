"""The faults in force: what was asked for, checked, counted down, and applied to plans."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from sandbox.faults import FAULTS, Parameter
from sandbox.plans import DownloadPlan, SubmitPlan, WebhookPlan

Plan = TypeVar("Plan", SubmitPlan, WebhookPlan, DownloadPlan)

#: Parameters that every fault takes.
SELECTION: Final[Mapping[str, Parameter]] = {
    "match": Parameter(str),
    "times": Parameter(int, 1, 1_000_000),
}


class UnknownFaultError(ValueError):
    """The asked faults cannot be set; `problems` says why, one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass
class Fault:
    """A fault in force: for prompts that hold `match`, for `times` more uses."""

    name: str
    parameters: dict[str, object]
    match: str = ""
    times: int | None = None

    def show(self) -> dict[str, object]:
        """Return it as it was asked for, with the uses that are left."""
        shown = {key: value for key, value in self.parameters.items() if value is not None}
        selection = {"match": self.match or None, "times": self.times}
        return shown | {key: value for key, value in selection.items() if value is not None}


class Mischief:
    """The faults in force."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def replace(self, asked: object) -> None:
        """Put these faults in force instead of the present ones.

        Args:
            asked: `{name: parameters}`, or `{name: [parameters, …]}` for several of a kind.

        Raises:
            UnknownFaultError: If anything is wrong with them; then nothing changes.
        """
        if not isinstance(asked, dict):
            raise UnknownFaultError(["the body must be a JSON object of faults by name"])
        faults, problems = [], []
        for name, value in asked.items():
            for parameters in value if isinstance(value, list) else [value]:
                complaints = _complaints(name, parameters)
                problems += complaints
                if not complaints:
                    faults.append(_fault(name, parameters))
        if problems:
            raise UnknownFaultError(problems)
        self._faults = faults

    def clear(self) -> None:
        """Behave again."""
        self._faults = []

    def show(self) -> dict[str, list[dict[str, object]]]:
        """Return the faults in force by name; a spent fault is gone."""
        shown: dict[str, list[dict[str, object]]] = {}
        for fault in self._faults:
            shown.setdefault(fault.name, []).append(fault.show())
        return shown

    def apply(self, plan: Plan, prompt: str) -> Plan:
        """Let every fault in force that fits the plan and the prompt edit the plan."""
        for fault in self._faults:
            kind = FAULTS[fault.name]
            if isinstance(plan, kind.plan) and fault.match in prompt:
                kind.edit(plan, **fault.parameters)
                if fault.times is not None:
                    fault.times -= 1
        self._faults = [fault for fault in self._faults if fault.times != 0]
        return plan


def catalogue() -> dict[str, dict[str, str]]:
    """Return every fault's parameters and what they may be."""
    return {
        name: {key: rule.describe() for key, rule in {**kind.parameters, **SELECTION}.items()}
        for name, kind in FAULTS.items()
    }


def _complaints(name: str, parameters: object) -> list[str]:
    if name not in FAULTS:
        return [f"{name}: there is no such fault"]
    if not isinstance(parameters, dict):
        return [f"{name}: must be an object of parameters, or a list of such objects"]
    rules = {**FAULTS[name].parameters, **SELECTION}
    return [
        *(f"{name}.{key}: there is no such parameter" for key in parameters.keys() - rules.keys()),
        *(
            f"{name}.{key}: must be {rule.describe()}"
            for key, rule in rules.items()
            if (key in parameters and not rule.accepts(parameters[key]))
            or (rule.required and key not in parameters)
        ),
    ]


def _fault(name: str, asked: dict[str, object]) -> Fault:
    own = {key: asked.get(key, rule.default) for key, rule in FAULTS[name].parameters.items()}
    times = asked.get("times")
    return Fault(name, own, str(asked.get("match", "")), None if times is None else int(str(times)))

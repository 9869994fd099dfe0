"""Fault injection: the active faults, validated, counted down, and applied to plans."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final, TypeVar

from sandbox.faults.behavior import Circumstances, DownloadPlan, PollPlan, SubmitPlan, WebhookPlan
from sandbox.faults.catalogue import FAULTS
from sandbox.faults.parameters import Parameter
from sandbox.requests.models import MODELS

Plan = TypeVar("Plan", SubmitPlan, PollPlan, WebhookPlan, DownloadPlan)

#: The files of a result, as a download fault may choose them.
ROLES: Final = ("sample", "draft_cache")
#: Parameters of every fault: which requests it applies to, and how often.
SELECTION: Final[Mapping[str, Parameter]] = {
    "match": Parameter(str),
    "model": Parameter(str, options=tuple(MODELS)),
    "account": Parameter(str),
    "host": Parameter(str),
    "task": Parameter(str),
    "role": Parameter(str, options=ROLES),
    "times": Parameter(int, 1, 1_000_000),
}


class UnknownFaultError(ValueError):
    """The requested faults are invalid; `problems` holds one sentence per mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass
class Fault:
    """An active fault: which requests it was `chosen` for, and its remaining `times`."""

    name: str
    parameters: dict[str, object]
    chosen: dict[str, str]
    times: int | None = None

    def fits(self, circumstances: Circumstances) -> bool:
        """Whether it applies here: `match` must be part of the prompt, the rest must be equal."""
        facts = asdict(circumstances)
        return self.chosen.get("match", "") in circumstances.prompt and all(
            facts[key] == value for key, value in self.chosen.items() if key != "match"
        )

    def show(self) -> dict[str, object]:
        """Return it as it was requested, with its remaining uses."""
        shown = {**self.parameters, **self.chosen, "times": self.times}
        return {key: value for key, value in shown.items() if value is not None}


class FaultInjection:
    """The active faults. `names` are the valid values of a fault's `host` and `region`."""

    def __init__(self, names: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self._names = names or {}
        self._faults: list[Fault] = []

    def replace(self, asked: object) -> None:
        """Replace the active faults.

        Args:
            asked: `{name: parameters}`, or `{name: [parameters, …]}` for several of one kind.

        Raises:
            UnknownFaultError: Any of them is invalid; then nothing changes.
        """
        if not isinstance(asked, dict):
            raise UnknownFaultError(["the body must be a JSON object of faults by name"])
        faults, problems = [], []
        for name, value in asked.items():
            for parameters in value if isinstance(value, list) else [value]:
                errors = _parameter_errors(name, parameters) or self._unknown(name, parameters)
                problems += errors
                if not errors:
                    faults.append(_fault(name, parameters))
        if problems:
            raise UnknownFaultError(problems)
        self._faults = faults

    def clear(self) -> None:
        """Remove all faults."""
        self._faults = []

    def show(self) -> dict[str, list[dict[str, object]]]:
        """Return the active faults by name; spent faults are gone."""
        shown: dict[str, list[dict[str, object]]] = {}
        for fault in self._faults:
            shown.setdefault(fault.name, []).append(fault.show())
        return shown

    def apply(self, plan: Plan, circumstances: Circumstances) -> Plan:
        """Let every active fault that fits the plan and the circumstances edit the plan."""
        for fault in self._faults:
            kind = FAULTS[fault.name]
            if isinstance(plan, kind.plan) and fault.fits(circumstances):
                kind.edit(plan, **fault.parameters)
                if fault.times is not None:
                    fault.times -= 1
        self._faults = [fault for fault in self._faults if fault.times != 0]
        return plan

    def _unknown(self, fault: str, parameters: Mapping[str, object]) -> list[str]:
        """Return a problem for each host or region that this sandbox does not have."""
        return [
            f"{fault}.{key}: must be one of {', '.join(known) or 'the regions, and none are set'}"
            for key, known in self._names.items()
            if key in parameters and parameters[key] not in known
        ]


def catalogue() -> dict[str, dict[str, str]]:
    """Return every fault's parameters and their valid values."""
    return {
        name: {key: rule.describe() for key, rule in {**kind.parameters, **SELECTION}.items()}
        for name, kind in FAULTS.items()
    }


def _parameter_errors(name: str, parameters: object) -> list[str]:
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
    chosen = {key: str(asked[key]) for key in SELECTION if key in asked and key != "times"}
    times = asked.get("times")
    return Fault(name, own, chosen, None if times is None else int(str(times)))

"""What a fault is: its parameters, and its effect on a plan."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sandbox.faults.behavior import DownloadPlan, PollPlan, SubmitPlan, WebhookPlan
from sandbox.faults.parameters import Parameter


@dataclass(frozen=True)
class FaultKind:
    """A fault's parameters, and how it edits the plan that it belongs to."""

    plan: type[SubmitPlan | PollPlan | WebhookPlan | DownloadPlan]
    #: Called with the plan (of the type above) and the parameters.
    edit: Callable[..., None]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

"""What requests are given to work with."""

from typing import Any, TypedDict

from core.settings import Settings
from core.store import JobStore
from service.intake import Intake


class State(TypedDict):
    """Lives as long as the application."""

    settings: Settings
    store: JobStore
    intake: Intake
    #: The OpenAPI document, which is the same for every caller.
    openapi: dict[str, Any]

"""What requests are given to work with."""

from typing import TypedDict

from core.settings import Settings
from core.store import JobStore
from service.body import BodyReader
from service.intake import Intake


class State(TypedDict):
    """Lives as long as the application."""

    settings: Settings
    store: JobStore
    bodies: BodyReader
    intake: Intake

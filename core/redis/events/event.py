"""An event of a job or a batch, and the ids that order events."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple, Self

#: Seconds for which events are kept, and can be asked for again.
EVENTS_KEPT: Final = 3600
_ID: Final = re.compile(r"(\d{1,19})-(\d{1,19})", re.ASCII)


class EventId(NamedTuple):
    """The id of an entry of a Redis stream; ids compare by age."""

    #: Redis' clock in milliseconds.
    at: int
    number: int

    def __str__(self) -> str:
        return f"{self.at}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read an id; None if it is not one."""
        found = _ID.fullmatch(text)
        return cls(int(found[1]), int(found[2])) if found else None

    @classmethod
    def before(cls, seconds: str, microseconds: str) -> Self:
        """Return an id below that of every event after this moment of Redis' clock (`TIME`)."""
        return cls(int(seconds) * 1000 + int(microseconds) // 1000 - 1, 0)


class Event(NamedTuple):
    """A job took a status, or a batch is complete."""

    id: EventId
    #: Empty where the event is of a batch.
    job: str
    status: str
    #: Unix time in seconds.
    at: float
    #: The batch of the job, or the one that is complete; may be empty.
    batch: str

    @classmethod
    def read(cls, text: str, pairs: Sequence[str]) -> Self | None:
        """Read an entry of a stream; None if it is not an event."""
        fields = dict(zip(pairs[::2], pairs[1::2], strict=False))
        number = EventId.parse(text)
        if number is None or not {"job", "status", "at"} <= fields.keys():
            return None
        at = float(fields["at"])
        return cls(number, fields["job"], fields["status"], at, fields.get("batch", ""))

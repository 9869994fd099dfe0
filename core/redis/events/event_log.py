"""Reads past events of a tenant, of the last hour."""

from core.redis.async_scripts import AsyncScripts
from core.redis.events.event import EVENTS_KEPT, Event, EventId
from core.redis.events.event_stream import events, stream_key

#: Most events that are read at a time.
_PAGE = 500


class EventLog:
    """Reads past events.

    Args:
        scripts: Asks Redis.
    """

    def __init__(self, scripts: AsyncScripts) -> None:
        self._scripts = scripts

    async def resume_from(self, tenant: str, text: str) -> EventId | None:
        """Return the id of an event if every later one can still be read, else None.

        Args:
            tenant: Whose events.
            text: The id, as a client has sent it.

        Raises:
            StoreUnavailable: Redis is away.
        """
        known = EventId.parse(text)
        if known is None:
            return None
        key = stream_key(tenant)
        seconds, _ = await self._scripts.read("TIME")
        newest = await self._scripts.read("XREVRANGE", key, "+", "-", "COUNT", "1")
        if known.at > int(seconds) * 1000 + 1000:
            return None
        if known.at >= (int(seconds) - EVENTS_KEPT) * 1000:
            return known
        last = EventId.parse(newest[0][0]) if newest else None
        return known if last is not None and known >= last else None

    async def after(self, tenant: str, last: EventId) -> list[Event]:
        """Return the next events after one; none if there are no more.

        Raises:
            StoreUnavailable: Redis is away.
        """
        found = await self._scripts.read(
            "XRANGE", stream_key(tenant), f"({last}", "+", "COUNT", str(_PAGE)
        )
        return events(found)

"""The provider's accounts, in Redis; keys are listed in `core/redis/lua/prelude.lua`."""

from typing import Final, TypedDict

from core.jobs.job import JobId
from core.jobs.status import Step
from core.operations.account_pauses import read_pause
from core.provider.accounts import Account
from core.redis.store import JobStore
from core.scheduling import circuit_breakers
from core.scheduling.slots import pools
from core.timestamps import milliseconds

#: Jobs of one lane that are looked at in one go: it must not outlast the sweep's lease.
_ADOPT_BATCH: Final = 200


class AccountState(TypedDict):
    """How an account stands; times are ISO 8601."""

    #: Why the provider does not serve it; None where it does.
    refused: str | None
    #: Why it rests, or is tried with one job at a time; None where it does not.
    paused: str | None
    #: When it is granted slots again; None where it does not pause, or is being tried.
    paused_until: str | None
    #: Slots that it is granted at most since the provider was busy (429); None: all that it has.
    ceiling: int | None
    ceiling_until: str | None
    #: As last heard; None where that is not known.
    credits: str | None


class AccountRegistry:
    """Keeps credits and refusals of the accounts, and the lanes they serve.

    Args:
        store: Whose Redis, scripts and clock are used.
        accounts: As the settings name them.
    """

    def __init__(self, store: JobStore, accounts: tuple[Account, ...]) -> None:
        self._store = store
        self._accounts = accounts

    def record_check(
        self, name: str, *, credits_left: float | None, refused: str | None, check_at: float
    ) -> bool:
        """Record what was heard of an account.

        Args:
            name: Which.
            credits_left: Its credits; None where that is not known.
            refused: Why the provider does not serve it; None where it does.
            check_at: Unix time at which to look again.

        Returns:
            True where it was refused before and is served again; its slots are granted at once.
        """
        payload = self._store.payload() | {
            "pool": name,
            "credits": None if credits_left is None else str(credits_left),
            "refused": refused,
            "check_at": check_at,
        }
        payload = {name: value for name, value in payload.items() if value is not None}
        return bool(self._store.scripts.run("account", payload))

    def schedule_checks(self) -> None:
        """See to it that every account is looked at regularly, from now on."""
        due = {f"{Step.ACCOUNT}:{account.name}": self._store.now() for account in self._accounts}
        self._store.read("zadd", "due", due, nx=True)

    def unschedule_check(self, name: str) -> None:
        """Look at an account no more."""
        self._store.read("zrem", "due", f"{Step.ACCOUNT}:{name}")

    def states(self) -> dict[str, AccountState]:
        """Return how each account stands."""
        return {account.name: self._state(account.name) for account in self._accounts}

    def _state(self, name: str) -> AccountState:
        keys = [f"pool:{name}:{what}" for what in ("refused", "credits")]
        refused, credits_left = self._store.read("mget", keys)
        pause, now = read_pause(self._store, name), self._store.now()
        return AccountState(
            refused=refused,
            paused=pause.reason,
            paused_until=milliseconds(now + pause.seconds) if pause.seconds else None,
            ceiling=pause.ceiling,
            ceiling_until=milliseconds(now + pause.ceiling_seconds)
            if pause.ceiling_seconds
            else None,
            credits=credits_left,
        )

    def breaker_reason(self, breaker: str) -> str | None:
        """Return why a breaker is open, or half open; None where it is closed."""
        reason: str | None
        failures, reason = self._store.read("hmget", f"breaker:{breaker}", "failures", "reason")
        return reason if int(failures or 0) >= circuit_breakers.opens_after(breaker) else None

    def blocking_reason(self) -> str | None:
        """Return in words for callers what keeps every job from being made now; None: nothing."""
        if self.breaker_reason(circuit_breakers.STORAGE):
            return "images cannot be stored at the moment"
        if all(state["refused"] or state["paused"] for state in self.states().values()):
            return "the provider takes no jobs at the moment"
        return None

    def credits(self) -> float | None:
        """Return the credits of all accounts as workers saw them last, None where none has."""
        figures = [float(state["credits"]) for state in self.states().values() if state["credits"]]
        return sum(figures) if figures else None

    def adopt(self) -> int:
        """Move jobs out of lanes that the settings do not know (any more); return how many.

        A lane follows from the settings, and those may change while jobs wait.
        """
        served = {lane["name"] for pool in pools(self._accounts) for lane in pool["lanes"]}
        moved = 0
        for lane in set(self._store.read("smembers", "lanes")) - served:
            for job_id in self._store.read("zrange", f"backlog:{lane}", 0, _ADOPT_BATCH - 1):
                moved += self._move(JobId(job_id), lane)
        return moved

    def _move(self, job_id: JobId, lane: str) -> int:
        job = self._store.load(job_id)
        target = self._store.lane(job.request) if job else lane
        if target == lane:
            return 0
        payload = {"job": job_id, "from": lane, "lane": target}
        return int(self._store.scripts.run("adopt", self._store.payload() | payload))

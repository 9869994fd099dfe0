"""The status of provider accounts in Redis; keys are listed in `core/redis/lua/prelude.lua`."""

from typing import Final, TypedDict

from core.jobs.job import JobId
from core.jobs.status import Step
from core.operations.account_pauses import read_pause
from core.provider.accounts import Account
from core.redis.store import JobStore
from core.scheduling import circuit_breakers
from core.scheduling.slots import pools
from core.timestamps import milliseconds

#: Jobs of one lane moved in one go: this must not outlast the sweep's lease.
_ADOPT_BATCH: Final = 200


class AccountState(TypedDict):
    """The status of an account; times are ISO 8601."""

    #: Why the provider refuses the account; None if it does not.
    refused: str | None
    #: Why it is paused, or tried with one job at a time; None if neither.
    paused: str | None
    #: When it is granted slots again; None if not paused, or being tried.
    paused_until: str | None
    #: Cap on slots after a 429 of the provider; None: no cap.
    ceiling: int | None
    ceiling_until: str | None
    #: As last reported; None if unknown.
    credits: str | None


class AccountRegistry:
    """Maintains credits, refusals and lanes of the accounts.

    Args:
        store: Provides Redis, scripts and clock.
        accounts: The configured accounts.
    """

    def __init__(self, store: JobStore, accounts: tuple[Account, ...]) -> None:
        self._store = store
        self._accounts = accounts

    def record_check(
        self, name: str, *, credits_left: float | None, refused: str | None, check_at: float
    ) -> bool:
        """Record the result of an account check.

        Args:
            name: The account.
            credits_left: Its credits; None if unknown.
            refused: Why the provider refuses it; None if it does not.
            check_at: Unix time of the next check.

        Returns:
            True if it was refused before and is accepted again; its slots are granted at once.
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
        """Schedule regular checks of every account, unless they are scheduled already."""
        due = {f"{Step.ACCOUNT}:{account.name}": self._store.now() for account in self._accounts}
        self._store.read("zadd", "due", due, nx=True)

    def check_now(self, name: str) -> None:
        """Have an account checked at once."""
        self._store.read("zadd", "due", {f"{Step.ACCOUNT}:{name}": self._store.now()})

    def unschedule_check(self, name: str) -> None:
        """Stop checking an account."""
        self._store.read("zrem", "due", f"{Step.ACCOUNT}:{name}")

    def states(self) -> dict[str, AccountState]:
        """Return the status of each account."""
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
        """Return why a breaker is open or half open; None if it is closed."""
        reason: str | None
        failures, reason = self._store.read("hmget", f"breaker:{breaker}", "failures", "reason")
        return reason if int(failures or 0) >= circuit_breakers.opens_after(breaker) else None

    def blocking_reason(self) -> str | None:
        """Return, in words for callers, what blocks all jobs at the moment; None: nothing."""
        if self.breaker_reason(circuit_breakers.STORAGE):
            return "results cannot be stored at the moment"
        if all(state["refused"] or state["paused"] for state in self.states().values()):
            return "the provider accepts no jobs at the moment"
        return None

    def credits(self) -> float | None:
        """Return the total credits of all accounts, as last reported; None if unknown."""
        figures = [float(state["credits"]) for state in self.states().values() if state["credits"]]
        return sum(figures) if figures else None

    def adopt(self) -> int:
        """Move jobs out of lanes that no account serves any more; return how many.

        Lanes follow from the settings, which may change while jobs wait.
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

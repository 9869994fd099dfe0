"""The accounts: one per API key, each with its remaining credits."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from starlette.requests import Request

from sandbox.refusals import RefusedError
from sandbox.settings import KEY_LENGTH_MIN
from sandbox.tasks.tasks import TaskBook


def account_of(key: str) -> str:
    """Return the account of a key: the first 8 hex digits of its SHA-256."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Accounts:
    """The accounts that may send requests."""

    keys: frozenset[str]

    def of(self, request: Request) -> str:
        """Return the account of the key in the `x-key` header.

        Raises:
            RefusedError: The key is missing, malformed or unknown.
        """
        key = request.headers.get("x-key", "")
        if not key:
            raise RefusedError(403, "Not authenticated")
        if len(key) < KEY_LENGTH_MIN or len(key.split()) != 1:
            raise RefusedError(422, "Invalid API key format")
        if key not in self.keys:
            raise RefusedError(403, "Not authenticated - Invalid Authentication")
        return account_of(key)


class CreditBalances:
    """The accounts' credits. A task is charged when it is created; one without an image is free."""

    def __init__(
        self,
        book: TaskBook,
        accounts: Iterable[str],
        credits_each: float,
        granted: Mapping[str, float],
    ) -> None:
        """Grant every account `credits_each`, or the total that it was `granted` before."""
        self._book = book
        self._granted = {account: granted.get(account, credits_each) for account in accounts}

    @property
    def accounts(self) -> tuple[str, ...]:
        """Every account."""
        return tuple(self._granted)

    def left(self, account: str) -> float:
        """Return the account's remaining credits."""
        return self._granted[account] - self._book.charged[account]

    def require(self, account: str, price: float) -> None:
        """Check that the account can pay.

        Raises:
            RefusedError: It cannot.
        """
        if self.left(account) < price:
            raise RefusedError(402, "Insufficient credits")

    def set_left(self, account: str, amount: float) -> None:
        """Set the account's remaining credits."""
        self._granted[account] = amount + self._book.charged[account]

    def show(self) -> dict[str, float]:
        """Return the remaining credits of every account."""
        return {account: self.left(account) for account in self._granted}

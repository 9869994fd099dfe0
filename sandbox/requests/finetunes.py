"""The finetunes of an account, for the finetuned models and the utility routes."""

from collections import defaultdict
from typing import Final

from sandbox.refusals import RefusedError

#: The provider's answer about a finetune that is not the account's.
UNKNOWN: Final = "Finetune not found or access denied"


class Finetunes:
    """Every account starts with the same finetunes and may delete its own."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._deleted: defaultdict[str, set[str]] = defaultdict(set)

    def of(self, account: str) -> list[str]:
        """Return the account's finetunes."""
        return [name for name in self._names if name not in self._deleted[account]]

    def details(self, account: str, name: str) -> dict[str, object]:
        """Return the details of a finetune.

        Raises:
            RefusedError: If the account has none of this name.
        """
        if name not in self.of(account):
            raise RefusedError(404, UNKNOWN)
        return {
            "finetune_id": name,
            "finetune_comment": f"{name} of the sandbox",
            "finetune_type": "full",
            "trigger_word": "TOK",
            "mode": "general",
            "iterations": 300,
            "status": "Ready",
        }

    def delete(self, account: str, name: str) -> None:
        """Delete a finetune.

        Raises:
            RefusedError: If the account has none of this name.
        """
        self.details(account, name)
        self._deleted[account].add(name)

    def require(self, account: str, name: object) -> None:
        """Check that a submit may use the finetune; None is for models that need none.

        Raises:
            RefusedError: If the account has none of this name.
        """
        if name is not None and name not in self.of(account):
            raise RefusedError(400, "Finetune not found or not ready")

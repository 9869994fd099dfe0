"""How the fields are read, and what several of them say together.

A rule stands with the later of its fields, for it sees the valid ones of those before.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import (
    AliasGenerator,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from core.provider.accounts import DEFAULT_ACCOUNT, Account, with_known_limits
from core.provider.catalogue import MODELS, Model
from core.provider.models_file import offered
from core.settings.contradictions import contradictions
from core.settings.environment import Environment
from core.settings.variables import PREFIX
from core.text_values import ManyProblems, Secret, SlotLimits, secret

#: Tries values, by the names of their fields, with what will use them; returns problems.
Trial = Callable[[Mapping[str, Any]], Sequence[str]]
#: Returns a secret by its variable's name, None where it is not set; a ValueError says more.
SecretOf = Callable[[str], str | None]


class CrossFieldRules(BaseSettings):
    """The base of `core.settings.settings.Settings`, which has the fields."""

    model_config = SettingsConfigDict(
        alias_generator=AliasGenerator(validation_alias=lambda name: PREFIX + name.upper()),
        arbitrary_types_allowed=True,
        case_sensitive=True,
        enable_decoding=False,  # our texts are not JSON
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        validate_default=True,
    )

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # files of other kinds are not read
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        **_: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment that `from_env` was given, and nothing else."""
        given = init_settings()
        return init_settings, Environment(settings_cls, given["environ"], given["process"])

    @field_validator("*", mode="wrap")
    @classmethod
    def _read(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Any:
        """Leave out what the other process reads, and tell what could not be had."""
        if isinstance(value, ValueError):
            raise value
        return None if value is None else read(value)

    @field_validator("accounts", check_fields=False)
    @classmethod
    def _default_account(
        cls, accounts: tuple[Account, ...] | None, info: ValidationInfo
    ) -> tuple[Account, ...]:
        known = {**MODELS, **(info.data.get("added_models") or {})}.values()
        if accounts:
            return tuple(with_known_limits(account, known) for account in accounts)
        parts = {"url": "provider_url", "slots": "slots", "poll_urls": "poll_urls"}
        values: dict[str, Any] = {name: info.data.get(part) for name, part in parts.items()}
        default = Account(name=DEFAULT_ACCOUNT, **values)
        # None is a problem that was told.
        return (default if values["slots"] is None else with_known_limits(default, known),)

    @field_validator("account_keys", mode="plain", check_fields=False)
    @classmethod
    def _account_keys(cls, secret_of: SecretOf | None, info: ValidationInfo) -> dict[str, Secret]:
        """Find each account's key; the service calls no provider, and has no way to find them."""
        if secret_of is None:
            return {}
        keys: dict[str, Secret] = {}
        problems: list[str] = []
        for account in info.data.get("accounts", ()):
            name = account.key_variable
            if name == "BFL_API_KEY" and "bfl_api_key" not in info.data:
                continue  # was told of
            try:
                keys[account.name] = _api_key(secret_of(name))
            except ValueError as error:
                what = f"the account {account.name}'s; FLUXRELAY_ACCOUNTS may name others"
                problems.append(f"{name}: {error} (The provider's API key, {what}.)")
        if problems:
            raise ManyProblems(problems)
        return keys

    @field_validator("models", check_fields=False)
    @classmethod
    def _known_models(
        cls, names: tuple[str, ...] | None, info: ValidationInfo
    ) -> Mapping[str, Model]:
        """Look the names up; workers know all, for a job that was accepted is done."""
        found = offered(names, info.data.get("added_models"))
        accounts = info.data.get("accounts", ())
        orphans = [
            name for name in names or () if not any(one.serves(name, None) for one in accounts)
        ]
        if orphans and accounts:
            listed = ", ".join(orphans)
            raise ValueError(f"no account in FLUXRELAY_ACCOUNTS serves {listed}")
        return found

    @field_validator("trial", check_fields=False)
    @classmethod
    def _passes_the_trial(cls, trial: Trial, info: ValidationInfo) -> Trial:
        values = {name: info.data.get(name) for name in cls.model_fields}
        if problems := [*contradictions(values), *_unknown_models(values), *trial(values)]:
            raise ManyProblems(problems)
        return trial


def _api_key(text: str | None) -> Secret:
    if text is None:
        raise ValueError("is not set")
    return secret(text)


def _unknown_models(values: Mapping[str, Any]) -> list[str]:
    """Return which models the accounts name that there are not."""
    models = {**MODELS, **(values["added_models"] or {})}
    known = {*models} | {model.lane for model in models.values() if model.lane}
    found = []
    for account in values["accounts"] or ():
        is_default = account.name == DEFAULT_ACCOUNT
        start = "FLUXRELAY_SLOTS:" if is_default else f"FLUXRELAY_ACCOUNTS: account {account.name}"
        slots = account.slots or SlotLimits(0)
        found += [
            f"{start} limits {model}, which is no known model"
            for model in sorted(slots.by_model.keys() - known)
        ]
        found += [
            f"{start} limits {model}, which shares the limit of {slots.shared[model]}: set that one"
            for model in sorted(slots.by_model.keys() & slots.shared.keys())
        ]
        found += [
            f"{start} serves {model}, which is no known model"
            for model in sorted((account.models or frozenset()) - models.keys())
        ]
    return found

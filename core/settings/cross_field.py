"""What several variables say together: accounts and their keys, the catalogue, and durations."""

from collections.abc import Mapping
from typing import Any

from core import text_values
from core.provider.accounts import DEFAULT_ACCOUNT, Account
from core.provider.catalogue import MODELS
from core.provider.models_file import offered
from core.settings.variables import WORKER, declaration, read


def settle(
    values: dict[str, Any], environ: Mapping[str, str], process: str, problems: list[str]
) -> None:
    """Complete what was read from single variables.

    Args:
        values: Field of the settings -> value; completed in place.
        environ: The environment.
        process: For whom.
        problems: What was wrong with single variables; what does not fit together is added.
    """
    values["accounts"] = values["accounts"] or (_default_account(values),)
    if process == WORKER:  # the service calls no provider
        values["account_keys"] = _account_keys(values, environ, problems)
    try:
        # Workers know them all: a job that was accepted is done, offered since or not.
        values["models"] = offered(values["models"], values["added_models"])
    except ValueError as error:
        problems.append(f"FLUXRELAY_MODELS: {error}")
    problems += _unknown_limits(values)
    doubt, timeout = values["submit_in_doubt_seconds"], values["provider_timeout_seconds"]
    if doubt and timeout and doubt <= timeout:
        problems.append(
            "FLUXRELAY_SUBMIT_IN_DOUBT_SECONDS: must be longer than "
            "FLUXRELAY_PROVIDER_TIMEOUT_SECONDS, or a slow submit would be repeated"
        )
    watch, callback = values["watch_seconds"], values["callback_timeout_seconds"]
    if watch and callback and watch <= callback:
        problems.append(
            "FLUXRELAY_WATCH_SECONDS: must be longer than FLUXRELAY_CALLBACK_TIMEOUT_SECONDS, "
            "or a slow receiver would be called twice at a time"
        )


def _unknown_limits(values: Mapping[str, Any]) -> list[str]:
    """Say which limits of slots are for models that there are not."""
    models = {**MODELS, **(values["added_models"] or {})}
    known = {*models} | {model.lane for model in models.values() if model.lane}
    return [
        f"{'FLUXRELAY_SLOTS' if account.name == DEFAULT_ACCOUNT else 'FLUXRELAY_ACCOUNTS'}: "
        f"limits {model}, which is no known model"
        for account in values["accounts"]
        for model in sorted(account.slots.by_model if account.slots else ())
        if model not in known
    ]


def _default_account(values: Mapping[str, Any]) -> Account:
    return Account(
        name=DEFAULT_ACCOUNT,
        url=values["provider_url"],
        slots=values["slots"],
        poll_urls=values["poll_urls"],
    )


def _account_keys(
    values: Mapping[str, Any], environ: Mapping[str, str], problems: list[str]
) -> dict[str, text_values.Secret]:
    """Return each account's key."""
    if values["accounts"] == (_default_account(values),):
        if values["bfl_api_key"] is None and not any("BFL_API_KEY" in line for line in problems):
            problems.append("BFL_API_KEY: is not set (and FLUXRELAY_ACCOUNTS names no accounts)")
        return {DEFAULT_ACCOUNT: values["bfl_api_key"]}
    keys: dict[str, text_values.Secret] = {}
    for account in values["accounts"]:
        doc = f"The provider's API key of the account {account.name}."
        declared = declaration(account.key_variable, text_values.secret, doc, secret=True)
        keys[account.name] = read(declared, environ, WORKER, problems)
    return keys

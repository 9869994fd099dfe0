"""Accounts from their setting, and the lanes that follow from them."""

import json
from typing import Any

import pytest

from core.errors import SettingsError
from core.provider.accounts import Account, accounts
from core.scheduling.slots import lane_of, pools
from core.settings.settings import SERVICE, WORKER, Settings
from core.text_values import SlotLimits

GOOD = {
    "FLUXRELAY_WEBHOOK_SECRET": "m" * 32,
    "FLUXRELAY_API_KEYS": "demo:a-key-of-16-chars",
    "FLUXRELAY_REDIS_URL": "redis://127.0.0.1:6379/0",
    "FLUXRELAY_S3_BUCKET": "pictures",
}
TWO = json.dumps([{"name": "main"}, {"name": "europe-1", "region": "eu", "slots": "6"}])


def test_every_field_of_an_account_is_read() -> None:
    """What is left out is the provider's global host with its usual limits, for all models."""
    text = json.dumps(
        [
            {"name": "main"},
            {
                "name": "europe",
                "url": "https://api.eu.bfl.ai/",
                "region": "eu",
                "slots": "10,flux-kontext-max=2",
                "models": ["flux-pro-1.1"],
                "poll_urls": ["https://api.eu2.bfl.ai"],
            },
        ]
    )

    assert accounts(text) == (
        Account(
            name="main", url="https://api.bfl.ai", slots=SlotLimits(24, {"flux-kontext-max": 6})
        ),
        Account(
            name="europe",
            url="https://api.eu.bfl.ai",
            region="eu",
            slots=SlotLimits(10, {"flux-kontext-max": 2}),
            models=frozenset({"flux-pro-1.1"}),
            poll_urls=("https://api.eu2.bfl.ai",),
        ),
    )


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ("{", "JSON array"),
        ({}, "JSON array"),
        ([], "at least one account"),
        (["main"], "account 1: must be an object"),
        ([{"name": "main", "key": "secret"}], "account 1: must be an object with name, url"),
        ([{"url": "https://h"}], "account 1: name must consist of lower-case"),
        ([{"name": "Main"}], "account 1: name must consist of lower-case"),
        ([{"name": "a"}, {"name": "b", "url": "h"}], "account 2: url must be an http"),
        ([{"name": "a", "slots": "many"}], "account 1: slots must look like 24"),
        ([{"name": "a", "region": ""}], "account 1: region must"),
        ([{"name": "a", "models": "all"}], "account 1: models must be an array"),
        ([{"name": "a"}, {"name": "a"}], "account 2: two accounts have the same name"),
        ([{"name": "A", "slots": "x", "regin": "eu"}], "but has regin; account 1: name must"),
        ([{"name": "A", "slots": "x"}], "digits and -; account 1: slots must look like"),
        ([1, {"name": "a", "url": "x", "models": 1}], "account 2: url must be an http"),
        ([{"name": "a", "poll_urls": ["https://u:p@h?x"]}], "no query; account 1: poll_urls must"),
    ],
)
def test_a_bad_account_is_named_with_what_is_wrong(entries: Any, words: str) -> None:
    """The message says which account, and what must stand there."""
    text = entries if isinstance(entries, str) else json.dumps(entries)
    with pytest.raises(ValueError, match="account") as caught:
        accounts(text)

    assert words in str(caught.value)


def test_each_account_s_key_is_a_variable_of_its_own() -> None:
    """Workers need all of them, and say which is missing; the service needs, and gets, none."""
    environ = GOOD | {"FLUXRELAY_ACCOUNTS": TWO, "BFL_API_KEY_MAIN": "key-of-main"}

    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ, WORKER)
    worker = Settings.from_env(environ | {"BFL_API_KEY_EUROPE_1": "key-of-europe"}, WORKER)
    service = Settings.from_env(environ, SERVICE)

    assert [line.partition(":")[0] for line in caught.value.problems] == ["BFL_API_KEY_EUROPE_1"]
    assert {name: key.reveal() for name, key in worker.account_keys.items()} == {
        "main": "key-of-main",
        "europe-1": "key-of-europe",
    }
    assert service.account_keys == {}
    assert [account.name for account in service.accounts] == ["main", "europe-1"]


def test_without_accounts_there_is_the_default_one() -> None:
    """`BFL_API_KEY`, the provider's URL, slots and further hosts make it."""
    environ = GOOD | {
        "BFL_API_KEY": "the-one-key",
        "FLUXRELAY_SLOTS": "3",
        "FLUXRELAY_PROVIDER_POLL_URLS": "https://api.eu.bfl.ai",
    }

    settings = Settings.from_env(environ, WORKER)

    [account] = settings.accounts
    assert (account.name, account.slots.total) == ("default", 3)
    assert account.poll_urls == ("https://api.eu.bfl.ai",)
    assert settings.account_keys["default"].reveal() == "the-one-key"


def _account(name: str, **fields: Any) -> Account:
    return Account(name=name, url="https://h", slots=fields.pop("slots", SlotLimits(2)), **fields)


def test_pinned_jobs_and_special_models_wait_in_lanes_of_their_own() -> None:
    """All others share one lane, which every account serves."""
    known = [
        _account("main", slots=SlotLimits(24, {"max": 6})),
        _account("europe", region="eu"),
        _account("fast", region="us", models=frozenset({"klein"})),
    ]

    assert lane_of("pro", None, known) == "any"
    assert lane_of("pro", "eu", known) == "any@eu"
    assert lane_of("max", None, known) == "max"
    assert lane_of("klein", "us", known) == "klein@us"


def test_a_pool_serves_just_what_its_account_may_make() -> None:
    """An account of a region takes jobs of that region and of none; one with models those only."""
    known = [
        _account("main", slots=SlotLimits(24, {"max": 6})),
        _account("europe", region="eu"),
        _account("fast", region="us", models=frozenset({"klein"})),
    ]

    lanes = {pool["name"]: [lane["name"] for lane in pool["lanes"]] for pool in pools(known)}

    assert lanes == {
        "main": ["any", "klein", "max"],
        "europe": ["any", "any@eu", "klein", "klein@eu", "max", "max@eu"],
        "fast": ["klein", "klein@us"],
    }
    [limited] = [lane for lane in pools(known)[0]["lanes"] if "limit" in lane]
    assert limited == {"name": "max", "limit": 6, "model": "max"}

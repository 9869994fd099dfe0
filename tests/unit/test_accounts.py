"""Accounts from their setting, and the lanes that follow from them."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import SettingsError
from core.provider.accounts import Account, accounts, with_known_limits
from core.provider.catalogue import Model
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


def _model(name: str, **fields: Any) -> Model:
    return Model(name=name, source="a test", parameters={}, **fields)


#: One model has a limit, which two others share, and one shares a limit that nobody named.
VIDEOS = (
    _model("video", active_limit=5),
    _model("edit", lane="video"),
    _model("upscale", lane="video"),
    _model("twin", lane="max"),
    _model("pro"),
)


@pytest.mark.parametrize(
    ("slots", "limits"),
    [
        (SlotLimits(24), {"video": 5}),
        (SlotLimits(24, {"max": 6}), {"video": 5, "max": 6}),
        (SlotLimits(24, {"video": 20}), {"video": 20}),
        (SlotLimits(24, {"video": 1}), {"video": 1}),
        (SlotLimits(3), {"video": 3}),
    ],
)
def test_a_known_limit_holds_where_the_setting_names_none(
    slots: SlotLimits, limits: dict[str, int]
) -> None:
    """The setting's number counts where there is one, and no limit is above the account's own."""
    account = with_known_limits(_account("main", slots=slots), VIDEOS)

    assert (account.slots.total, account.slots.by_model) == (slots.total, limits)
    assert account.limit_of("edit") == account.limit_of("video") == "video"
    assert account.limit_of("twin") == ("max" if "max" in limits else None)
    assert account.limit_of("pro") is None


def test_models_that_share_a_limit_wait_in_one_lane() -> None:
    """The oldest of them is next, whichever model it is of."""
    known = [with_known_limits(_account("main", slots=SlotLimits(24)), VIDEOS)]

    assert {lane_of(name, None, known) for name in ("video", "edit", "upscale")} == {"video"}
    assert lane_of("twin", None, known) == lane_of("pro", None, known) == "any"
    assert lane_of("edit", "eu", known) == "video@eu"
    assert pools(known)[0]["lanes"] == [
        {"name": "any"},
        {"name": "video", "limit": 5, "model": "video"},
    ]


@pytest.mark.parametrize("served", ["video", "edit"])
def test_an_account_that_serves_one_of_them_gets_no_job_of_the_others(served: str) -> None:
    """Then each model has a lane of its own, and all of them still count in the one limit."""
    both = [_account("some", models=frozenset({served})), _account("all", slots=SlotLimits(24))]
    known = [with_known_limits(account, VIDEOS) for account in both]

    some, every = ({lane["name"]: lane for lane in pool["lanes"]} for pool in pools(known))

    assert lane_of(served, None, known) == served
    assert set(some) == {served}
    assert lane_of("upscale", None, known) not in some
    for name in ("video", "edit", "upscale"):
        lane = every[lane_of(name, None, known)]
        assert (lane["limit"], lane["model"]) == (5, "video")


def test_a_model_of_the_deployment_shares_a_limit(tmp_path: Path) -> None:
    """Its file names the model; the settings bring the two together."""
    path = tmp_path / "models.json"
    entry = {"name": "twin", "like": "flux-kontext-max", "lane": "flux-kontext-max"}
    path.write_text(json.dumps({"models": [entry]}))
    environ = GOOD | {"FLUXRELAY_MODELS_FILE": str(path)}

    for account in Settings.from_env(environ, SERVICE).accounts:
        assert account.limit_of("twin") == "flux-kontext-max"
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ | {"FLUXRELAY_SLOTS": "9,flux-kontext-max=2,twin=1"}, SERVICE)
    assert caught.value.problems == (
        "FLUXRELAY_SLOTS: limits twin, which shares the limit of flux-kontext-max: set that one",
    )

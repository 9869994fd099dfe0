"""A server's settings come to one word and one sentence, and the right people hear it once."""

import logging
import threading
from dataclasses import replace

import pytest

from core.errors import StoreUnavailable
from core.redis.durability import Durability, Guarantee, ServerSettings, assess, log_durability

BEST = ServerSettings(
    appendonly=True, appendfsync="always", snapshots=False, waitaof=True, eviction="noeviction"
)
EVERYSEC = replace(BEST, appendfsync="everysec")
NO_FILE = replace(BEST, appendonly=False)


@pytest.mark.parametrize(
    ("server", "require_aof", "word", "at_risk"),
    [
        (BEST, True, "always", "no accepted job"),
        (BEST, False, "always", "no accepted job"),
        (replace(BEST, waitaof=False), True, "always", "no accepted job"),
        (EVERYSEC, True, "waitaof", "up to the last second, if the host dies"),
        (replace(BEST, appendfsync=None), True, "waitaof", "and appendfsync is not 'always'"),
        (NO_FILE, True, "refused", "appendonly is off"),
        (replace(BEST, appendfsync="no"), True, "refused", "Redis confirms no writes"),
        (replace(EVERYSEC, waitaof=False), True, "refused", "has no WAITAOF"),
        (replace(BEST, appendfsync=None, waitaof=False), True, "refused", "CONFIG GET"),
        (EVERYSEC, False, "none", "up to the last second or two, if the host dies"),
        (replace(BEST, appendfsync="no"), False, "none", "has not written to disk yet"),
        (NO_FILE, False, "none", "all jobs, whenever Redis stops"),
        (replace(NO_FILE, snapshots=True), False, "none", "since Redis's last snapshot"),
        (replace(NO_FILE, snapshots=None), False, "none", "since Redis's last snapshot"),
    ],
)
def test_settings_come_to_a_word(
    server: ServerSettings, require_aof: bool, word: str, at_risk: str
) -> None:
    """What is known of a server and what the operator asks for decide, nothing else."""
    guarantee = assess(server, require_aof=require_aof)

    assert guarantee.durability == word
    assert at_risk in guarantee.at_risk


def heard(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int, str]]:
    """Return the events written by this test: name, level, word.

    An application of an earlier test may still look for its Redis, in a thread of its own.
    """
    return [
        (record.message, record.levelno, getattr(record, "fields", {}).get("durability", ""))
        for record in caplog.records
        if record.thread == threading.get_ident()
    ]


@pytest.mark.parametrize(
    ("server", "level"),
    [(BEST, logging.INFO), (EVERYSEC, logging.WARNING), (NO_FILE, logging.ERROR)],
)
def test_it_is_as_loud_as_it_is_bad(
    server: ServerSettings, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing at risk is information, a risk a warning, refused jobs an error."""
    guarantee = assess(server, require_aof=True)
    with caplog.at_level(logging.INFO):
        log_durability(lambda: guarantee, threading.Event())

    assert heard(caplog) == [("redis.durability", level, guarantee.durability)]
    assert caplog.records[0].__dict__["fields"]["at_risk"] == guarantee.at_risk


def test_a_server_that_may_evict_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Jobs that Redis deletes to make room are lost, so its policy is told."""
    server = replace(BEST, eviction="allkeys-lru")
    with caplog.at_level(logging.INFO):
        log_durability(lambda: assess(server, require_aof=True), threading.Event())

    assert [record.message for record in caplog.records] == ["redis.durability", "redis.may_evict"]
    assert caplog.records[1].__dict__["fields"]["policy"] == "allkeys-lru"


def test_an_unknown_policy_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A server that does not say how it evicts is not accused of it."""
    server = replace(BEST, eviction=None)
    with caplog.at_level(logging.INFO):
        log_durability(lambda: assess(server, require_aof=True), threading.Event())

    assert [name for name, _, _ in heard(caplog)] == ["redis.durability"]


def test_a_server_that_is_away_is_told_of_once_and_then_when_it_is_known(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads the log learns that it is not known yet, and later what it is."""
    monkeypatch.setattr("core.redis.durability._ASK_AGAIN", 0.001)
    away = iter(range(3))

    def find() -> Guarantee:
        for _ in away:
            raise StoreUnavailable("Redis: away")
        return assess(BEST, require_aof=True)

    with caplog.at_level(logging.INFO):
        log_durability(find, threading.Event())

    assert heard(caplog) == [
        ("redis.durability", logging.WARNING, Durability.UNKNOWN),
        ("redis.durability", logging.INFO, Durability.ALWAYS),
    ]


def test_a_process_that_ends_asks_no_more(caplog: pytest.LogCaptureFixture) -> None:
    """The waiting for a server that is away ends with the process."""
    stop = threading.Event()
    asked = []

    def find() -> Guarantee:
        asked.append(1)
        stop.set()
        raise StoreUnavailable("Redis: away")

    with caplog.at_level(logging.INFO):
        log_durability(find, stop)

    assert len(asked) == 1

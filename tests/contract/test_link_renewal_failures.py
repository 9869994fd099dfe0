"""A result's link that fails, and for which nobody names a better one (yet): how the job ends."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from core.errors import StoreUnavailable
from core.jobs.failures import FailureCode
from core.jobs.status import Status
from core.jobs.views import job_view
from core.redis.change import Change
from tests.contract.harness import A, Bench, meanwhile
from tests.contract.result_links import (
    BAD,
    DEAD,
    MODERATED,
    answering,
    collect_once,
    collect_to_the_end,
    named,
    store_from,
    times_asked,
)
from tests.contract.scripted_server import Script, answer
from worker.steps.collect import collect

Draw = Callable[[str], bytes]


@pytest.mark.parametrize(
    ("link", "code", "told"),
    [
        ("", FailureCode.RESULT_EXPIRED, "403"),
        (BAD["foreign"], FailureCode.PROVIDER_ERROR, "FLUXRELAY_RESULT_HOSTS"),
        (BAD["foreign"], FailureCode.PROVIDER_ERROR, "evil.example"),
        (BAD["malformed"], FailureCode.PROVIDER_ERROR, "neither http"),
        (BAD["userinfo"], FailureCode.PROVIDER_ERROR, "user name or password"),
        ("http://127.0.0.1:1/nobody", FailureCode.RESULT_EXPIRED, "could not be fetched"),
    ],
)
def test_a_link_without_a_better_one_ends_with_its_life(
    bench: Bench, link: str, code: FailureCode, told: str
) -> None:
    """The provider is asked a few times, further and further apart, and once more at the end."""
    store_from(bench, link, lives_for=40, regenerate=link in BAD.values())
    told_again = link or f"{bench.server.url}/image"
    answering(bench, image=DEAD, get_result=named(told_again))

    took = collect_to_the_end(bench)

    assert bench.error == code
    message = (bench.job.error or {})["message"]
    assert told in message
    assert "secret" not in message
    assert 40 <= took <= 40.2
    assert 4 <= times_asked(bench) <= 12


def test_a_foreign_link_that_the_provider_names_is_told(bench: Bench) -> None:
    """The operator can mend it: the host and the setting are named, and it is never called."""
    store_from(bench, lives_for=-1)
    answering(bench, image=DEAD, get_result=named(BAD["foreign"]))

    collect_once(bench)

    assert bench.error == FailureCode.PROVIDER_ERROR
    assert "FLUXRELAY_RESULT_HOSTS does not allow: evil.example" in str(bench.job.error)
    assert "secret" not in str(bench.job.error)


def test_a_dead_link_s_end_is_asked_about_once_more(bench: Bench, picture: Draw) -> None:
    """The workers were away for as long as it lived, and the provider names a fresh one."""
    store_from(bench, lives_for=-100, regenerate=True)
    answering(
        bench,
        image=DEAD,
        get_result=named(f"{bench.server.url}/better"),
        better=answer(200, picture("PNG")),
    )

    collect_once(bench)
    collect_once(bench)

    assert bench.job.status is Status.SUCCEEDED
    assert bench.job.regenerations == 0


def test_it_is_made_again_only_where_nobody_names_a_link(bench: Bench) -> None:
    """Asking costs nothing, making it again does."""
    store_from(bench, lives_for=-1, regenerate=True)
    answering(bench, image=DEAD, get_result=answer(404, b"{}"))

    collect_once(bench)

    assert times_asked(bench) == 1
    assert bench.job.regenerations == 1
    assert (bench.job.ask_at, bench.job.waiting, bench.job.tries.get("ask")) == (None, None, None)


@pytest.mark.parametrize("link", list(BAD.values()))
def test_a_bad_link_of_a_task_that_failed(bench: Bench, link: str) -> None:
    """There never was an image: the true reason is told, and at once."""
    store_from(bench, link)
    answering(bench, get_result=MODERATED)

    collect_once(bench)

    assert bench.error == FailureCode.CONTENT_MODERATED


@pytest.mark.parametrize("word", [MODERATED, answer(404, b"{}"), answer(503, b"")])
def test_a_dead_link_of_a_task_that_is_told_to_have_failed(bench: Bench, word: Script) -> None:
    """The image was there, and may come back while its link lives: then it has expired."""
    store_from(bench, lives_for=20)
    answering(bench, image=DEAD, get_result=word)
    collect_once(bench)
    assert bench.job.error is None

    collect_to_the_end(bench)

    assert bench.error == FailureCode.RESULT_EXPIRED


def test_a_slip_of_the_link_s_host_asks_nobody(bench: Bench, picture: Draw) -> None:
    """It is tried again first; what fails a second time is asked about."""
    store_from(bench)
    answering(bench, image=answer(500), get_result=named(f"{bench.server.url}/image"))
    collect_once(bench)
    assert times_asked(bench) == 0
    collect_once(bench)
    assert times_asked(bench) == 1
    collect_once(bench)
    assert times_asked(bench) == 1, "it is not asked at each try"
    answering(bench, image=answer(200, picture("PNG")))

    collect_once(bench)

    assert bench.job.status is Status.SUCCEEDED


def test_of_two_that_ask_one_replaces_the_link(bench: Bench) -> None:
    """The slower one's answer does not take the faster one's link away."""
    store_from(bench)
    faster = Change(set={"result_url": f"{bench.server.url}/faster"})

    def replaced() -> None:
        assert bench.store.change(A, {Status.STORING}, faster)

    slower = meanwhile(replaced, named(f"{bench.server.url}/slower"))
    answering(bench, image=DEAD, get_result=slower)

    collect_once(bench)

    assert bench.job.result_url == f"{bench.server.url}/faster"


def test_a_redis_that_slips_while_the_provider_is_asked_ends_nothing(bench: Bench) -> None:
    """Redis says nothing of the image."""
    store_from(bench, lives_for=-1)
    answering(bench, image=DEAD, get_result=named(f"{bench.server.url}/better"))

    def away(*_arguments: object, **_more: object) -> bool:
        raise StoreUnavailable("Redis: away")

    store = type("Away", (), {"begin": bench.store.begin, "renew": away, "change": away})()

    with pytest.raises(StoreUnavailable):
        collect(A, replace(bench.deps, store=store))

    assert bench.job.error is None


def test_the_caller_sees_what_storing_waits_for(bench: Bench) -> None:
    """What, since when, until when, and what the last try said; no link and no secret is in it."""
    store_from(bench, BAD["foreign"])
    answering(bench, get_result=answer(404, b"{}"))
    assert job_view(bench.job)["waiting"] is None
    collect_once(bench)
    bench.clock.now += 60
    collect_once(bench)

    view = job_view(bench.job)

    assert view["error"] is None
    assert view["waiting"] == {
        "for": "result",
        "since": "2025-06-15T15:06:40.000Z",
        "until": "2025-06-15T15:11:40.000Z",
        "last_problem": "The result is on a host that FLUXRELAY_RESULT_HOSTS does not allow: "
        "evil.example",
    }
    assert "secret" not in json.dumps(view)
    bench.clock.now += 300
    collect_once(bench)
    assert job_view(bench.job)["waiting"] is None

"""A result's link that fails: the provider is asked for a better one."""

import time
from collections.abc import Callable

import pytest

from core.jobs.failures import FailureCode
from core.jobs.status import Status, Step
from core.operations.provider_results import apply_notice
from core.provider.wire_format import parse_notice
from core.redis.change import Change
from tests.contract.harness import A, Bench
from tests.contract.result_links import (
    BAD,
    DEAD,
    answering,
    collect_once,
    collect_to_the_end,
    living,
    named,
    store_from,
    times_asked,
)
from tests.contract.scripted_server import Wire, answer

Draw = Callable[[str], bytes]


@pytest.mark.parametrize("link", ["", *BAD.values(), "http://127.0.0.1:1/nobody"])
def test_the_provider_names_a_better_link(bench: Bench, picture: Draw, link: str) -> None:
    """Dead, unreachable, malformed or foreign: the image is stored all the same."""
    store_from(bench, link)
    answering(
        bench,
        image=DEAD,
        get_result=named(f"{bench.server.url}/better"),
        better=answer(200, picture("PNG")),
    )

    for _ in range(4):
        collect_once(bench)

    assert bench.job.status is Status.SUCCEEDED
    assert times_asked(bench) == 1
    assert not [r for r in bench.server.requests if r.headers["host"].startswith("evil")]


@pytest.mark.parametrize("half", ["\\ud800", "\\udfff", "\\udc00\\ud83d"])
def test_a_webhook_s_link_with_half_a_character_is_asked_for_again(
    bench: Bench, picture: Draw, half: str
) -> None:
    """It is stored as no link, never called, and the provider is asked at once."""
    bench.accept()
    bench.generating()
    link = f"{bench.server.url}/half{half}"
    raw = f'{{"id": "t1", "status": "Ready", "result": {{"sample": "{link}"}}}}'.encode()
    better = f"{bench.server.url}/better"
    answering(bench, get_result=named(better), better=answer(200, picture("PNG")))

    assert apply_notice(bench.store, A, parse_notice(raw, bench.clock.now, 600), "webhook", raw)
    for _ in range(2):
        collect_once(bench)

    assert bench.job.status is Status.SUCCEEDED
    assert times_asked(bench) == 1
    assert not [request for request in bench.server.requests if "/half" in request.target]


def test_an_answer_s_link_with_half_a_character_is_no_better_one(bench: Bench) -> None:
    """It is not called either, and a good one is waited for."""
    store_from(bench, BAD["malformed"])
    answering(bench, get_result=named(f"{bench.server.url}/half\ud800"))

    collect_once(bench)

    assert bench.job.status is Status.STORING
    assert bench.job.result_url == BAD["malformed"]
    assert (bench.due_in(Step.COLLECT) or 0) > 0


def test_a_better_link_starts_its_copy_in_the_same_step(bench: Bench) -> None:
    """Its life counts from now on, and nobody has to wait for a lease."""
    bench.clock.now = time.time()
    store_from(bench)
    end = bench.clock.now + 900
    better = living(bench, "better", 900)
    answering(bench, image=DEAD, get_result=named(better))
    bench.redis.delete("rq:queue:collect")

    collect_once(bench)

    assert bench.job.result_url == better
    assert bench.job.result_expires_at == pytest.approx(end, abs=0.001)
    assert bench.tasks("collect") == ["collect"]


def test_every_answer_may_name_another_link(bench: Bench, picture: Draw) -> None:
    """The first two are dead as well, and the third one is good."""
    store_from(bench)
    names = iter(["one", "two", "good"])

    def next_link(wire: Wire) -> None:
        named(f"{bench.server.url}/{next(names)}")(wire)

    answering(
        bench,
        **dict.fromkeys(("image", "one", "two"), DEAD),
        get_result=next_link,
        good=answer(200, picture("PNG")),
    )

    collect_to_the_end(bench)

    assert bench.job.timeline[-1][0] is Status.SUCCEEDED
    assert times_asked(bench) == 3


def test_links_that_never_work_end_with_the_deadline(bench: Bench) -> None:
    """Each answer names a fresh link with a fresh life: that is not gone along with for ever."""
    bench.clock.now = time.time()
    store_from(bench, lives_for=20, deadline_at=bench.clock.now + 100)
    dead = [f"dead{n}" for n in range(100)]
    names = iter(dead)

    def next_link(wire: Wire) -> None:
        named(living(bench, next(names), 20))(wire)

    answering(bench, **dict.fromkeys(dead, DEAD), image=DEAD, get_result=next_link)

    took = collect_to_the_end(bench)

    assert bench.error == FailureCode.RESULT_EXPIRED
    assert 100 < took < 121
    assert times_asked(bench) <= 20


def test_nobody_is_asked_without_end(bench: Bench) -> None:
    """However long a link lives, and however often it is named anew."""
    store_from(bench, lives_for=20)
    assert bench.store.change(A, {Status.STORING}, Change(add={"tries:ask": 20}))
    answering(bench, image=DEAD, get_result=named(f"{bench.server.url}/better"))

    collect_to_the_end(bench)

    assert bench.error == FailureCode.RESULT_EXPIRED
    assert times_asked(bench) == 0

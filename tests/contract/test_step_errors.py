"""What becomes of a step that ends in an error: it is due again, and its job ends in any case."""

import io
from collections.abc import Callable
from hashlib import sha256

import pytest

from core.errors import StorageUnavailable, Transient
from core.jobs.failures import FailureCode
from core.jobs.job import JobId
from core.jobs.status import CallbackState, Status, Step
from core.scheduling import circuit_breakers
from tests.contract.harness import A, Bench
from worker.deps import Deps
from worker.steps.cleanup import cleanup
from worker.tasks import run

Function = Callable[[JobId, Deps], None]
KEY = f"_inputs/{A}/input_image"


def _raises(error: Exception) -> Function:
    def step(_job_id: JobId, _deps: Deps) -> None:
        raise error

    return step


def _crash(bench: Bench, step: Step, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ArithmeticError):
            run(step, _raises(ArithmeticError()), A, bench.deps)


def test_a_step_that_crashes_each_time_ends_its_job(bench: Bench) -> None:
    """Nine times it is due again; the tenth is the end, and the caller is told."""
    bench.accept(callback_url="https://h/c")
    bench.generating()
    _crash(bench, Step.POLL, 9)
    assert bench.job.status is Status.GENERATING
    assert 0 < (bench.due_in(Step.POLL) or 0) <= 1

    _crash(bench, Step.POLL, 1)

    assert bench.error == FailureCode.LOST
    assert bench.job.callback_state is CallbackState.PENDING


def test_an_image_that_lives_is_not_given_up_for_crashes(bench: Bench) -> None:
    """It is paid for: it is tried until its link dies."""
    bench.accept()
    bench.storing(lives_for=300)
    _crash(bench, Step.COLLECT, 12)
    assert bench.job.status is Status.STORING

    bench.clock.now += 300
    _crash(bench, Step.COLLECT, 1)

    assert bench.error == FailureCode.LOST


@pytest.mark.parametrize("left", [0.4, 40.0])
def test_no_wait_sleeps_through_the_end_of_a_link(bench: Bench, left: float) -> None:
    """The nearer the end, the closer together come the tries, whatever a host asks for."""
    bench.accept()
    bench.storing(lives_for=left)

    run(Step.COLLECT, _raises(Transient("busy", retry_after=3600)), A, bench.deps)

    assert bench.due_in(Step.COLLECT) == pytest.approx(left / 4)


def test_no_crash_sleeps_through_the_end_of_a_link(bench: Bench) -> None:
    """A mistake that passes must not cost an image that could still be fetched."""
    bench.accept()
    bench.storing(lives_for=1.6)

    _crash(bench, Step.COLLECT, 6)

    assert bench.due_in(Step.COLLECT) == pytest.approx(0.4)


def test_once_the_link_is_dead_nothing_is_hurried(bench: Bench) -> None:
    """A bucket that cannot be looked into is asked at ease, and other images go on being made."""
    bench.accept()
    bench.storing(lives_for=-100)
    waits = []
    for _ in range(5):
        run(Step.COLLECT, _raises(StorageUnavailable("AccessDenied")), A, bench.deps)
        waits.append(bench.due_in(Step.COLLECT) or 0)

    assert all(
        full / 2 <= wait <= full for full, wait in zip([0.2, 0.4, 0.8, 1, 1], waits, strict=True)
    ), waits
    assert not bench.redis.exists(f"breaker:{circuit_breakers.STORAGE}")


def test_the_bucket_s_word_is_not_waited_for_beyond_the_deadline(bench: Bench) -> None:
    """Nobody can say whether the image lies there: the job ends when its time is over."""
    bench.accept(deadline_at=bench.clock.now + 0.15)
    bench.storing(lives_for=-100)
    for _ in range(5):
        run(Step.COLLECT, _raises(StorageUnavailable("AccessDenied")), A, bench.deps)

    assert bench.due_in(Step.COLLECT) == pytest.approx(0.15, abs=1e-3)


def test_a_step_that_was_put_off_comes_later_each_time(bench: Bench) -> None:
    """The wait doubles up to its longest, and a host's own wish counts."""
    bench.accept()
    waits = []
    for _ in range(6):
        run(Step.SUBMIT, _raises(Transient("away")), A, bench.deps)
        waits.append(bench.due_in(Step.SUBMIT) or 0)
    assert all(
        full / 2 <= wait <= full for full, wait in zip([0.2, 0.4, 0.8, 1, 1, 1], waits, strict=True)
    ), waits

    run(Step.SUBMIT, _raises(Transient("busy", retry_after=50)), A, bench.deps)

    assert bench.due_in(Step.SUBMIT) == 50


def test_a_bucket_in_trouble_is_noted(bench: Bench) -> None:
    """A step that could not reach it counts for its breaker; any other trouble does not."""
    bench.accept()
    bench.storing()

    run(Step.COLLECT, _raises(Transient("the host is slow")), A, bench.deps)
    assert not bench.redis.exists(f"breaker:{circuit_breakers.STORAGE}")
    run(Step.COLLECT, _raises(StorageUnavailable("SlowDown")), A, bench.deps)

    assert bench.redis.hget(f"breaker:{circuit_breakers.STORAGE}", "failures") == "1"


def test_a_clean_up_without_a_job_is_tried_again(bench: Bench) -> None:
    """The bucket is away while inputs of a job that was never accepted are deleted."""
    run(Step.CLEANUP, _raises(StorageUnavailable("away")), A, bench.deps)

    assert 0 < (bench.due_in(Step.CLEANUP) or 0) <= 1


def test_a_late_clean_up_leaves_the_inputs_of_a_living_job(bench: Bench) -> None:
    """Its guard was over, and then the job was accepted after all."""
    _store_an_input(bench)
    bench.accept(input_keys={"input_image": KEY})

    cleanup(A, bench.deps)

    assert bench.deps.objects.head(KEY) is not None


def test_a_clean_up_deletes_and_ends_its_watch(bench: Bench) -> None:
    """Inputs of an ended job go, and the step is not started again."""
    _store_an_input(bench)
    bench.accept(input_keys={"input_image": KEY})
    assert bench.store.fail(A, FailureCode.LOST, "for the test")
    assert bench.due_in(Step.CLEANUP) is not None

    cleanup(A, bench.deps)

    assert bench.deps.objects.head(KEY) is None
    assert bench.due_in(Step.CLEANUP) is None


def _store_an_input(bench: Bench) -> None:
    data = b"image"
    digest = sha256(data).digest()
    bench.deps.objects.put(KEY, io.BytesIO(data), sha256=digest, content_type="image/png")


def test_inputs_that_cannot_be_deleted_keep_no_job_back(bench: Bench) -> None:
    """That says nothing of storing images."""
    bench.accept(input_keys={"input_image": KEY})
    assert bench.store.fail(A, FailureCode.LOST, "for the test")

    run(Step.CLEANUP, _raises(StorageUnavailable("SlowDown")), A, bench.deps)

    assert not bench.redis.exists(f"breaker:{circuit_breakers.STORAGE}")

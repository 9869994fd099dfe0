"""The plan of a run follows from its seed, and leaves nobody out."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from chaos.plan.faults import JOB_FAULTS, prompt_marker
from chaos.plan.job_orders import IMAGES, KINDS, order
from chaos.plan.plan import TARGETS, Kill, Plan, make_plan, sandbox_faults
from chaos.plan.time_scale import MODELS_FILE
from core.provider.catalogue import MODELS as OURS
from core.provider.models_file import read_models
from sandbox.faults.injection import FaultInjection
from sandbox.requests.models import MODELS
from sandbox.requests.validation import validate

DECOY = "http://127.0.0.1:1/forged.png"


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Return a plan of the usual size."""
    return make_plan(2000, 1)


def test_the_same_seed_brings_the_same_plan(plan: Plan) -> None:
    """Jobs, faults and kills are equal; with another seed they are not."""
    assert make_plan(2000, 1) == plan
    assert make_plan(2000, 2).jobs != plan.jobs
    assert make_plan(2000, 2).kills != plan.kills


@pytest.mark.parametrize("jobs", [200, 2000])
@pytest.mark.parametrize("seed", range(5))
def test_every_process_is_killed(jobs: int, seed: int) -> None:
    """Whatever the seed, each is killed at least once while jobs are sent."""
    made = make_plan(jobs, seed)

    assert {kill.target for kill in made.kills if kill.at < made.seconds} == set(TARGETS)


def test_several_are_killed_at_once_now_and_then(plan: Plan) -> None:
    """Some kills come one at a time, some together."""
    at_once = Counter(kill.at for kill in plan.kills)

    assert min(at_once.values()) == 1
    assert max(at_once.values()) >= 3


def test_between_two_waves_everything_can_come_back(plan: Plan) -> None:
    """A wave is followed by seconds without a kill."""
    waves = [[kill.at for kill in plan.kills if kill.wave == wave] for wave in range(10)]

    assert all(max(wave) + 5 < min(after) for wave, after in pairwise(waves))


def test_nobody_is_killed_while_dead(plan: Plan) -> None:
    """A process has been back for a while before it is killed again."""
    for target in TARGETS:
        kills = [kill for kill in plan.kills if kill.target == target]
        assert all(_is_back(before, after) for before, after in pairwise(kills))


def _is_back(before: Kill, after: Kill) -> bool:
    return before.at + before.down + 2 < after.at


def test_every_trouble_befalls_somebody(plan: Plan) -> None:
    """In a run of the usual size each trouble, kind of job and input image comes up."""
    assert {name for job in plan.jobs for name, _ in job.faults} == set(JOB_FAULTS)
    assert {job.kind for job in plan.jobs} == set(KINDS)
    assert {job.image for job in plan.jobs} == {None, *range(IMAGES)}


@pytest.mark.parametrize(("jobs", "seed"), [(200, 7), (2000, 1), (2000, 2)])
def test_some_jobs_are_canceled_at_any_moment(jobs: int, seed: int) -> None:
    """About one in ten, from the moment of its 202 to after its end; the others never."""
    times = [job.cancel_after for job in make_plan(jobs, seed).jobs if job.cancel_after is not None]

    assert 0.05 < len(times) / jobs < 0.15
    assert min(times) < 0.3
    assert max(times) > 1.5


def test_most_jobs_must_succeed(plan: Plan) -> None:
    """A few must fail, each with the code of its trouble."""
    ends = Counter(job.ends for job in plan.jobs)

    assert ends["succeeded"] > 0.9 * len(plan.jobs)
    assert set(ends) == {"succeeded"} | {t.ends for t in JOB_FAULTS.values() if t.ends}


def test_the_sandbox_takes_the_faults(plan: Plan) -> None:
    """Every fault exists there with these parameters, and forged webhooks name the bait."""
    injection = FaultInjection()

    injection.replace(sandbox_faults(plan, DECOY))

    shown = injection.show()
    assert {fault["sample"] for fault in shown["forge_webhook"]} == {DECOY}
    assert {fault["match"] for fault in shown["drop_webhook"]} >= {prompt_marker("webhook-dropped")}


def test_a_fault_that_would_never_end_is_bounded(plan: Plan) -> None:
    """A fault that keeps a job from success has a number of times, and names one job."""
    endless = [
        fault
        for name, asked in sandbox_faults(plan, DECOY).items()
        if name.endswith(("_answer", "_download", "refuse_poll"))
        for fault in asked
        if not (fault.get("times") and fault["match"].startswith("["))
    ]

    assert endless == []


def test_orders_differ() -> None:
    """An order holds its prompt, its number and its image."""
    body = order(
        kind="flux-2-pro", prompt="[00007]", size=5, image=2, callback_url="http://x/7", number=7
    )

    assert body["input"]["prompt"] == "[00007]"
    assert body["metadata"] == {"number": 7}
    assert len(body["input"]["input_image"]) > 64 * 1024


@pytest.mark.parametrize("name", KINDS)
def test_the_provider_takes_every_order(name: str) -> None:
    """Each kind of job, with each of its options and input images, is valid there."""
    kind = KINDS[name]
    never, always = kind.takes_image == "never", kind.takes_image == "always"
    images: list[int | None] = [] if never else [*kind.images]
    images += [] if always else [None]

    for image in images:
        for size in range(8):
            body = order(
                kind=name, prompt="[00007]", size=size, image=image, callback_url="", number=7
            )
            request = validate(MODELS[body["model"]], body["input"])
            assert request.is_draft == kind.is_draft
            assert bool(request.prompt) == kind.has_prompt


def test_troubles_befall_those_who_can_have_them(plan: Plan) -> None:
    """Only drafts have bundles to lose; of a job without a prompt the sandbox knows nothing."""
    for job in plan.jobs:
        groups = {JOB_FAULTS[name].group for name, _ in job.faults}
        assert "bundle" not in groups or job.is_draft
        assert "video" not in groups or job.is_video
        assert not groups or KINDS[job.kind].has_prompt


@pytest.mark.parametrize("jobs", [200, 2000])
def test_a_run_of_any_size_has_drafts(jobs: int) -> None:
    """One job in ten makes a video, and some of these are drafts."""
    made = make_plan(jobs, 7).jobs

    assert 0.06 * jobs < sum(job.is_video for job in made) < 0.16 * jobs
    assert sum(job.is_draft for job in made) > 0.01 * jobs


def test_videos_are_asked_about_often_and_limited_as_ever(tmp_path: Path) -> None:
    """The run's models file changes the times of polls, and nothing else."""
    path = tmp_path / "models.json"
    path.write_text(MODELS_FILE)

    [video] = read_models(str(path)).values()

    often = replace(OURS[video.name], first_poll_seconds=0.5, poll_seconds=0.5)
    assert video == often


def test_some_jobs_are_sent_as_batches(plan: Plan) -> None:
    """Each job is sent once: by itself, or as an item of one batch, which is not canceled."""
    items = [number for batch in plan.batches for number in batch.jobs]

    assert len(plan.batches) > 40
    assert sorted([*items, *(job.number for job in plan.singles)]) == list(range(2000))
    assert all(plan.jobs[number].cancel_after is None for number in items)
    assert any(batch.again for batch in plan.batches)
    assert any(batch.first_timeout for batch in plan.batches)

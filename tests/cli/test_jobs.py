"""Jobs from the command line: submitted, awaited, saved, listed, canceled, tried again."""

import hashlib
import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from fluxrelay.cli.exits import Exit
from fluxrelay.cli.views.jobs import seconds_between
from stack.stack import Stack
from tests.cli.conftest import SMALL, Cli
from tests.conftest import Eventually


def test_submit_waits_and_saves(cli: Cli, tmp_path: Path) -> None:
    """The job is shown with its end, and the file that is saved is the one that was stored."""
    done = cli("submit", "a fox", *SMALL, "--save", "made", "--json", "--metadata", "order=1042")

    assert (done.code, done.err) == (Exit.DONE, "")
    job = json.loads(done.out)
    assert (job["status"], job["metadata"]) == ("succeeded", {"order": "1042"})
    assert job["input"] == {"prompt": "a fox", "width": 256, "height": 256}
    (saved,) = (tmp_path / "made").iterdir()
    assert job["saved"] == [str(Path("made") / saved.name)]
    assert hashlib.sha256(saved.read_bytes()).hexdigest() == job["image"]["sha256"]

    assert cli("save", job["id"], "--to", "made").code == Exit.DONE
    saved.write_bytes(b"another")
    again = cli("save", job["id"], "--to", "made")
    assert (again.code, "is another file" in again.err) == (Exit.USAGE, True)
    assert saved.read_bytes() == b"another"


def test_a_job_as_people_see_it(cli: Cli) -> None:
    """`submit` prints the id alone, `watch` each status, `get` and `list` what is to know."""
    job_id = cli("submit", "an owl", *SMALL, "--output-key", "owls/{job_id}.{ext}").out.strip()

    watched = cli("watch", job_id)
    assert watched.code == Exit.DONE
    assert [line.split()[-1] for line in watched.out.splitlines()[:2]] == ["queued", "submitting"]
    shown = cli("get", job_id).out
    assert "succeeded in" in shown
    assert "an owl" in shown
    assert f"owls/{job_id}.jpg" in shown
    assert "256 x 256, image/jpeg" in shown
    assert "\x1b" not in shown
    heading, *rows = cli("list", "--status", "succeeded", "-m", "flux-pro-1.1").out.splitlines()
    assert heading.split() == ["created", "status", "id", "model", "prompt"]
    assert [row for row in rows if job_id in row and row.endswith("an owl")]
    (line, *_) = cli("watch", job_id, "--json").out.splitlines()
    assert json.loads(line)["status"] == "queued"


def test_a_file_is_an_input(cli: Cli, tmp_path: Path) -> None:
    """`@path` sends the file, and `@path` of a text its words."""
    Image.new("RGB", (64, 64), "violet").save(tmp_path / "lake.png")
    (tmp_path / "words.txt").write_text("Make it Ü\n", encoding="utf-8")
    arguments = ("-m", "flux-kontext-pro", "-p", "prompt=@words.txt", "-p", "input_image=@lake.png")

    job = json.loads(cli("submit", *arguments, "--json").out)

    assert job["input"] == {"prompt": "Make it Ü", "input_image": {"bytes_in": "s3"}}
    assert "input_image=(file)" in cli("get", job["id"]).out


def test_a_job_that_fails_is_told_and_tried_again(cli: Cli) -> None:
    """The exit code is 1, the reason is shown, and `retry` prints the new job's id."""
    failed = cli("submit", "fail-generation", *SMALL, "--wait")
    assert failed.code == Exit.FAILED
    assert "✗ failed" in failed.out
    assert "provider_error" in failed.out
    job_id = failed.out.splitlines()[0].split()[-1]
    assert cli("watch", job_id).code == Exit.FAILED

    new = cli("retry", job_id)
    assert new.code == Exit.DONE
    assert json.loads(cli("get", job_id, "--json").out)["retried_as"] == new.out.strip()


@pytest.mark.usefixtures("paused")
def test_jobs_are_canceled(cli: Cli) -> None:
    """By their ids, or by a filter once their number is confirmed; the time to wait can end."""
    late = cli("submit", "late", *SMALL, "--wait", "--timeout", "0")
    assert (late.code, "still queued, and goes on" in late.err) == (Exit.TIMED_OUT, True)
    ids = [cli("submit", "never", *SMALL, "--priority", "-7").out.strip() for _ in range(3)]

    one = cli("cancel", ids[0])
    assert (one.code, "canceled" in one.out) == (Exit.DONE, True)
    asked = cli("cancel", "--status", "queued")
    assert (asked.code, "or --yes" in asked.err) == (Exit.USAGE, True)
    many = json.loads(cli("cancel", "--status", "queued", "--yes", "--json").out)
    assert many["canceled"] >= 2
    assert json.loads(cli("get", ids[2], "--json").out)["status"] == "canceled"
    assert cli("cancel", "--status", "queued", "--yes").out == "0 jobs are canceled.\n"


@pytest.mark.usefixtures("paused")
def test_jobs_are_canceled_if_they_are_as_many_as_was_said(cli: Cli) -> None:
    """With another number none is canceled, and the right one is told."""
    mark = ("--metadata", f"order={uuid.uuid4().hex}")
    ids = [cli("submit", "never", *SMALL, *mark).out.strip() for _ in range(2)]

    wrong = cli("cancel", *mark, "--confirm", "3")
    assert (wrong.code, wrong.out, "2" in wrong.err) == (Exit.REFUSED, "", True)
    assert json.loads(cli("get", ids[0], "--json").out)["status"] == "queued"
    assert cli("cancel", *mark, "--confirm", "2").out == "2 jobs are canceled.\n"
    assert {row.split()[-1] for row in cli("list", *mark).out.splitlines()[1:]} == {"never"}
    assert cli("cancel", ids[0], "--confirm", "1").code == Exit.USAGE


@pytest.mark.usefixtures("paused")
def test_filters_of_lists_and_cancels(cli: Cli, tmp_path: Path, eventually: Eventually) -> None:
    """Times, a batch and a model admit what they mean; `--all` takes what is left."""
    (tmp_path / "one.csv").write_text("prompt\nA fox\n", encoding="utf-8")
    batch_id = cli("batch", "one.csv", *SMALL[:2], "--new", "--no-wait").out.strip()
    first, second = (json.loads(cli("submit", "never", *SMALL, "--json").out) for _ in range(2))

    def listed(*filters: str) -> list[str]:
        return [job["id"] for job in json.loads(cli("list", *filters, "--json").out)["jobs"]]

    assert listed("--created-after", first["created_at"])[::-1][:1] == [first["id"]]
    assert second["id"] not in listed("--created-before", first["created_at"])
    assert first["id"] in listed("--created-after", "1h", "--created-before", "2099-01-31")
    assert first["id"] not in listed("--created-before", "1d")
    eventually(lambda: len(listed("--of-batch", batch_id)) == 1)  # once its item is a job
    assert cli("cancel", "--of-batch", batch_id, "--confirm", "1").code == Exit.DONE
    others = ("cancel", "-m", "flux-dev", "--created-after", first["created_at"], "--yes")
    assert cli(*others).out == "0 jobs are canceled.\n"
    assert cli("cancel", "--all", "--yes").code == Exit.DONE
    statuses = [
        json.loads(cli("get", job["id"], "--json").out)["status"] for job in (first, second)
    ]
    assert statuses == ["canceled", "canceled"]


def test_the_same_key_makes_the_same_job(cli: Cli) -> None:
    """A key of one's own makes repeating safe; with other parameters it is refused."""
    key = ("--idempotency-key", uuid.uuid4().hex)
    ids = {cli("submit", "a fox", *SMALL, *key).out for _ in range(2)}
    assert len(ids) == 1
    other = cli("submit", "an owl", *SMALL, *key)
    assert (other.code, other.out) == (Exit.USAGE, "")


@pytest.mark.usefixtures("paused")
def test_a_queued_job_as_people_see_it(cli: Cli) -> None:
    """Its place in line is shown; its deadline is the one that was asked for."""
    job_id = cli("submit", "later", *SMALL, "--deadline", "60m").out.strip()

    shown = cli("get", job_id)
    (line,) = [line for line in shown.out.splitlines() if line.split()[0] == "queue"]
    assert " ahead" in line or " next" in line
    job = json.loads(cli("get", job_id, "--json").out)
    assert round(seconds_between(job["created_at"], job["deadline_at"]) / 60) == 60
    cli("cancel", job_id)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("submit", "x"), Exit.USAGE, "--model"),
        (("submit", "x", "-m", "flux-pro-1.2"), Exit.USAGE, "did you mean flux-pro-1.1"),
        (("submit", "x", *SMALL, "-p", "widht=1"), Exit.USAGE, "did you mean width"),
        (("submit", "x", *SMALL, "-p", "seed=many"), Exit.USAGE, "seed takes a whole number"),
        (("submit", "x", *SMALL, "-p", "seed"), Exit.USAGE, "--param takes NAME=VALUE"),
        (("submit", "x", *SMALL, "-p", "image_prompt=@no.png"), Exit.USAGE, "No such file"),
        (("submit", "x", "-m", "flux-pro-1.1", "-p", "width=1000"), Exit.USAGE, "multiple of 32"),
        (("submit", "x", *SMALL, "--region", "moon"), Exit.USAGE, "region"),
        (("get", "nobody"), Exit.NOT_FOUND, "For the id of a batch, add --batch."),
        (("cancel",), Exit.USAGE, "ids, or filters"),
        (("list", "--limit", "0"), Exit.USAGE, "--limit"),
        (("list", "--callback", "dead"), Exit.USAGE, "--callback is for --batches"),
        (
            ("submit", "x", *SMALL, "--event", "job.failed"),
            Exit.USAGE,
            "give its URL by --callback",
        ),
        (("watch", "--batch"), Exit.USAGE, "give its id"),
        (("link", "nobody", "--batch", "--role", "sample"), Exit.USAGE, "--role is for jobs"),
        (("lst",), Exit.USAGE, "Did you mean 'list'"),
        (("submit", "x", *SMALL, "--deadline", "soon"), Exit.USAGE, "--deadline takes whole"),
        (("submit", "-m", "flux-pro-1.1"), Exit.USAGE, "There is no prompt"),
        (("submit", "", *SMALL), Exit.USAGE, "There is no prompt"),
    ],
)
def test_what_is_wrong_is_told_with_its_exit_code(
    cli: Cli, arguments: tuple[str, ...], code: Exit, said: str
) -> None:
    """Standard error says what is wrong, and standard output stays empty."""
    done = cli(*arguments)

    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "Traceback" not in done.err


def test_what_was_asked_of_an_ended_job_is_refused(cli: Cli) -> None:
    """A job that succeeded cannot be tried again: that is 7, told by the service's own words."""
    job = json.loads(cli("submit", "done", *SMALL, "--wait", "--json").out)
    ended = cli("cancel", job["id"])
    assert (ended.code, "nothing to cancel" in ended.err) == (Exit.DONE, True)
    refused = cli("retry", job["id"])
    assert (refused.code, "only a failed job" in refused.err) == (Exit.REFUSED, True)


def test_a_result_that_is_being_stored_is_not_canceled(
    cli: Cli, faults: Callable[..., None], eventually: Eventually
) -> None:
    """It is too late, which is 7; other jobs of the same command are canceled all the same."""
    mark = uuid.uuid4().hex
    faults(
        refuse_download={"match": mark, "status": 503},
        delay_generation={"match": "a slow one", "seconds": 60},
    )
    late, slow = (cli("submit", prompt, *SMALL).out.strip() for prompt in (mark, "a slow one"))
    eventually(lambda: json.loads(cli("get", late, "--json").out)["status"] == "storing")

    done = cli("cancel", late, slow)

    assert (done.code, f"{late}: " in done.err) == (Exit.REFUSED, True)
    assert "canceled" in done.out
    assert slow in done.out
    faults()
    assert cli("watch", late).code == Exit.DONE


def test_the_key_and_the_address_have_exit_codes_of_their_own(cli: Cli) -> None:
    """A wrong key is 4, an address where nothing listens 3, and neither shows the key."""
    wrong = cli("list", FLUXRELAY_KEY="a-wrong-key-0001")
    away = cli("doctor", FLUXRELAY_URL="http://127.0.0.1:1")

    assert (wrong.code, away.code) == (Exit.NOT_AUTHORIZED, Exit.UNREACHABLE)
    assert "a-wrong-key-0001" not in wrong.out + wrong.err


def test_what_goes_wrong_is_json_for_programs(cli: Cli) -> None:
    """Standard error has one document, with the exit code and the sentence."""
    done = cli("get", "nobody", "--json")
    error = json.loads(done.err)["error"]
    assert (done.code, done.out, error["exit_code"]) == (Exit.NOT_FOUND, "", Exit.NOT_FOUND)
    assert "add --batch" in error["message"]


def test_another_service_is_told(cli: Cli, relay: Stack) -> None:
    """What answers 404 without a problem document is not FluxRelay."""
    done = cli("get", "nobody", FLUXRELAY_URL=f"{relay.sandbox_url}")
    assert (done.code, "is not FluxRelay" in done.err) == (Exit.UNREACHABLE, True)


def test_models_and_their_parameters_are_listed(cli: Cli) -> None:
    """All models with what they make, and of one each parameter with its bounds."""
    assert "flux-3-video" in cli("models").out
    rows = cli("models", "flux-pro-1.1").out.splitlines()
    (width,) = [row.split() for row in rows if row.startswith("width")]
    assert width[:3] == ["width", "integer", "no"]
    assert "multiples of 32" in " ".join(width)
    assert json.loads(cli("models", "flux-3-video", "--json").out)["variant_field"] == "mode"


@pytest.mark.parametrize(
    "arguments",
    [("get", ""), ("cancel", "."), ("watch", ".."), ("save", ""), ("retry", "")],
    ids=" ".join,
)
def test_an_id_that_is_none_is_told(cli: Cli, arguments: tuple[str, ...]) -> None:
    """An unset variable of a script is a wrong argument, and no traceback."""
    done = cli(*arguments)
    assert (done.code, done.out) == (Exit.USAGE, "")
    assert done.err.startswith("An argument is wrong: ")
    assert cli("submit", "x", *SMALL, "--idempotency-key", "k\u00e9y").code == Exit.USAGE

"""Batches from the command line: files in, one key for one file, and a run that goes on."""

import io
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from fluxrelay.cli.exits import Exit
from fluxrelay.cli.views.jobs import seconds_between
from stack.stack import Stack
from tests.cli.conftest import SMALL, Cli, Done
from tests.conftest import Eventually

ROOT = Path(__file__).parents[2]
_CSV = "custom_id;prompt;width;height;metadata.set\nfox;A fox;256;256;one\nowl;An owl;256;256;\n"


def test_a_table_becomes_a_batch_whose_files_are_saved(cli: Cli, tmp_path: Path) -> None:
    """Cells are typed by the model, files are named by `custom_id`, and the end is shown."""
    (tmp_path / "animals.csv").write_text(_CSV, encoding="utf-8-sig")

    done = cli("batch", "animals.csv", "-m", "flux-pro-1.1", "--save", "made", "--json")

    assert done.code == Exit.DONE, done.err
    batch = json.loads(done.out)
    assert (batch["status"], batch["counts"]["succeeded"]) == ("completed", 2)
    made = {path.name: path for path in (tmp_path / "made").iterdir()}
    results = made.pop(f"{batch['id']}.ndjson").read_text(encoding="utf-8").splitlines()
    assert sorted(made) == ["fox.jpg", "owl.jpg"]
    assert [json.loads(line)["custom_id"] for line in results] == ["fox", "owl"]
    jobs = json.loads(cli("list", "--of-batch", batch["id"], "--json").out)["jobs"]
    assert {job["batch"]["custom_id"]: job["metadata"] for job in jobs} == {
        "fox": {"set": "one"},
        "owl": {},
    }
    assert "2: 2 succeeded" in cli("get", "--batch", batch["id"]).out
    assert batch["id"] in cli("list", "--batches").out


def test_the_same_file_finds_its_batch_again(cli: Cli, tmp_path: Path) -> None:
    """The key depends on the content alone; `--new`, and any change, make another batch."""
    line = {"custom_id": "one", "model": "flux-pro-1.1"}
    items = [{**line, "input": {"prompt": "A hare", "width": 256, "height": 256}}]
    for name in ("items.ndjson", "copy.ndjson"):
        text = "\n".join(map(json.dumps, items))
        (tmp_path / name).write_text(text, encoding="utf-8")

    first = cli("batch", "items.ndjson", "--no-wait")
    second = cli("batch", "copy.ndjson")
    third = cli("batch", "items.ndjson", "--new", "--no-wait")
    fourth = cli("batch", "items.ndjson", "-p", "seed=7", "-m", "flux-pro-1.1", "--no-wait")

    batch_id = first.out.strip()
    assert batch_id in second.out.splitlines()[0]
    assert len({batch_id, third.out.strip(), fourth.out.strip()}) == 3
    assert first.err.split("key ")[1] == second.err.splitlines()[0].split("key ")[1] + "\n"


def test_failures_of_a_batch_are_listed(cli: Cli, tmp_path: Path) -> None:
    """The exit code is 1, each failed item is shown with its reason, and `retry` takes them."""
    lines = ["custom_id,prompt,width,height", "bad,fail-generation,256,256", "good,x,256,256"]
    (tmp_path / "some.csv").write_text("\n".join(lines), encoding="utf-8")

    done = cli("batch", "some.csv", "-m", "flux-pro-1.1", "--new")

    assert done.code == Exit.FAILED
    (row,) = [line for line in done.out.splitlines() if line.startswith("bad ")]
    assert "provider_error" in row
    batch_id = done.out.splitlines()[0].split()[-1]
    assert done.err.endswith(f"To run it again: fluxrelay retry --batch {batch_id}\n")
    retried = cli("retry", "--batch", batch_id)
    new = retried.out.strip()
    assert f"fluxrelay watch --batch {new}\n" in retried.err
    assert json.loads(cli("get", "--batch", new, "--json").out)["retry_of"] == batch_id
    key = done.err.splitlines()[0].split("key ")[1]
    again = cli("batch", "some.csv", "-m", "flux-pro-1.1", "--idempotency-key", key)
    assert again.err.endswith(f"What failed was run again: fluxrelay watch --batch {new}\n")


def test_a_batch_is_followed_by_its_id(cli: Cli, tmp_path: Path) -> None:
    """`watch` shows its end, `results` each item, and `save` has all files, whoever sent it."""
    lines = ["custom_id,prompt,width,height", "bad,fail-generation,256,256", "good,x,256,256"]
    (tmp_path / "some.csv").write_text("\n".join(lines), encoding="utf-8")
    batch_id = cli("batch", "some.csv", "-m", "flux-pro-1.1", "--new", "--no-wait").out.strip()

    watched = cli("watch", "--batch", batch_id)
    assert watched.code == Exit.FAILED
    assert watched.out.splitlines()[0].split()[-1] == batch_id
    bad, good = (json.loads(line) for line in cli("results", batch_id, "--json").out.splitlines())
    assert (bad["status"], good["status"]) == ("failed", "succeeded")
    heading, *rows = cli("results", batch_id).out.splitlines()
    assert heading.split() == ["custom_id", "status", "result"]
    assert "provider_error: " in rows[0]
    assert rows[1].split() == ["good", "succeeded", good["artifacts"][0]["uri"]]
    saved = cli("save", "--batch", batch_id, "--to", "made")
    assert saved.out.split() == ["made/good.jpg", f"made/{batch_id}.ndjson"]
    link = cli("link", "--batch", batch_id, "--download", "mine.ndjson").out.strip()
    file = httpx.get(link, trust_env=False)
    assert file.content == (tmp_path / f"made/{batch_id}.ndjson").read_bytes()
    assert "mine.ndjson" in file.headers["content-disposition"]


def test_items_come_from_standard_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads NDJSON; a key of one's own finds the batch again, whatever comes then."""
    item = {"custom_id": "one", "input": {"prompt": "A hare", "width": 256, "height": 256}}
    key = ("--idempotency-key", uuid.uuid4().hex)

    def piped(content: str, *more: str) -> Done:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
        return cli("batch", "-", "-m", "flux-pro-1.1", *more)

    first = piped(json.dumps(item), *key, "--json")
    again = piped(json.dumps(item), *key, "--no-wait")
    other = piped(json.dumps(item | {"custom_id": "two"}), *key)

    assert json.loads(first.out)["id"] == again.out.strip()
    assert (other.code, other.out) == (Exit.USAGE, "")
    assert piped("{}", *key, "--new").code == Exit.USAGE
    assert piped("").code == Exit.USAGE


def test_wrong_items_are_left_out_if_asked(cli: Cli, tmp_path: Path) -> None:
    """Each is named with its reason, and the others run."""
    odd = ["odd,x,1000,256", "wide,x,wide,256", "good,x,256,256", "more,x,1000,1000"]
    text = "\n".join(["custom_id,prompt,width,height", *odd])
    (tmp_path / "some.csv").write_text(text, encoding="utf-8")
    these = ("batch", "some.csv", "-m", "flux-pro-1.1", "--new")

    assert "line 3: width takes a whole number" in cli(*these).err
    done = cli(*these, "--skip-bad", "--metadata", "order=1042", "--json")
    told = done.err.splitlines()[1:]
    assert (done.code, told[0]) == (
        Exit.DONE,
        "  left out: line 3: width takes a whole number, not 'wide'.",
    )
    assert told[1].startswith("  left out: line 2, odd: input.width is 1000; send a multiple")
    assert told[2].startswith("  left out: line 5, more: input.width is 1000; ")
    assert told[3].startswith("  left out: line 5, more: input.height is 1000; ")
    assert told[4] == "Left out: 3, as told above."
    batch = json.loads(done.out)
    assert (batch["counts"]["total"], batch["metadata"]) == (1, {"order": "1042"})
    assert [entry["line"] for entry in batch["rejected"]] == [3, 2, 5, 5]


def test_lines_are_those_of_the_file(cli: Cli, tmp_path: Path) -> None:
    """What the service refuses is told by its line in the file, whatever is sent before it."""
    item = {"model": "flux-pro-1.1", "input": {"prompt": "x", "width": 1000}}
    lines = ["", json.dumps({"custom_id": "a", **item}), "", json.dumps({"custom_id": "b", **item})]
    (tmp_path / "some.ndjson").write_text("\n".join(lines), encoding="utf-8")

    for more in ((), ("--deadline", "1h")):
        done = cli("batch", "some.ndjson", "--new", *more)
        assert done.code == Exit.USAGE
        first, second = done.err.splitlines()[1:]
        assert (first[:11], second[:11]) == ("  line 2, a", "  line 4, b")


@pytest.mark.usefixtures("paused")
def test_a_batch_that_runs_has_no_results(cli: Cli, tmp_path: Path) -> None:
    """Asking for them is 7, and the batch can be canceled by its id."""
    (tmp_path / "one.csv").write_text("prompt\nA fox\n", encoding="utf-8")
    these = ("batch", "one.csv", "-m", "flux-pro-1.1", "--new", "--no-wait", "--deadline", "3600")
    batch_id = cli(*these).out.strip()

    for command in ("save", "link"):
        done = cli(command, "--batch", batch_id)
        assert (done.code, done.out) == (Exit.REFUSED, "")
    assert cli("results", batch_id).code == Exit.REFUSED
    assert cli("cancel", "--batch", batch_id).code == Exit.DONE
    told = cli("watch", "--batch", batch_id)
    assert told.err == "Canceled: 1. To run these, send them in a new batch.\n"
    assert "  canceled " in cli("get", "--batch", batch_id).out
    ended = json.loads(cli("watch", "--batch", batch_id, "--json").out)
    assert (ended["status"], ended["counts"]["canceled"]) == ("completed", 1)
    (job,) = json.loads(cli("list", "--of-batch", batch_id, "--json").out)["jobs"]
    assert round(seconds_between(job["created_at"], job["deadline_at"]) / 60) == 60


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.csv", "prompt,width\nA fox,wide\n", "line 2: width takes a whole number"),
        ("x.csv", "prompt\nA fox,more\n", "line 2: it has more cells"),
        ("x.csv", "promt\nA fox\n", "did you mean prompt"),
        ("x.csv", 'prompt\n"A fox"s\n', "line 2 is not CSV"),
        ("x.ndjson", '{"custom_id": "1"}\n{"custom\n', "line 2: it is not JSON"),
        ("x.ndjson", "\n", "holds no items"),
        ("x.ndjson", '{"custom_id": "1", "input": {"widht": 1}}\n', "widht"),
    ],
)
def test_a_wrong_file_is_not_sent(
    cli: Cli, tmp_path: Path, name: str, content: str, said: str
) -> None:
    """Each wrong line is named, by the command or by the service."""
    (tmp_path / name).write_text(content, encoding="utf-8")
    done = cli("batch", name, "-m", "flux-pro-1.1")
    assert (done.code, done.out) == (Exit.USAGE, "")
    assert said in done.err


#: The command as a terminal starts it: a shell in the background has its programs ignore Ctrl-C.
INTERRUPTIBLE = """\
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("fluxrelay.cli", run_name="__main__", alter_sys=True)
"""


def test_after_ctrl_c_the_same_command_goes_on(
    cli: Cli, relay: Stack, tmp_path: Path, paused: Callable[[], None], eventually: Eventually
) -> None:
    """It ends with 130 and says how to go on; run again, it follows the same batch to its end."""
    (tmp_path / "animals.csv").write_text(_CSV.replace("fox", "wolf"), encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "client"),
        "FLUXRELAY_URL": relay.service_url,
        "FLUXRELAY_KEY": relay.api_key,
    }
    command = [sys.executable, "-c", INTERRUPTIBLE, "batch", "animals.csv", *SMALL[:2]]
    with (tmp_path / "errors").open("wb") as errors:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=errors)
    told = (tmp_path / "errors").read_text
    eventually(lambda: told().startswith("Batch "))
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == Exit.INTERRUPTED
    assert "The same command finds it again" in told()
    assert "Traceback" not in told()

    paused()
    again = cli("batch", "animals.csv", *SMALL[:2])
    assert (again.code, "2: 2 succeeded" in again.out) == (Exit.DONE, True)
    assert told().splitlines()[0] == again.err.splitlines()[0]

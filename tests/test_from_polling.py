"""The programs of the page that leads from a polling loop to FluxRelay run as they are printed."""

import difflib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx
from PIL import Image

from stack.receiver import CallbackReceiver
from stack.servers.environment import child_environment
from stack.stack import Stack
from tests.doc_pages import blocks, page

PROGRAMS: Final = {
    block.splitlines()[0].removeprefix("# "): block
    for block in blocks(page("docs/from-polling.md"), "python")
}


def run(
    name: str, addresses: Mapping[str, str], variables: Mapping[str, str], folder: Path
) -> None:
    """Run a program of the page in a folder.

    Args:
        name: Its name, which is its first line.
        addresses: What its addresses are replaced by.
        variables: Its environment.
        folder: Its working folder.
    """
    source = PROGRAMS[name]
    for shown, real in addresses.items():
        assert shown in source
        source = source.replace(shown, real)
    (folder / name).write_text(source, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, name],
        cwd=folder,
        env=child_environment(variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def assert_fox(folder: Path) -> None:
    """Check that the program saved the image that it asked for."""
    with Image.open(folder / "fox.jpg") as image:
        assert image.size == (1024, 768)


def test_the_loop(relay: Stack, tmp_path: Path) -> None:
    """The program that polls the provider saves the image, at the sandbox."""
    key = {"BFL_API_KEY": relay.credentials.provider_key}
    run("polling.py", {"https://api.bfl.ai": str(relay.sandbox_url)}, key, tmp_path)
    assert_fox(tmp_path)


def test_another_address(relay: Stack, tmp_path: Path) -> None:
    """The same program saves the image with FluxRelay's address; two lines of it differ."""
    key = {"FLUXRELAY_KEY": relay.api_key}
    run("relayed.py", {"https://relay.example": relay.service_url}, key, tmp_path)
    assert_fox(tmp_path)

    before, after = (PROGRAMS[name].splitlines()[1:] for name in ("polling.py", "relayed.py"))
    changed = [line for line in difflib.ndiff(before, after) if line.startswith("+ ")]
    assert changed == [
        '+ API = "https://relay.example"',
        '+ KEY = {"x-key": os.environ["FLUXRELAY_KEY"]}',
    ]


def test_no_loop(relay: Stack, receiver: CallbackReceiver, tmp_path: Path) -> None:
    """The last program creates one job, however often it is run; its callback names the image."""
    addresses = {
        "https://relay.example": relay.service_url,
        "https://app.example/done": receiver.url,
    }
    key = {"authorization": f"Bearer {relay.api_key}"}
    secret = httpx.get(
        f"{relay.service_url}/v1/callback-secret", headers=key, trust_env=False, timeout=60
    ).json()["secret"]
    receiver.trust(secret)
    for _ in range(2):
        run("submit.py", addresses, {"FLUXRELAY_KEY": relay.api_key}, tmp_path)
    (callback,) = receiver.wait_for(lambda _callback: True, timeout_seconds=60)

    event: Any = callback.payload
    assert event["type"] == "job.succeeded"
    assert event["data"]["image"]["key"] == "orders/1042.jpg"
    head = relay.s3().head_object(Bucket=relay.bucket, Key="orders/1042.jpg")
    assert head["ContentLength"] == event["data"]["image"]["bytes"]


def test_it_takes_ten_lines() -> None:
    """Besides its imports, the last program has ten lines at most, as the page's title says."""
    lines = PROGRAMS["submit.py"].splitlines()
    own = [line for line in lines if line and not line.startswith(("#", "import", "from"))]
    assert len(own) <= 10

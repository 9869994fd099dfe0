"""Links to files, on the command line."""

import hashlib
import json

import httpx

from fluxrelay.cli.exits import Exit
from tests.cli.conftest import SMALL, Cli


def test_a_link_needs_no_key(cli: Cli) -> None:
    """Whoever has it gets the file, under the name that was chosen; too long a life is refused."""
    job = json.loads(cli("submit", "a fox", *SMALL, "--wait", "--json").out)

    link = cli("link", job["id"], "--expires", "60", "--download", "fox.jpg")

    file = httpx.get(link.out.strip(), trust_env=False)
    assert hashlib.sha256(file.content).hexdigest() == job["image"]["sha256"]
    assert "fox.jpg" in file.headers["content-disposition"]
    plain = json.loads(cli("link", job["id"], "--role", "sample", "--json").out)["url"]
    assert httpx.get(plain, trust_env=False).content == file.content
    long = cli("link", job["id"], "--expires", "604801")
    assert (long.code, "query.expires" in long.err) == (Exit.USAGE, True)
    assert cli("link", job["id"], "--role", "draft_cache").code == Exit.NOT_FOUND


def test_a_job_without_a_result_has_no_link(cli: Cli) -> None:
    """It is refused with 7, in the service's own words."""
    job = json.loads(cli("submit", "fail-generation", *SMALL, "--wait", "--json").out)
    refused = cli("link", job["id"])
    assert (refused.code, refused.out, "failed" in refused.err) == (Exit.REFUSED, "", True)

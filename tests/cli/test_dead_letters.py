"""Dead letters on the command line: listed, and taken off the list."""

import json

from fluxrelay.cli.exits import Exit
from stack.receiver import Answer, CallbackReceiver
from tests.cli.conftest import SMALL, Cli
from tests.conftest import Eventually


def test_dead_letters_are_listed_and_dismissed(
    cli: Cli, receiver: CallbackReceiver, eventually: Eventually
) -> None:
    """A job that failed and a callback that was given up are listed until they are dismissed."""
    receiver.script(then=Answer(410))
    these = ("submit", "fail-generation", *SMALL, "--callback", receiver.url, "--wait", "--json")
    job_id = json.loads(cli(*these).out)["id"]

    def listed(*filters: str) -> set[str]:
        letters = json.loads(
            cli("dead-letters", "list", "--limit", "1000", *filters, "--json").out
        )["dead_letters"]
        mine = [one for one in letters if (one["job"] or one["batch"])["id"] == job_id]
        return {letter["kind"] for letter in mine}

    eventually(lambda: listed() == {"job", "callback"})
    assert listed("--kind", "job", "--code", "provider_error") == {"job"}
    assert listed("--code", "lost") == set()
    rows = cli("dead-letters", "list", "--limit", "1000").out.splitlines()
    mine = {row.split()[1]: row for row in rows if job_id in row}
    assert "provider_error: " in mine["job"]
    assert f"{receiver.url}: 410" in mine["callback"]

    assert cli("dead-letters", "dismiss", "job", job_id).code == Exit.DONE
    assert listed() == {"callback"}
    told = json.loads(cli("dead-letters", "dismiss", "callback", job_id, "--json").out)
    assert told == {"dismissed": [{"kind": "callback", "id": job_id}]}
    assert listed() == set()

"""`up` picks the provider people meant, and says so when it cannot."""

import socket
from pathlib import Path

import pytest
from rich.console import Console

from stack.commands.up import choose_provider, run_up
from stack.options import StackOptions
from stack.servers.ports import LOOPBACK, Ports


def test_without_a_key_the_sandbox_is_used_silently() -> None:
    """Nothing set means the sandbox, and nothing to explain."""
    assert choose_provider({}) == (None, None)


def test_key_and_public_url_choose_the_real_provider() -> None:
    """Both set means the provider's own address, and a word about the cost."""
    provider, notice = choose_provider(
        {"BFL_API_KEY": "k", "FLUXRELAY_PUBLIC_URL": "https://me.example"}
    )
    assert provider is not None
    assert provider.url == "https://api.bfl.ai"
    assert provider.public_url == "https://me.example"
    assert notice is not None
    assert "credits" in notice


def test_another_address_of_the_provider_is_respected() -> None:
    """A region of the provider can be named."""
    provider, _ = choose_provider(
        {
            "BFL_API_KEY": "k",
            "FLUXRELAY_PUBLIC_URL": "https://me.example",
            "FLUXRELAY_PROVIDER_URL": "https://api.eu.bfl.ai",
        }
    )
    assert provider is not None
    assert provider.url == "https://api.eu.bfl.ai"


@pytest.mark.parametrize(
    ("present", "missing"),
    [("BFL_API_KEY", "FLUXRELAY_PUBLIC_URL"), ("FLUXRELAY_PUBLIC_URL", "BFL_API_KEY")],
)
def test_half_a_choice_is_explained(present: str, missing: str) -> None:
    """One of the two alone means the sandbox, and the notice names the other."""
    provider, notice = choose_provider({present: "https://me.example"})
    assert provider is None
    assert notice is not None
    assert missing in notice


def test_a_key_is_not_in_the_provider_s_repr() -> None:
    """Printing the options tells no secret."""
    provider, _ = choose_provider({"BFL_API_KEY": "s3cret", "FLUXRELAY_PUBLIC_URL": "https://me"})
    assert "s3cret" not in repr(provider)


def test_a_port_in_use_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """A taken FLUXRELAY_PORT ends the command with a reason and no data directory."""
    console = Console(record=True, width=80)
    with Ports() as ports, socket.create_server((LOOPBACK, ports.take())) as listener:
        port = listener.getsockname()[1]
        code = run_up(console, StackOptions(port=port), tmp_path / "data", fresh=False)
    assert code == 1
    assert f"Port {port} is taken" in console.export_text()
    assert not (tmp_path / "data").exists()

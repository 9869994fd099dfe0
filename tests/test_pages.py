"""Every page is whole in itself: its links lead somewhere, its paths, JSON and commands exist."""

import json
import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.doc_pages import ROOT, anchors, blocks

PAGES: Final = sorted(
    page
    for place in ("*.md", "docs/**/*.md", "deploy/*.md", "chaos/*.md", "client/*.md")
    for page in ROOT.glob(place)
)
PAGE_IDS: Final = [page.relative_to(ROOT).as_posix() for page in PAGES]
#: Variables in commands: those of callers, that of operators, and the id of a job.
SHELL_VARIABLES: Final = {"FLUXRELAY_URL", "FLUXRELAY_KEY", "FLUXRELAY_REDIS_URL", "JOB"}
OWN_FOLDERS: Final = (
    "core", "service", "worker", "sandbox", "stack", "chaos", "benchmarks", "docs", "deploy",
    "client", "tests", ".ci",
)  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_links_lead_to_files(page: Path) -> None:
    """Every link inside the project leads to something that exists."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    inside = [link for link in links if not urlsplit(link).scheme]
    assert [link for link in inside if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_links_lead_to_headings(page: Path) -> None:
    """Every link to a part of a page of ours leads to a heading of that page."""
    links = re.findall(r"\]\(([^)#\s:]*\.md)?#([^)\s]+)\)", page.read_text(encoding="utf-8"))
    texts = {to: (page.parent / to if to else page).read_text(encoding="utf-8") for to, _ in links}
    missing = [(to, part) for to, part in links if part not in anchors(texts[to])]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_named_files_exist(page: Path) -> None:
    """Every path of ours in backticks exists."""
    spans = re.findall(r"`([\w./-]+)`", page.read_text(encoding="utf-8"))
    ours = [span for span in spans if span.split("/")[0] in OWN_FOLDERS and "/" in span]
    assert [span for span in ours if not (ROOT / span).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_json_examples_parse(page: Path) -> None:
    """Every JSON example is JSON."""
    for block in blocks(page.read_text(encoding="utf-8"), "json"):
        json.loads(block)


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_make_commands_exist(page: Path) -> None:
    """Every make command that a page names is a target."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_commands_use_the_names_of_the_client(page: Path) -> None:
    """In commands to paste, address and key have the names by which the client reads them."""
    text = page.read_text(encoding="utf-8")
    commands = "".join(block for name in ("sh", "bash") for block in blocks(text, name))
    assert set(re.findall(r"\$\{?([A-Za-z_]\w*)", commands)) <= SHELL_VARIABLES


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_the_client_is_installed_before_it_is_used(page: Path) -> None:
    """A page whose programs use the Python client says before the first how it is installed."""
    text = page.read_text(encoding="utf-8")
    before, uses, _ = text.partition("from fluxrelay import")
    assert not uses or re.search(r"pip install \S*client", before)


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_arguments_of_make_are_passed_on(page: Path) -> None:
    """Every make command that a page gives ARGS hands them to the program that it runs."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipes = dict(re.findall(r"^([a-z]+):.*\n((?:\t.*\n)+)", makefile, re.MULTILINE))
    named = re.findall(r"make ([a-z]+) ARGS=", page.read_text(encoding="utf-8"))
    assert [name for name in named if "$(ARGS)" not in recipes[name]] == []

"""Checks a worker's settings with the code that will use them, before it starts.

See `core.operations.startup_checks`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx

from core import credentials
from core.operations import startup_checks
from core.security.proxy_variables import environment_proxies, no_proxy_problems
from worker.runtime import sweep


def check_settings(values: Mapping[str, Any]) -> list[str]:
    """Return the problems of settings that passed validation, a line each, without secrets.

    Args:
        values: Settings field -> value; None for an invalid one.
    """
    found = startup_checks.check_settings(values)
    for name, url in dict.fromkeys(_urls(values)):
        if problem := _url_problem(url):
            found.append(f"{name}: {problem}")
        elif name != "FLUXRELAY_PUBLIC_URL" and httpx.URL(url).userinfo:
            found.append(f"{name}: must not hold a user name or password: they would never be sent")
    found += _proxy_problems(values, found)
    interval = values["sweep_interval_seconds"]
    if interval and interval >= sweep.LEASE:
        why = "or sweep loses its lease between two rounds"
        found.append(f"FLUXRELAY_SWEEP_INTERVAL_SECONDS: must be below {sweep.LEASE:g}, {why}")
    return found


def _proxy_problems(values: Mapping[str, Any], known: Sequence[str]) -> list[str]:
    """Return why the HTTP client cannot use the proxies, each by the variable that holds it."""
    named = [(name, values[name].reveal()) for name in ("proxy", "callback_proxy") if values[name]]
    own = {f"FLUXRELAY_{name.upper()}": url for name, url in named}
    found = []
    if credentials.ENVIRONMENT in own.values():
        told = {line.partition(":")[0] for line in known}
        lines = [
            *startup_checks.environment_proxy_problems(),
            *no_proxy_problems(),
        ]
        found += [line for line in lines if line.partition(":")[0] not in told]
        own |= dict(environment_proxies().values())
    bad = {line.partition(":")[0] for line in (*known, *found)}
    for name, url in own.items():
        if url != credentials.ENVIRONMENT and name not in bad and not _is_usable(url):
            found.append(f"{name}: the HTTP client cannot use it")
    return found


def _is_usable(url: str) -> bool:
    try:
        httpx.HTTPTransport(proxy=url, trust_env=False).close()
        httpx.URL(url).raw_host.decode("ascii").encode("idna")  # as a lookup does
    except (ValueError, httpx.InvalidURL):  # an invalid host is a ValueError, too
        return False
    return True


def _urls(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    own = [("FLUXRELAY_PROVIDER_URL", values["provider_url"])]
    own += [("FLUXRELAY_PROVIDER_POLL_URLS", url) for url in values["poll_urls"] or ()]
    own += [("FLUXRELAY_PUBLIC_URL", values["public_url"])]
    yield from ((name, url) for name, url in own if url)
    known = {url for _, url in own}
    for account in values["accounts"] or ():
        for url in (account.url, *(account.poll_urls or ())):
            if url and url not in known:
                yield "FLUXRELAY_ACCOUNTS", url


def _url_problem(url: str) -> str | None:
    """Return why the HTTP client cannot call this URL, or None."""
    try:
        request = httpx.Request("GET", url)
        request.url.raw_host.decode("ascii").encode("idna")  # as a look-up does
    except (httpx.InvalidURL, UnicodeError):
        return "its host or path is invalid"
    return None if request.url.port != 0 else "the port must not be 0"

"""Checks settings with the libraries that will use them, before anything starts; connects nowhere.

`core.text_values` checks what the text alone tells. These checks cover what only the libraries and
the machine know; without them a process would start and then fail on every request.
"""

import os
import re
import resource
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import proxy_bypass

import redis
import redis.asyncio

from core.credentials import proxy_url
from core.security.proxy_variables import environment_proxies
from core.storage.aws_checks import aws_problems, s3_endpoint
from core.text_values import ManyProblems, regular_file

#: Options of a Redis URL that name files.
_REDIS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_OPTION = re.compile(r"Invalid value for '(\w+)'|argument '(ssl_\w+)'")


def check_settings(values: Mapping[str, Any]) -> list[str]:
    """Return the problems of settings that passed the text checks, one line each, without secrets.

    Args:
        values: Field of the settings -> value; None if invalid, or meant for another process.
    """
    found = []
    if values["redis_url"]:
        problems = _redis_problems(values["redis_url"].reveal())
        found += [f"FLUXRELAY_REDIS_URL: {problem}" for problem in problems]
    if values["host"] and (problem := _listen_problem(values["host"])):
        found.append(f"FLUXRELAY_HOST: {problem}")
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if values["max_connections"] and resource.RLIM_INFINITY != files <= values["max_connections"]:
        fix = "raise it (ulimit -n) or lower FLUXRELAY_MAX_CONNECTIONS"
        found.append(f"FLUXRELAY_MAX_CONNECTIONS: the limit of open files is {files}: {fix}")
    aws = aws_problems()
    if not any(line.startswith("AWS_ENDPOINT_URL") for line in aws):
        found += _proxies_of_s3()
    return [*found, *_authority_problems(), *aws]


def environment_proxy_problems(
    schemes: Iterable[str] = ("http", "https"), *, fallback: bool = True
) -> list[str]:
    """Return the problems of the environment's proxies, each by the variable that holds it.

    Args:
        schemes: Of the URLs that are requested.
        fallback: Whether ALL_PROXY counts.
    """
    proxies = environment_proxies(fallback=fallback)
    used = [proxy for scheme, proxy in proxies.items() if scheme in schemes]
    found = []
    for variable, url in dict.fromkeys(used):
        try:
            proxy_url(url)
        except ManyProblems as error:
            found += [f"{variable}: {problem}" for problem in error.problems]
    return found


def _proxies_of_s3() -> list[str]:
    """Return the problems of the proxy that the AWS SDK will use, whatever our settings say."""
    endpoint = urlsplit(s3_endpoint())
    if proxy_bypass(endpoint.netloc):
        return []
    lines = environment_proxy_problems([endpoint.scheme], fallback=False)
    return [f"{line} (used for S3)" for line in lines]


def _redis_problems(url: str) -> list[str]:
    """Return what the clients cannot use; they tell one option at a time, so it is taken away."""
    found: list[str] = []
    place, _, query = url.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in [name for name in _REDIS_FILES if name in options]:
        try:
            with regular_file(options[name]).open("rb"):
                continue
        except OSError as error:
            found.append(f"the file that {name} names cannot be read: {error.strerror}")
            del options[name]
    while True:
        name, problem = _redis_problem(f"{place}?{urlencode(options)}")
        if problem:
            found.append(problem)
        if name not in options:
            return found
        del options[name]


def _redis_problem(url: str) -> tuple[str, str | None]:
    """Return the option that the clients cannot use, if it is known, and the problem."""
    try:
        # Blocking and async client; neither connects.
        blocking: Any = redis.ConnectionPool.from_url(url)
        blocking.make_connection()
        pool: Any = redis.asyncio.ConnectionPool.from_url(url)
        connection = pool.make_connection()
        str(pool.connection_kwargs.get("host", "")).encode("idna")  # as a DNS lookup does
        if isinstance(connection, redis.asyncio.SSLConnection):
            connection.ssl_context.get()
    except UnicodeError:
        return "", "its host cannot be a name in the DNS"
    except (OSError, ssl.SSLError):
        return "", "a file that one of its ssl_ options names is of another kind"
    except (ValueError, TypeError, redis.RedisError) as error:
        # The library's message may contain parts of the URL, and so the password.
        option = _OPTION.search(str(error))
        name = next(filter(None, option.groups()), "") if option else ""
        if "Certificate Requirements" in str(error):
            name = "ssl_cert_reqs"
        if name.startswith("ssl_"):
            return name, f"the option {name} has a wrong value, or belongs to a rediss:// URL only"
        return (
            name,
            f"the option {name} has a wrong value" if name else "an option has a wrong value",
        )
    return "", None


def _listen_problem(host: str) -> str | None:
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as tried:
                tried.bind(address)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no name"
        allowed = "an address or a host's name alone, such as 0.0.0.0; FLUXRELAY_PORT has the port"
        return f"cannot be listened on: {reason}; it must be {allowed}"
    return None


def _authority_problems() -> list[str]:
    """Return the problems of the CA certificate variables; OpenSSL would ignore them silently."""
    found = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in ("SSL_CERT_FILE", "AWS_CA_BUNDLE"):
        path = os.environ.get(name, "").strip()
        # An unreadable AWS_ file is reported with the other AWS_ variables.
        if path and (name == "SSL_CERT_FILE" or os.path.isfile(path)):  # noqa: PTH113 - a name of a file
            try:
                context.load_verify_locations(cafile=regular_file(path))
            except OSError:
                found.append(f"{name}: is not a file of certificates in PEM")
    return found

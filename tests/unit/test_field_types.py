"""Each parser of a setting: what it takes, and what it says of the rest."""

from collections.abc import Callable
from hashlib import sha256
from ipaddress import ip_network
from typing import Any

import pytest
from pydantic import TypeAdapter

from core import credentials, text_values
from core.settings import field_types
from core.text_values import Secret, SlotLimits

BOOLEAN, PORT, POSITIVE_INT, SECONDS, SECONDS_OR_NONE = (
    TypeAdapter[Any](kind).validate_python
    for kind in (
        field_types.Boolean,
        field_types.Port,
        field_types.PositiveInt,
        field_types.Seconds,
        field_types.SecondsOrNone,
    )
)
KEY = "a-key-of-16-chars"
MASTER = "m" * 32


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (text_values.base_url, "https://api.bfl.ai", "https://api.bfl.ai"),
        (text_values.base_url, "http://[::1]:8080/below//", "http://[::1]:8080/below"),
        (text_values.base_urls, "", ()),
        (
            text_values.base_urls,
            "https://a.example/, http://b:1 ,",
            ("https://a.example", "http://b:1"),
        ),
        (text_values.slot_limits, "24", SlotLimits(24, {})),
        (text_values.slot_limits, "24, a = 6 ,b=1", SlotLimits(24, {"a": 6, "b": 1})),
        (text_values.host_suffixes, ".BFL.ai, localhost", (".bfl.ai", "localhost")),
        (BOOLEAN, "YES", True),
        (BOOLEAN, "true", True),
        (BOOLEAN, "1", True),
        (BOOLEAN, "No", False),
        (BOOLEAN, "false", False),
        (BOOLEAN, "0", False),
        (text_values.bucket, "abc", "abc"),
        (text_values.bucket, "b" * 63, "b" * 63),
        (text_values.key_template, "{job_id}", "{job_id}"),
        (text_values.key_template, "a/{tenant}/{date}/{model}-{job_id}.{ext}", None),
        (PORT, "1", 1),
        (PORT, "65535", 65535),
        (POSITIVE_INT, "1", 1),
        (POSITIVE_INT, "1000", 1000),
        (POSITIVE_INT, "9007199254740993", 9007199254740993),
        (SECONDS, "0.001", 0.001),
        (SECONDS, "86400", 86400.0),
        (SECONDS, "315360000", 315360000.0),
        (text_values.networks, "", ()),
        (
            text_values.networks,
            "10.0.0.0/8, fd00::/8,127.0.0.1",
            (ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("127.0.0.1/32")),
        ),
    ],
)
def test_good_texts(parse: Callable[[str], Any], text: str, value: Any) -> None:
    """A good text becomes its value; None in the table stands for the text itself."""
    assert parse(text) == (text if value is None else value)


@pytest.mark.parametrize(
    ("parse", "text", "words"),
    [
        (text_values.base_url, "", "http:// or https://"),
        (text_values.base_url, "api.bfl.ai", "http:// or https://"),
        (text_values.base_url, "ftp://api.bfl.ai", "http:// or https://"),
        (text_values.base_url, "https://", "with a host"),
        (text_values.base_url, "https://h/?x=1", "no query"),
        (text_values.base_url, "https://h/#x", "no query"),
        (text_values.base_url, "https://h:port", "not a URL"),
        (text_values.base_url, "https://[::1", "not a URL"),
        (text_values.base_urls, "https://a,b", "http:// or https://"),
        (text_values.slot_limits, "", "must look like 24,"),
        (text_values.slot_limits, ",", "must look like 24,"),
        (text_values.slot_limits, "0", "must look like 24,"),
        (text_values.slot_limits, "-1", "must look like 24,"),
        (text_values.slot_limits, "many", "must look like 24,"),
        (text_values.slot_limits, "2.5", "must look like 24,"),
        (text_values.slot_limits, "a=6", "must look like 24,"),
        (text_values.slot_limits, "24,a", "must look like 24,"),
        (text_values.slot_limits, "24,a=0", "must look like 24,"),
        (text_values.slot_limits, "24,=6", "must look like 24,"),
        (text_values.slot_limits, "24,a=b", "must look like 24,"),
        (BOOLEAN, "", "yes or no"),
        (BOOLEAN, "maybe", "yes or no"),
        (text_values.bucket, "ab", "3 to 63"),
        (text_values.bucket, "b" * 64, "3 to 63"),
        (text_values.bucket, "a/b", "3 to 63 letters"),
        (text_values.key_template, "fixed.jpg", "must contain {job_id}"),
        (text_values.key_template, "{{job_id}}", "'{'; allowed are"),
        (text_values.key_template, "{job_id}/{{date}}", "no other braces"),
        (text_values.key_template, "{job_id}/{secret}", "no other braces"),
        (text_values.key_template, "{job_id}{}", "no other braces"),
        (text_values.key_template, "{job_id}{0}", "no other braces"),
        (text_values.key_template, "{job_id}{", "no other braces"),
        (text_values.key_template, "{job_id}}", "no other braces"),
        (text_values.key_template, "{job_id.__class__}", "no other braces"),
        (text_values.key_template, "{job_id[0]}", "no other braces"),
        (text_values.key_template, "{job_id!r}", "no other braces"),
        (text_values.key_template, "{job_id:>9}", "no other braces"),
        (text_values.key_template, "{job_id:999999999999}", "no other braces"),
        (text_values.key_template, "{job_id:{ext}}", "no other braces"),
        (text_values.key_template, "/{job_id}", "must not start with /"),
        (text_values.key_template, "_inputs/{job_id}", "must not start with /"),
        (text_values.key_template, "a/../{job_id}", "must not contain .."),
        (text_values.key_template, "a/{job_id}/", "must not end with /"),
        (text_values.key_template, "a//{job_id}", "must not contain .."),
        (text_values.key_template, "./{job_id}", "must not contain .."),
        (text_values.key_template, "{job_id}.", "a dot at its end"),
        (text_values.key_template, "{job_id} /x", "a space"),
        (text_values.key_template, "a\\{job_id}", "a backslash"),
        (text_values.key_template, "{job_id}.JSON", "must not end with .json"),
        (text_values.key_template, "_Probe/{job_id}", "must not start with /"),
        (text_values.key_template, "{job_id}" * 29, "too long"),
        (credentials.api_keys, "..:api-key-of-a-test-0001", "cannot be part of an object key"),
        (credentials.api_keys, "_Inputs:api-key-of-a-test-0001", "cannot be part of an object key"),
        (text_values.key_template, "{job_id}\n", "a control character"),
        (PORT, "0", "from 1 to 65535"),
        (PORT, "65536", "from 1 to 65535"),
        (PORT, "80.5", "from 1 to 65535"),
        (PORT, "http", "from 1 to 65535"),
        (PORT, "nan", "from 1 to 65535"),
        (PORT, "inf", "from 1 to 65535"),
        (POSITIVE_INT, "0", "above 0"),
        (POSITIVE_INT, "-1", "above 0"),
        (POSITIVE_INT, "1.5", "above 0"),
        (POSITIVE_INT, "inf", "above 0"),
        (POSITIVE_INT, "nan", "above 0"),
        (POSITIVE_INT, "1,5", "a whole number above 0"),
        (POSITIVE_INT, "1e6", "in digits alone"),
        (POSITIVE_INT, "1_000", "in digits alone"),
        (POSITIVE_INT, "2.0", "in digits alone"),
        (POSITIVE_INT, "+2", "in digits alone"),
        (POSITIVE_INT, "٣", "in digits alone"),
        (PORT, "8e3", "in digits alone"),
        (PORT, "80_80", "in digits alone"),
        (text_values.slot_limits, "2_4", "must look like 24,"),
        (text_values.slot_limits, "24,a=٣", "must look like 24,"),
        (SECONDS, "0", "above 0"),
        (SECONDS, "-0.5", "above 0"),
        (SECONDS, "inf", "above 0"),
        (SECONDS, "1e20", "at most 315360000"),
        (SECONDS, "315360001", "at most 315360000"),
        (SECONDS_OR_NONE, "1e11", "to 315360000"),
        (text_values.host_suffixes, "http://127.0.0.1", "without a scheme"),
        (text_values.host_suffixes, "a.bfl.ai:443", "without a scheme"),
        (text_values.host_suffixes, ".bfl.ai, *.bfl.ai", "without a scheme"),
        (text_values.host_suffixes, ".", "a host name"),
        (text_values.host_suffixes, "bfl.ai.", "a host name"),
        (text_values.base_url, "https://user:pass@relay.example", "user name or password"),
        (text_values.key_template, "é" * 440 + "{job_id}", "too long"),
        (SECONDS, "nan", "above 0"),
        (SECONDS, "5s", "must be a number"),
        (text_values.networks, "10.0.0.1/8", "; write 10.0.0.0/8"),
        (text_values.networks, "localhost", "10.0.0.0/8 or fd00::/8"),
        (text_values.secret, "with\nline", "printable ASCII"),
        (text_values.secret, "schlüssel", "printable ASCII"),
        (credentials.redis_url, "http://h", "redis://, rediss://"),
        (credentials.redis_url, "redis://", "redis://, rediss://"),
        (credentials.redis_url, "unix://", "redis://, rediss://"),
        (credentials.redis_url, "localhost:6379", "redis://, rediss://"),
        (credentials.redis_url, "redis://h:port", "not a URL"),
        (credentials.api_keys, "", "contains no key"),
        (credentials.api_keys, f":{KEY}", "must look like name:key"),
        (credentials.api_keys, f"a b:{KEY}", "must look like name:key"),
        (credentials.api_keys, "demo:short", "16 ASCII"),
        (credentials.api_keys, f"demo:{KEY}ß", "16 ASCII"),
        (
            credentials.api_keys,
            f"demo:{KEY},other:{KEY}",
            "entry 2 (other) has the same key as entry 1",
        ),
        (credentials.master_secrets, "", "32 characters"),
        (credentials.master_secrets, "m" * 31, "32 characters"),
        (credentials.master_secrets, f"{MASTER},short", "32 characters"),
    ],
)
def test_bad_texts(parse: Callable[[str], Any], text: str, words: str) -> None:
    """A bad text is a ValueError that says what is allowed."""
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost:6379/0",
        "rediss://user:p%40ss@redis.example:6380/1",
        "redis://:password@[::1]:6379",
        "unix:///run/redis.sock?db=1",
    ],
)
def test_good_redis_urls(url: str) -> None:
    """Every kind of address that the client knows is taken, and hidden."""
    assert credentials.redis_url(url).reveal() == url


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (credentials.redis_url, "redis://:hunter2℀@host"),
        (credentials.redis_url, "redis://:hunter2/x@host:6379"),
        (credentials.redis_url, "redis://:hunter2[@host"),
        (credentials.redis_url, "http://:hunter2@host"),
        (text_values.secret, "hunter2ß"),
        (credentials.master_secrets, "hunter2"),
        (credentials.api_keys, "hunter2hunter2hunter2"),
        (credentials.api_keys, "hunter2hunter2hunter2:demo"),
        (credentials.api_keys, "hunter2:demo"),
        (credentials.api_keys, f"hunter2-with blank-{KEY},a:hunter2"),
        (credentials.api_keys, "demo:hunter2"),
        (credentials.api_keys, f"hunter2:{KEY},hunter3:{KEY}"),
        (text_values.base_url, "https://user:hunter2℀@host"),
    ],
)
def test_no_message_repeats_a_secret(parse: Callable[[str], Any], text: str) -> None:
    """Whatever is wrong with a secret, and wherever it was put, its text is in no message."""
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse(text)
    assert "hunter2" not in str(caught.value)


def test_api_keys_are_kept_as_hashes() -> None:
    """The keys themselves are not kept: names are found by the SHA-256 of a key."""
    names = credentials.api_keys(f"demo:{KEY}, a-b_c.D1:{KEY}:with:colons")

    assert names == {
        sha256(KEY.encode()).hexdigest(): "demo",
        sha256(f"{KEY}:with:colons".encode()).hexdigest(): "a-b_c.D1",
    }


def test_masters_keep_their_order() -> None:
    """The newest stands first, for it signs."""
    masters = credentials.master_secrets(f"{MASTER}new, {MASTER}old")

    assert [master.reveal() for master in masters] == [f"{MASTER}new", f"{MASTER}old"]


def test_a_secret_does_not_show() -> None:
    """No way to print a secret shows it."""
    hidden = Secret("hunter2")

    for shown in (repr(hidden), str(hidden), f"{hidden}", f"{[hidden]}", "%s" % hidden):  # noqa: UP031 - one of the ways
        assert "hunter2" not in shown
    assert hidden.reveal() == "hunter2"

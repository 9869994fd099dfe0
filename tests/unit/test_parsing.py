"""Each parser of a setting: what it takes, and what it says of the rest."""

from collections.abc import Callable
from hashlib import sha256
from ipaddress import ip_network
from typing import Any

import pytest

from core import parsing
from core.parsing import Secret, SlotLimits

KEY = "a-key-of-16-chars"
MASTER = "m" * 32


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parsing.text, " as it is ", " as it is "),
        (parsing.base_url, "https://api.bfl.ai", "https://api.bfl.ai"),
        (parsing.base_url, "http://[::1]:8080/below//", "http://[::1]:8080/below"),
        (parsing.base_urls, "", ()),
        (
            parsing.base_urls,
            "https://a.example/, http://b:1 ,",
            ("https://a.example", "http://b:1"),
        ),
        (parsing.slot_limits, "24", SlotLimits(24, {})),
        (parsing.slot_limits, "24, a = 6 ,b=1", SlotLimits(24, {"a": 6, "b": 1})),
        (parsing.host_suffixes, ".BFL.ai, localhost", (".bfl.ai", "localhost")),
        (parsing.boolean, "YES", True),
        (parsing.boolean, "true", True),
        (parsing.boolean, "1", True),
        (parsing.boolean, "No", False),
        (parsing.boolean, "false", False),
        (parsing.boolean, "0", False),
        (parsing.bucket, "abc", "abc"),
        (parsing.bucket, "b" * 63, "b" * 63),
        (parsing.key_template, "{job_id}", "{job_id}"),
        (parsing.key_template, "a/{tenant}/{date}/{model}-{job_id}.{ext}", None),
        (parsing.key_template, "{{not a field}}/{job_id}", None),
        (parsing.port, "1", 1),
        (parsing.port, "65535", 65535),
        (parsing.positive_int, "1", 1),
        (parsing.positive_int, "1e3", 1000),
        (parsing.seconds, "0.001", 0.001),
        (parsing.seconds, "86400", 86400.0),
        (parsing.seconds, "315360000", 315360000.0),
        (parsing.networks, "", ()),
        (
            parsing.networks,
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
        (parsing.base_url, "", "http:// or https://"),
        (parsing.base_url, "api.bfl.ai", "http:// or https://"),
        (parsing.base_url, "ftp://api.bfl.ai", "http:// or https://"),
        (parsing.base_url, "https://", "with a host"),
        (parsing.base_url, "https://h/?x=1", "no query"),
        (parsing.base_url, "https://h/#x", "no query"),
        (parsing.base_url, "https://h:port", "not a URL"),
        (parsing.base_url, "https://[::1", "not a URL"),
        (parsing.base_urls, "https://a,b", "http:// or https://"),
        (parsing.slot_limits, "", "must look like 24,"),
        (parsing.slot_limits, ",", "must look like 24,"),
        (parsing.slot_limits, "0", "must look like 24,"),
        (parsing.slot_limits, "-1", "must look like 24,"),
        (parsing.slot_limits, "many", "must look like 24,"),
        (parsing.slot_limits, "2.5", "must look like 24,"),
        (parsing.slot_limits, "a=6", "must look like 24,"),
        (parsing.slot_limits, "24,a", "must look like 24,"),
        (parsing.slot_limits, "24,a=0", "must look like 24,"),
        (parsing.slot_limits, "24,=6", "must look like 24,"),
        (parsing.slot_limits, "24,a=b", "must look like 24,"),
        (parsing.boolean, "", "yes or no"),
        (parsing.boolean, "maybe", "yes or no"),
        (parsing.bucket, "ab", "3 to 63"),
        (parsing.bucket, "b" * 64, "3 to 63"),
        (parsing.bucket, "a/b", "bucket's name"),
        (parsing.key_template, "fixed.jpg", "must hold {job_id}"),
        (parsing.key_template, "{{job_id}}", "must hold {job_id}"),
        (parsing.key_template, "{job_id}/{secret}", "no other braces"),
        (parsing.key_template, "{job_id}{}", "no other braces"),
        (parsing.key_template, "{job_id}{0}", "no other braces"),
        (parsing.key_template, "{job_id}{", "no other braces"),
        (parsing.key_template, "{job_id}}", "no other braces"),
        (parsing.key_template, "{job_id.__class__}", "no other braces"),
        (parsing.key_template, "{job_id[0]}", "no other braces"),
        (parsing.key_template, "{job_id!r}", "no other braces"),
        (parsing.key_template, "{job_id:>9}", "no other braces"),
        (parsing.key_template, "{job_id:999999999999}", "no other braces"),
        (parsing.key_template, "{job_id:{ext}}", "no other braces"),
        (parsing.key_template, "/{job_id}", "must not begin with /"),
        (parsing.key_template, "_inputs/{job_id}", "must not begin with /"),
        (parsing.key_template, "a/../{job_id}", "must not hold .."),
        (parsing.key_template, "a/{job_id}/", "must not end with /"),
        (parsing.key_template, "a//{job_id}", "must not hold .."),
        (parsing.key_template, "./{job_id}", "must not hold .."),
        (parsing.key_template, "{job_id}.", "a dot at its end"),
        (parsing.key_template, "{job_id} /x", "a space"),
        (parsing.key_template, "a\\{job_id}", "a backslash"),
        (parsing.key_template, "{job_id}.JSON", "must not end with .json"),
        (parsing.key_template, "_Probe/{job_id}", "must not begin with /"),
        (parsing.key_template, "{job_id}" * 29, "too long"),
        (parsing.api_keys, "..:api-key-of-a-test-0001", "none that an object may have"),
        (parsing.api_keys, "_Inputs:api-key-of-a-test-0001", "none that an object may have"),
        (parsing.key_template, "{job_id}\n", "control characters"),
        (parsing.port, "0", "from 1 to 65535"),
        (parsing.port, "65536", "from 1 to 65535"),
        (parsing.port, "80.5", "from 1 to 65535"),
        (parsing.port, "http", "must be a number"),
        (parsing.port, "nan", "from 1 to 65535"),
        (parsing.port, "inf", "from 1 to 65535"),
        (parsing.positive_int, "0", "above 0"),
        (parsing.positive_int, "-1", "above 0"),
        (parsing.positive_int, "1.5", "above 0"),
        (parsing.positive_int, "inf", "above 0"),
        (parsing.positive_int, "nan", "above 0"),
        (parsing.positive_int, "1,5", "must be a number"),
        (parsing.seconds, "0", "above 0"),
        (parsing.seconds, "-0.5", "above 0"),
        (parsing.seconds, "inf", "above 0"),
        (parsing.seconds, "1e20", "at most 315360000"),
        (parsing.seconds, "315360001", "at most 315360000"),
        (parsing.seconds_or_none, "1e11", "to 315360000"),
        (parsing.host_suffixes, "http://127.0.0.1", "without a scheme"),
        (parsing.host_suffixes, "a.bfl.ai:443", "without a scheme"),
        (parsing.host_suffixes, ".bfl.ai, *.bfl.ai", "without a scheme"),
        (parsing.host_suffixes, ".", "host names"),
        (parsing.host_suffixes, "bfl.ai.", "host names"),
        (parsing.base_url, "https://user:pass@relay.example", "user name or password"),
        (parsing.key_template, "é" * 440 + "{job_id}", "too long"),
        (parsing.seconds, "nan", "above 0"),
        (parsing.seconds, "5s", "must be a number"),
        (parsing.networks, "10.0.0.1/8", "10.0.0.0/8,fd00::/8"),
        (parsing.networks, "localhost", "10.0.0.0/8,fd00::/8"),
        (parsing.secret, "with\nline", "printable ASCII"),
        (parsing.secret, "schlüssel", "printable ASCII"),
        (parsing.redis_url, "http://h", "redis://, rediss://"),
        (parsing.redis_url, "redis://", "redis://, rediss://"),
        (parsing.redis_url, "unix://", "redis://, rediss://"),
        (parsing.redis_url, "localhost:6379", "redis://, rediss://"),
        (parsing.redis_url, "redis://h:port", "not a URL"),
        (parsing.api_keys, "", "holds no key"),
        (parsing.api_keys, f":{KEY}", "must look like name:key"),
        (parsing.api_keys, f"a b:{KEY}", "must look like name:key"),
        (parsing.api_keys, "demo:short", "16 ASCII"),
        (parsing.api_keys, f"demo:{KEY}ß", "16 ASCII"),
        (parsing.api_keys, f"demo:{KEY},other:{KEY}", "for another name too"),
        (parsing.master_secrets, "", "32 characters"),
        (parsing.master_secrets, "m" * 31, "32 characters"),
        (parsing.master_secrets, f"{MASTER},short", "32 characters"),
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
    assert parsing.redis_url(url).reveal() == url


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parsing.redis_url, "redis://:hunter2℀@host"),
        (parsing.redis_url, "redis://:hunter2/x@host:6379"),
        (parsing.redis_url, "redis://:hunter2[@host"),
        (parsing.redis_url, "http://:hunter2@host"),
        (parsing.secret, "hunter2ß"),
        (parsing.master_secrets, "hunter2"),
        (parsing.api_keys, "hunter2hunter2hunter2"),
        (parsing.api_keys, "hunter2hunter2hunter2:demo"),
        (parsing.api_keys, "demo:hunter2"),
        (parsing.api_keys, f"hunter2:{KEY},hunter3:{KEY}"),
        (parsing.base_url, "https://user:hunter2℀@host"),
    ],
)
def test_no_message_repeats_a_secret(parse: Callable[[str], Any], text: str) -> None:
    """Whatever is wrong with a secret, and wherever it was put, its text is in no message."""
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse(text)
    assert "hunter2" not in str(caught.value)


def test_api_keys_are_kept_as_hashes() -> None:
    """The keys themselves are not kept: names are found by the SHA-256 of a key."""
    names = parsing.api_keys(f"demo:{KEY}, a-b_c.D1:{KEY}:with:colons")

    assert names == {
        sha256(KEY.encode()).hexdigest(): "demo",
        sha256(f"{KEY}:with:colons".encode()).hexdigest(): "a-b_c.D1",
    }


def test_masters_keep_their_order() -> None:
    """The newest stands first, for it signs."""
    masters = parsing.master_secrets(f"{MASTER}new, {MASTER}old")

    assert [master.reveal() for master in masters] == [f"{MASTER}new", f"{MASTER}old"]


def test_a_secret_does_not_show() -> None:
    """No way to print a secret shows it."""
    hidden = Secret("hunter2")

    for shown in (repr(hidden), str(hidden), f"{hidden}", f"{[hidden]}", "%s" % hidden):  # noqa: UP031 - one of the ways
        assert "hunter2" not in shown
    assert hidden.reveal() == "hunter2"

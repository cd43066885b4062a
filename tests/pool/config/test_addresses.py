"""Where to listen, as it is written."""

import re

import pytest

from supervisor.pool.config.addresses import PATTERN, HttpAddress, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8765", "127.0.0.1", 8765),
        ("localhost:0", "127.0.0.1", 0),
        ("[::1]:65535", "::1", 65535),
        ("0.0.0.0:80", "0.0.0.0", 80),
    ],
)
def test_an_address_is_an_ip_address_and_a_port(text: str, host: str, port: int) -> None:
    assert parse_address(text) == HttpAddress(host, port)
    assert re.search(PATTERN, text)


@pytest.mark.parametrize(
    "text",
    ["", "8765", ":8765", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "::1:80",
     "[127.0.0.1]:80", "example.org:80", "http://127.0.0.1:80", 8765, None],
)  # fmt: skip
def test_anything_else_is_none(text: object) -> None:
    with pytest.raises(ValueError, match="allowed is an IP address of this machine and a port"):
        parse_address(text)


@pytest.mark.parametrize(("host", "loopback"), [("127.9.9.9", True), ("::1", True), ("::", False)])
def test_it_knows_whether_others_reach_it(host: str, loopback: bool) -> None:
    assert HttpAddress(host, 1).is_loopback is loopback


def test_it_is_written_as_urls_have_it() -> None:
    assert (str(HttpAddress("::1", 1)), str(HttpAddress("127.0.0.1", 1))) == (
        "[::1]:1",
        "127.0.0.1:1",
    )

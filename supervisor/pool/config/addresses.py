"""Where to listen, as pool.toml and the command line say it."""

import ipaddress
from dataclasses import dataclass

ADDRESS = (
    'an IP address of this machine and a port, such as "127.0.0.1:8765", "[::1]:8765" or '
    '"localhost:8765"'
)
"""What an address may be, in words."""

PATTERN = r"^$|^(localhost|[0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$"
"""The same for editors, roughly; or nothing."""


@dataclass(frozen=True)
class HttpAddress:
    """An IP address and a port."""

    host: str
    """The IP address, without brackets."""
    port: int
    """0: any that is free."""

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"

    @property
    def name(self) -> str:
        """The host as it stands in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone can reach it."""
        return ipaddress.ip_address(self.host).is_loopback


def meant_address(value: object) -> str | None:
    """The address that a wrong one may have been meant to be: a port alone, a host alone."""
    text = str(value).removeprefix("http://").rstrip("/")
    for meant in (f"127.0.0.1:{text.removeprefix(':')}", f"{text}:8765", text):
        try:
            parse_address(meant)
        except ValueError:
            continue
        return meant
    return None


def parse_address(text: object) -> HttpAddress:
    """The address that is written there.

    Raises:
        ValueError: it is none; the message says what is allowed.
    """
    host, _, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    plain = host.removeprefix("[").removesuffix("]")
    try:
        found = str(ipaddress.ip_address("127.0.0.1" if host == "localhost" else plain))
        number = int(port)
    except ValueError:
        raise ValueError(f"allowed is {ADDRESS}") from None
    bracketed = host.startswith("[") and host.endswith("]")
    if not 0 <= number < 1 << 16 or (":" in plain) != bracketed:
        raise ValueError(f"allowed is {ADDRESS}")
    return HttpAddress(found, number)

"""Whether a pool serves HTTP, and where: the command line's word, or pool.toml's."""

from typing import TYPE_CHECKING

from supervisor.cli._start import Ways
from supervisor.frontend import FrontEnd
from supervisor.place import Place
from supervisor.pool import parse_address
from supervisor.pool.config import HttpTable

if TYPE_CHECKING:
    from supervisor.frontend.http import HttpServer


class NoHttp(Exception):  # noqa: N818 - a refusal, in words
    """HTTP was asked for on the command line, and cannot be had."""


def open_http(
    front_end: FrontEnd, said: HttpTable, place: Place, ways: Ways
) -> "HttpServer | None":
    """A server that listens already, and of which `hello` tells; None: there is none.

    What pool.toml asks for and is not to be had leaves the pool without HTTP, and `hello` says
    why: a second project with the same pool.toml is no reason to have no pool.

    Raises:
        NoHttp: the same, but the command line asked.
    """
    wanted = said.address if ways.http is None else ways.http
    if not wanted:
        return None
    # Here: it takes long to load, and few use it.
    from supervisor.frontend.http import HttpError, HttpServer, bind, read_token

    try:
        address = parse_address(wanted)
        token = read_token(place.http_token)
        listener = bind(address, said.allow_remote or ways.http_allow_remote)
    except (OSError, ValueError, HttpError) as error:
        problem = f'"{wanted}": {error}' if isinstance(error, ValueError) else str(error)
        if ways.http is not None:
            raise NoHttp(f"--http: {problem}") from None
        front_end.http = {"problem": problem}
        return None
    server = HttpServer(front_end, listener, token, said.allowed_hosts, said.idle_timeout)
    front_end.http = {"url": server.url, "token_file": place.http_token}
    return server

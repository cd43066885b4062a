"""MCP over HTTP: who may come in, what is served, and where."""

import json
import stat
from pathlib import Path

import httpx2
import pytest

from supervisor.frontend.http import HttpError, bind, read_token
from supervisor.pool import HttpAddress
from tests.client import LIMIT_S, Project
from tests.transports.conftest import Serve
from tests.transports.stage import INITIALIZE, Era, Served

pytestmark = pytest.mark.xdist_group("http")

# The SDK's client leaves its response's generators to the garbage collector.
by_the_sdk = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@by_the_sdk
@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_an_agent_answers_over_http(shared: Served, era: Era) -> None:
    async with shared.client(era) as client:
        result = await client.call_tool("invoke", {"agent": "coder", "task": "[[say hello]]"})

    assert [block.text for block in result.content if block.type == "text"] == ["hello"]


@by_the_sdk
@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_progress_comes_with_it(shared: Served, era: Era) -> None:
    told: list[str | None] = []

    async def report(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with shared.client(era) as client:
        arguments = {"agent": "coder", "task": "[[bash true]]"}
        await client.call_tool("invoke", arguments, progress_callback=report)

    assert any(message and message.startswith("coder: ") for message in told)


@by_the_sdk
async def test_a_client_over_http_and_one_on_the_socket_see_the_same_pool(shared: Served) -> None:
    async with shared.project.connect() as local, shared.client() as remote:
        ready = await remote.call_tool("warmup", {"agent": "coder"})
        seen = await local.agent("coder")

    assert ready.structured_content is not None
    assert seen["pid"] == ready.structured_content["pid"]


# who may come in


def test_without_a_token_nobody_comes_in(shared: Served) -> None:
    response = httpx2.post(shared.url, json=INITIALIZE)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert "agent-pool status" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "given", ["Bearer wrong", "Bearer", "Basic {token}", "{token}", "Bearer é"]
)
def test_with_a_wrong_token_nobody_comes_in(shared: Served, given: str) -> None:
    said = given.format(token=shared.token).encode("latin-1")
    headers = {name.encode(): value.encode() for name, value in shared.headers().items()}
    headers[b"authorization"] = said

    assert httpx2.post(shared.url, json=INITIALIZE, headers=headers).status_code == 401


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_the_name_of_the_scheme_may_be_written_in_any_case(shared: Served, scheme: str) -> None:
    assert shared.post(authorization=f"{scheme} {shared.token}").status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:80", "localhost@evil.example", "", "10.0.0.1"]
)
def test_who_calls_the_server_by_another_name_is_misdirected(shared: Served, host: str) -> None:
    assert shared.post(host=host).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:{port}", "LOCALHOST", "[::1]:1"])
def test_loopbacks_own_names_are_the_servers(shared: Served, host: str) -> None:
    assert shared.post(host=host.format(port=shared.port)).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "file://", "http://10.0.0.1:1", "http://["]
)
def test_pages_of_other_origins_are_kept_out(shared: Served, origin: str) -> None:
    assert shared.post(origin=origin).status_code == 403


def test_pages_of_this_machine_may_come_in(shared: Served) -> None:
    assert shared.post(origin=f"http://localhost:{shared.port}").status_code == 200


def test_there_is_nothing_but_mcp(shared: Served) -> None:
    assert httpx2.get(shared.url.replace("/mcp", "/")).status_code == 404


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}], ids=["known", "not"])
def test_a_huge_body_is_refused_before_it_is_whole(shared: Served, headers: dict[str, str]) -> None:
    with shared.connect() as client:
        client.sendall(shared.head(1 << 40, **headers) + b"[" * (1 << 20))

        answer = client.recv(1 << 16)

    assert answer.split()[1] == (b"401" if headers else b"413")


def test_a_huge_body_of_unknown_length_is_refused(shared: Served) -> None:
    body = (b"[" * (1 << 20) for _ in range(64))

    response = httpx2.post(shared.url, content=body, headers=shared.headers(), timeout=LIMIT_S)

    assert response.status_code == 413


# the token


def test_the_token_is_made_once_and_only_its_user_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "token"

    first = read_token(str(path))

    assert len(first) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_token(str(path)) == first
    assert [entry.name for entry in tmp_path.iterdir()] == ["token"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_token_that_others_may_have_read_is_none(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token"
    read_token(str(path))
    path.chmod(mode)

    with pytest.raises(HttpError, match="remove the file"):
        read_token(str(path))


@pytest.mark.parametrize("text", ["", "short", "two words that are long enough", "é" * 20])
def test_a_file_without_a_token_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(0o600)

    with pytest.raises(HttpError, match=f"{path}: .* no token"):
        read_token(str(path))


async def test_status_says_where_it_is_served_and_where_the_token_is(shared: Served) -> None:
    told = json.loads((await shared.project.run("status", "--json")).stdout)

    assert told["http"] == {"url": shared.url, "token_file": shared.project.place.http_token}


def test_the_log_does_not_hold_the_token(shared: Served) -> None:
    assert shared.token not in Path(shared.project.place.log).read_text()


# where it listens


def test_an_address_that_others_reach_is_refused_unless_it_is_meant() -> None:
    with pytest.raises(HttpError, match="--http-allow-remote"):
        bind(HttpAddress("0.0.0.0", 0), allow_remote=False)


async def test_a_second_pool_on_the_same_port_says_so_and_ends(
    shared: Served, tmp_path: Path
) -> None:
    other = Project(tmp_path)

    done = await other.run("run", "--http", f"127.0.0.1:{shared.port}")

    assert done.returncode == 1
    assert f"cannot be served at 127.0.0.1:{shared.port}" in done.stderr
    assert "another port" in done.stderr


async def test_where_pool_toml_asked_for_that_port_the_pool_lives_without_http(
    shared: Served, tmp_path: Path
) -> None:
    other = Project(tmp_path)
    other.write_config(f'[http]\naddress = "127.0.0.1:{shared.port}"\n')
    try:
        async with other.connect() as client:
            assert await client.agents()
            status = await other.run("status")
    finally:
        await other.close()

    assert "no HTTP: MCP cannot be served" in status.stdout


async def test_what_is_no_address_is_named_with_what_is_allowed(tmp_path: Path) -> None:
    done = await Project(tmp_path).run("run", "--http", "8765")

    assert done.returncode == 2
    assert '--http: "8765" is no address (allowed: an IP address' in done.stderr


def test_pool_toml_can_ask_for_it(serve: Serve, tmp_path: Path) -> None:
    served = serve('[http]\naddress = "127.0.0.1:0"\n', "--root", str(tmp_path / "p"))

    assert served.post().status_code == 200

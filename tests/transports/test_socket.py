"""The local socket: whose it is, and who may come in."""

import os
import stat
import sys
from pathlib import Path

import pytest
import trio

from supervisor.frontend import close, listen
from supervisor.place import Place, hello_line
from tests.client import NOBODY
from tests.transports.stage import Served

PROBE = """
import socket, sys
with socket.socket(socket.AF_UNIX) as client:
    client.connect(sys.argv[1])
    client.sendall(bytes.fromhex(sys.argv[2]))
    print(client.makefile("rb").readline().decode())
"""


def test_only_its_user_may_open_the_socket_and_the_folders_around_it(shared: Served) -> None:
    place = shared.project.place

    assert stat.S_IMODE(Path(place.socket).lstat().st_mode) == 0o600
    assert stat.S_ISSOCK(Path(place.socket).lstat().st_mode)
    assert stat.S_IMODE(Path(place.folder).stat().st_mode) == 0o700


async def test_the_socket_is_private_though_the_umask_is_not(tmp_path: Path) -> None:
    place = Place(str(tmp_path), {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)})
    place.prepare()
    before = os.umask(0)
    try:
        async with listen(place):
            mode = stat.S_IMODE(os.lstat(place.socket).st_mode)
    finally:
        os.umask(before)
        close(place)

    assert mode == 0o600


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize(("user", "answered"), [(NOBODY, False), (None, True)])
async def test_another_user_who_reaches_it_all_the_same_is_not_answered(
    shared: Served, user: int | None, answered: bool
) -> None:
    # Root opens everything: here it stands for who got past the modes, and gives its own rank up
    # only for the kernel's word on who it is.
    place = shared.project.place
    hello = hello_line("0", place.root, None).hex()
    drop = f"import os; os.setresuid({user}, {user}, 0)\n" if user is not None else ""
    done = await trio.run_process(
        [sys.executable, "-I", "-c", drop + PROBE, place.socket, hello],
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )

    assert (b"agent-pool" in done.stdout) == answered, done.stderr

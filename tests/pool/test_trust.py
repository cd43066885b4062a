"""The user's list of trusted projects."""

import json
import stat
from pathlib import Path

import pytest

from supervisor.pool.trust import (
    TrustError,
    distrust,
    is_trusted,
    trust,
    trust_file,
    trusted_roots,
)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home")}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def test_nobody_is_trusted_at_first(environ: dict[str, str], project: Path) -> None:
    assert not is_trusted(project, environ)
    assert trusted_roots(environ) == []


def test_who_is_trusted_is_so_until_it_is_taken_back(
    environ: dict[str, str], project: Path
) -> None:
    assert trust(project, environ)
    assert is_trusted(project, environ)
    assert distrust(project, environ)
    assert not is_trusted(project, environ)


def test_what_changes_nothing_says_so(environ: dict[str, str], project: Path) -> None:
    assert not distrust(project, environ)
    assert trust(project, environ)
    assert not trust(project, environ)


def test_trust_is_of_the_real_path(environ: dict[str, str], project: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(project)
    trust(link, environ)

    assert is_trusted(project, environ)
    assert trusted_roots(environ) == [str(project)]


def test_trust_is_not_inherited_by_what_lies_below(environ: dict[str, str], project: Path) -> None:
    trust(project, environ)
    below = project / "vendor" / "other"
    below.mkdir(parents=True)

    assert not is_trusted(below, environ)
    assert not is_trusted(project.parent, environ)


def test_the_list_is_for_its_user_alone(environ: dict[str, str], project: Path) -> None:
    trust(project, environ)

    assert stat.S_IMODE(trust_file(environ).stat().st_mode) == 0o600
    assert stat.S_IMODE(trust_file(environ).parent.stat().st_mode) == 0o700


def test_the_list_is_where_xdg_says(tmp_path: Path, project: Path) -> None:
    environ = {"HOME": "/nowhere", "XDG_CONFIG_HOME": str(tmp_path / "config")}
    trust(project, environ)

    assert (tmp_path / "config" / "agent-pool" / "trusted.json").is_file()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "does not hold"),
        ('{"roots": "/"}', "does not hold"),
        ('{"roots": [1]}', "does not hold"),
        (b"\xff", "is no JSON"),
    ],
)
def test_a_list_that_is_none_trusts_nobody_and_says_why(
    environ: dict[str, str], project: Path, text: str | bytes, why: str
) -> None:
    path = trust_file(environ)
    path.parent.mkdir(parents=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)

    assert not is_trusted(project, environ)
    with pytest.raises(TrustError, match=why):
        trust(project, environ)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_list_that_others_may_write_trusts_nobody(
    environ: dict[str, str], project: Path, mode: int
) -> None:
    trust(project, environ)
    trust_file(environ).chmod(mode)

    assert not is_trusted(project, environ)
    with pytest.raises(TrustError, match=r"others may write .*: chmod 600 "):
        trusted_roots(environ)


def test_a_path_that_is_no_text_is_kept_as_it_is(environ: dict[str, str], tmp_path: Path) -> None:
    odd = Path(str(tmp_path) + "/\udc80\n")
    odd.mkdir()
    trust(odd, environ)

    assert is_trusted(odd, environ)
    json.loads(trust_file(environ).read_text(encoding="ascii"))

"""The wheel: what it carries, that it runs from wherever it lies, and whom it cannot live with."""

import os
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Final

import pytest
from packaging.specifiers import SpecifierSet

import supervisor

ROOT: Final = Path(__file__).resolve().parents[1]
FOREIGN_INIT: Final = "# Supervisor package\n"
TIMEOUT_S: Final = 60


pytestmark = pytest.mark.xdist_group("wheel")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=TIMEOUT_S)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def unpacked(wheel: Path, tmp_path: Path) -> Path:
    """A folder that holds what the wheel installs, for a test to spoil."""
    folder = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return BytesParser().parsebytes(archive.read(name))


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def python(cwd: Path, path: list[Path], *words: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with `path` ahead of all that is installed, in another folder than the checkout.

    The dependencies come from the environment of the tests.
    """
    return subprocess.run(
        [sys.executable, "-P", *words],
        cwd=cwd,
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "HOME": str(cwd),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )


@pytest.mark.parametrize("folder", ["agents", "skills", "expertise"])
def test_the_wheel_carries_every_built_in_file(wheel: Path, folder: str) -> None:
    files = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    expected = {f"supervisor/_builtin/{path.relative_to(ROOT).as_posix()}" for path in files}

    assert files
    assert expected <= names(wheel)


@pytest.mark.parametrize(
    "name", ["supervisor/_builtin/config/pool.toml", "supervisor/py.typed", "agent_pool.py"]
)
def test_the_wheel_carries(wheel: Path, name: str) -> None:
    assert name in names(wheel)


def test_the_wheel_carries_every_module_and_nothing_but_the_product(wheel: Path) -> None:
    modules = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("supervisor/**/*.py")}
    inside = {name for name in names(wheel) if name.endswith(".py")}

    assert inside == modules | {"agent_pool.py"}


def test_the_wheel_has_the_version_of_the_package(wheel: Path) -> None:
    assert metadata(wheel)["Version"] == supervisor.__version__


def test_python_before_3_11_is_refused_by_the_metadata(wheel: Path) -> None:
    allowed = SpecifierSet(metadata(wheel)["Requires-Python"])

    assert "3.10.14" not in allowed
    assert "3.11.0" in allowed
    assert "3.14.1" in allowed


def test_the_command_of_the_wheel_is_the_module_that_knows_of_the_clash(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("entry_points.txt")]
        text = archive.read(name).decode()

    assert "agent-pool = agent_pool:main" in text


@pytest.mark.parametrize("module", ["agent_pool", "supervisor"])
def test_the_unpacked_wheel_tells_its_version_from_anywhere(
    unpacked: Path, tmp_path: Path, module: str
) -> None:
    done = python(tmp_path, [unpacked], "-m", module, "--version")

    assert (done.returncode, done.stdout) == (0, f"agent-pool {supervisor.__version__}\n")


def test_the_built_in_agents_are_found_in_the_wheel(unpacked: Path, tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from supervisor.agents import Catalogue, Folders; "
        "from supervisor.place import built_in; "
        "here = Path.cwd(); "
        "found = Catalogue(Folders.resolve(here, {}, here, Path(built_in()))).all(); "
        "print(*(f'{type(one).__name__} {one.origin} {one.source}' for one in found), sep='\\n')"
    )
    done = python(tmp_path, [unpacked], "-c", script)

    folder = unpacked / "supervisor" / "_builtin" / "agents"
    expected = [f"AgentDefinition built-in {folder / p.name}" for p in (ROOT / "agents").iterdir()]
    assert done.stderr == ""
    assert sorted(done.stdout.splitlines()) == sorted(expected)


def test_the_shipped_configuration_is_read_from_the_wheel(unpacked: Path, tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; "
        "from supervisor.place import built_in; from supervisor.pool import ConfigFiles; "
        "file = Path(built_in()) / 'config' / 'pool.toml'; "
        "print(file, ConfigFiles(file).load().pool.linger)"
    )
    done = python(tmp_path, [unpacked], "-c", script)

    file = unpacked / "supervisor" / "_builtin" / "config" / "pool.toml"
    assert done.stdout == f"{file} 60.0\n"


def assert_says_the_clash(done: "subprocess.CompletedProcess[str]", folder: Path) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    assert "`supervisor` found here is not agent-pool's" in done.stderr
    assert str(folder) in done.stderr
    assert "pipx install agent-pool" in done.stderr
    assert "Traceback" not in done.stderr


def foreign(folder: Path, init: str = FOREIGN_INIT) -> Path:
    """The files of another distribution whose import package is `supervisor`, in `folder`."""
    package = folder / "supervisor"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text(init)
    (package / "supervisord.py").write_text("raise SystemExit('supervisord was run')\n")
    return folder


@pytest.mark.parametrize("command", ["--version", "serve", "status"])
def test_a_foreign_package_ahead_of_ours_is_named(
    unpacked: Path, tmp_path: Path, command: str
) -> None:
    other = foreign(tmp_path / "other")

    done = python(tmp_path, [other, unpacked], "-m", "agent_pool", command)

    assert_says_the_clash(done, other / "supervisor")


@pytest.mark.parametrize("init", ["import no_such_module", "1 / 0", "not python"])
def test_a_foreign_package_that_cannot_be_imported_is_no_riddle(
    unpacked: Path, tmp_path: Path, init: str
) -> None:
    other = foreign(tmp_path / "other", init)

    done = python(tmp_path, [other, unpacked], "-m", "agent_pool", "--version")

    assert done.returncode == 2
    assert "is not agent-pool's" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_foreign_module_of_that_name_is_named(unpacked: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "supervisor.py").write_text("")

    done = python(tmp_path, [other, unpacked], "-m", "agent_pool", "--version")

    assert_says_the_clash(done, other / "supervisor.py")


@pytest.mark.parametrize("module", ["agent_pool", "supervisor"])
@pytest.mark.parametrize("command", ["--version", "serve", "status"])
def test_theirs_installed_over_ours_is_named(
    unpacked: Path, tmp_path: Path, module: str, command: str
) -> None:
    foreign(unpacked)

    done = python(tmp_path, [unpacked], "-m", module, command)

    assert_says_the_clash(done, unpacked / "supervisor")


@pytest.mark.parametrize("module", ["agent_pool", "supervisor"])
def test_ours_installed_over_theirs_is_named(unpacked: Path, tmp_path: Path, module: str) -> None:
    ours = (unpacked / "supervisor" / "__init__.py").read_text()
    foreign(unpacked, ours)

    done = python(tmp_path, [unpacked], "-m", module, "--version")

    assert_says_the_clash(done, unpacked / "supervisor")

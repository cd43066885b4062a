"""The rooms import one way, as `supervisor/__init__` and the design say.

Read from the source with `ast`, so that a new module, and an import inside a function or under
`TYPE_CHECKING`, is covered by itself.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

PACKAGE: Final = Path(__file__).resolve().parents[1] / "supervisor"
MODULES: Final = sorted(PACKAGE.rglob("*.py"))
BOTTOM: Final = ("tree", "process", "protocol", "agents", "ledger", "logs")
ALLOWED: Final = {
    "cli": {
        "frontend",
        "pool",
        *BOTTOM,
        "greeting",
        "guardian",
        "place",
        "reaper",
        "relay",
        "temporary",
    },
    "frontend": {"ledger", "logs", "pool", "place"},
    "pool": {*BOTTOM, "place", "temporary"},
    **{room: set[str]() for room in BOTTOM},
    "rehearsal": set[str](),
    "guardian": set[str](),
    "reaper": {"guardian"},
    "relay": {"greeting", "place"},
    "greeting": {"place"},
    "place": set[str](),
    "temporary": {"place"},
    "__main__": {"cli", "relay", "rehearsal"},
    "__init__": set[str](),
}
"""Room → the rooms that it may import. `supervisor` itself, which only holds the version, is
free to all but the rooms at the bottom."""
HEAVY: Final = (
    "asyncio", "anyio", "argparse", "dataclasses", "importlib.metadata", "inspect", "logging",
    "mcp", "mcp_types", "pathlib", "psutil", "pydantic", "structlog", "subprocess", "tempfile",
    "trio", "trio_util", "typing", "yaml",
)  # fmt: skip


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """The dotted names of all that a module imports, relative imports resolved."""
    package = ("supervisor", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join((*base, *([node.module] if node.module else ())))
            yield stem
            # `from supervisor import place`: the name may be a module.
            yield from (f"{stem}.{alias.name}" for alias in node.names)


def ours(path: Path) -> Iterator[tuple[str, ...]]:
    """What a module imports of `supervisor`, without that word: () is the package itself."""
    for name in imported(path):
        head, *rest = name.split(".")
        if head == "supervisor":
            yield tuple(rest)


def is_module(parts: tuple[str, ...]) -> bool:
    place = PACKAGE.joinpath(*parts)
    return place.is_dir() or place.with_suffix(".py").is_file()


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_every_room_is_on_the_map() -> None:
    assert {room_of(path) for path in MODULES} <= set(ALLOWED)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_the_rooms_below_its_own(path: Path) -> None:
    room = room_of(path)
    found = {parts[0] for parts in ours(path) if parts and is_module(parts[:1])}

    assert found - {room} <= ALLOWED[room]


@pytest.mark.parametrize(
    "path", [p for p in MODULES if room_of(p) in (*BOTTOM, "place")], ids=name_of
)
def test_the_rooms_at_the_bottom_do_not_even_import_the_version(path: Path) -> None:
    assert () not in set(ours(path))


@pytest.mark.parametrize("path", [p for p in MODULES if p.parent != PACKAGE], ids=name_of)
def test_a_room_reaches_into_no_other_rooms_private_modules(path: Path) -> None:
    room = room_of(path)
    private = {
        parts
        for parts in ours(path)
        if parts and parts[0] != room and any(part.startswith("_") for part in parts[1:])
    }

    assert not private


ALONE: Final = ("greeting", "guardian", "place", "reaper", "relay")
"""The modules that a client waits for, and those that stay above a pool."""


@pytest.mark.parametrize("name", ALONE)
def test_the_relay_the_place_and_what_is_above_a_pool_import_only_the_standard_library(
    name: str,
) -> None:
    path = PACKAGE / f"{name}.py"
    roots = {found.split(".")[0] for found in imported(path)}

    assert roots - {"supervisor"} <= sys.stdlib_module_names
    assert {parts[0] for parts in ours(path) if parts} <= {*ALONE, "__version__"}


def test_the_package_itself_imports_nothing() -> None:
    assert not list(imported(PACKAGE / "__init__.py"))


@pytest.mark.parametrize("path", [p for p in MODULES if room_of(p) == "protocol"], ids=name_of)
def test_the_protocol_does_no_input_or_output(path: Path) -> None:
    roots = {found.split(".")[0] for found in imported(path)}

    assert not roots & {"trio", "anyio", "socket", "subprocess", "os", "io", "pathlib", "threading"}


@pytest.mark.parametrize("module", ["supervisor.relay", "supervisor.place", "supervisor.reaper"])
def test_what_an_mcp_client_waits_for_and_what_stays_small_loads_nothing_heavy(module: str) -> None:
    # -S: a development tool's .pth file may load anything.
    script = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); import {module}; "
    script += "print('\\n'.join(sys.modules))"
    command = [sys.executable, "-I", "-S", "-c", script]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)

    assert not set(loaded.stdout.split()) & set(HEAVY)


@pytest.mark.parametrize("path", [p for p in MODULES if room_of(p) == "pool"], ids=name_of)
def test_the_pool_sees_processes_through_the_seam_alone(path: Path) -> None:
    assert "supervisor.process.Child" not in set(imported(path))

"""Any file at all is a configuration, or located mistakes; never a traceback."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervisor.pool.config import ConfigError
from tests.pool.config.conftest import SHIPPED, Files

TEXT = SHIPPED.read_text(encoding="utf-8")

PIECES = (
    "[", "]", "[[", "]]", "=", ".", ",", "{", "}", '"', "'", '"""', "#", "\n", "\r", "\0",
    "true", "nan", "-1", "0x", "9" * 400, "1979-05-27", "agents", "defaults", "pool", "\ufeff",
    "[agents.x]\n", "[agents]\n", "x = 1\n", 'linger = "1s"\n', "permission_mode", "\u2028",
    "bypassPermissions", "é",
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    text = TEXT
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(text)))
        end = at + draw(st.sampled_from([0, 0, 1, 2, 8, 40]))
        piece = draw(st.sampled_from(PIECES) | st.text(max_size=5))
        text = text[:at] + piece + text[end:]
    return text.encode("utf-8", draw(st.sampled_from(["replace", "surrogatepass"])))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=mutated() | st.binary(max_size=60))
def test_any_file_gives_a_configuration_or_located_mistakes(tmp_path: Path, data: bytes) -> None:
    files = Files(tmp_path)
    path = files.write(files.project, data)

    # Whatever else is raised fails the test.
    try:
        files.load()
        blamed = {path}
    except ConfigError as error:
        blamed = {problem.path for problem in error.problems}

    assert blamed == {path}

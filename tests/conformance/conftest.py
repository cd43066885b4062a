"""Which scenarios are replayed: those beside this file, or those of `--otp-corpus DIR`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.scenario import CORPUS, LEFT_OUT, BadScenario, files_in, load


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--otp-corpus",
        metavar="DIR",
        help="replay the scenarios of this folder (tests/conformance)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scenario_file" not in metafunc.fixturenames:
        return
    folder = _folder(metafunc.config)
    params = [pytest.param(path, id=path.stem, marks=_marks(path)) for path in files_in(folder)]
    if all(param.marks for param in params):
        params.append(pytest.param(folder, id="no-scenario"))  # and that fails
    metafunc.parametrize("scenario_file", params)


def _folder(config: pytest.Config) -> Path:
    # Where pytest found this file only while it collected, nobody could give the option.
    given = config.getoption("--otp-corpus", default=None)
    return CORPUS if given is None else config.invocation_params.dir / given


def _marks(path: Path) -> list[pytest.MarkDecorator]:
    try:
        tag = load(path).left_out
    except BadScenario:
        return []  # its test says so
    return [] if tag is None else [pytest.mark.skip(reason=f"tag {tag}: {LEFT_OUT[tag]}")]

"""What the recorded transcripts must be to be of use, and what all versions have in common."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.realcli.record import ONLY, SCENARIOS, TRANSCRIPTS, Scrubber
from tests.realcli.session import Line

FILES = sorted(TRANSCRIPTS.glob("*/*.jsonl"))
MACHINE = re.compile(r"/(?:tmp|root|work|home|Users|usr|var|private)\b")
MAX_BYTES_A_VERSION = 200_000

every_transcript = pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")


def messages(path: Path, direction: str) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        if entry["dir"] == direction:
            yield json.loads(entry["line"])


def test_every_version_has_every_scenario() -> None:
    for version in {path.parent.name for path in FILES}:
        wanted = {scenario.__name__ for scenario in ONLY.get(version, SCENARIOS)}
        assert {path.stem for path in FILES if path.parent.name == version} == wanted


@every_transcript
def test_a_transcript_names_no_place_and_no_port_of_the_machine(path: Path) -> None:
    text = path.read_text().replace("/scrubbed/home", "").replace("/scrubbed/project", "")

    assert not MACHINE.findall(text.replace("/tmp/cc-socks", ""))
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", text)) <= {"1"}


@every_transcript
def test_every_result_comes_after_an_init_of_its_own(path: Path) -> None:
    begun = False
    for message in messages(path, "<<<"):
        if message.get("subtype") == "init":
            begun = True
        elif message["type"] == "result":
            assert begun
            begun = False


@every_transcript
def test_init_names_the_version(path: Path) -> None:
    named = {m["claude_code_version"] for m in messages(path, "<<<") if m.get("subtype") == "init"}

    assert named <= {path.parent.name}


@pytest.mark.parametrize("version", sorted({path.parent.name for path in FILES}))
def test_the_transcripts_of_a_version_stay_small(version: str) -> None:
    assert sum(path.stat().st_size for path in (TRANSCRIPTS / version).iterdir()) < (
        MAX_BYTES_A_VERSION
    )


def test_scrubbing_keeps_equal_uuids_equal_and_different_ones_different_from_the_start() -> None:
    a, b = "0b1c2d3e-0000-4000-8000-00000000000a", "0b1c2d3e-0000-4000-8000-00000000000b"
    line = Scrubber({}).line(Line("<<<", f'["{a}","{b}","{a}"]', 0.0))

    first, second, third = json.loads(json.loads(line)["line"])
    assert first == third
    assert first[:8] != second[:8]


def test_scrubbing_replaces_folders_also_where_they_are_written_with_dashes() -> None:
    scrubber = Scrubber({"/tmp/x": "/scrubbed"})
    line = scrubber.line(Line("<<<", '"/tmp/x/home and -tmp-x-project"', 0.0))

    assert json.loads(json.loads(line)["line"]) == "/scrubbed/home and -scrubbed-project"

"""What is known of a pool's answers before it is up, and what is not."""

import json
from pathlib import Path

import pytest

from supervisor.greeting import HANDSHAKE, TOOLS, Answers
from supervisor.place import Place

NEWEST = "2026-07-28"
OURS = {"tools": [{"name": "ours"}]}
FRONTEND = '[frontend]\ntools = "all"\n'


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "h" / ".config" / "agent-pool").mkdir(parents=True)
    return {"HOME": str(tmp_path / "h")}


@pytest.fixture
def place(tmp_path: Path, environ: dict[str, str]) -> Place:
    (tmp_path / "p" / ".claude").mkdir(parents=True)
    place = Place(str(tmp_path / "p"), environ)
    place.prepare()
    return place


def configure(place: Place, text: str) -> None:
    Path(place.root, ".claude", "pool.toml").write_text(text)


def learn(place: Place, environ: dict[str, str], method: str, result: object) -> None:
    """What a start learns and leaves."""
    answers = Answers(place, environ)
    answers.learn(HANDSHAKE, method, result)
    answers.save()


def test_what_a_pool_has_said_the_next_start_knows(place: Place, environ: dict[str, str]) -> None:
    configure(place, FRONTEND)
    learn(place, environ, TOOLS, OURS)

    assert Answers(place, environ).find(HANDSHAKE, TOOLS) == OURS


def test_of_one_era_nothing_is_known_of_the_tools_of_another(
    place: Place, environ: dict[str, str]
) -> None:
    configure(place, FRONTEND)
    learn(place, environ, TOOLS, OURS)

    assert Answers(place, environ).find(NEWEST, TOOLS) is None


def test_what_was_not_asked_for_is_not_known_then(place: Place, environ: dict[str, str]) -> None:
    configure(place, FRONTEND)
    learn(place, environ, "prompts/list", {"prompts": []})

    assert Answers(place, environ).find(HANDSHAKE, TOOLS) is None


@pytest.mark.parametrize(
    "text", [FRONTEND, '["front\\u0065nd"]\n', '["front\\U00000065nd"]\n', "frontend.tools = 1\n"]
)
def test_where_the_tools_may_be_others_the_usual_ones_are_not_given(
    place: Place, environ: dict[str, str], text: str
) -> None:
    configure(place, text)

    assert Answers(place, environ).find(HANDSHAKE, TOOLS) is None


def test_a_project_of_that_name_that_is_trusted_is_no_such_place(
    place: Place, environ: dict[str, str]
) -> None:
    trusted = Path(environ["HOME"], ".config", "agent-pool", "trusted.json")
    trusted.write_text('{"projects": ["/work/frontend"]}')

    assert Answers(place, environ).find(HANDSHAKE, TOOLS) is not None


def test_whether_the_project_is_trusted_decides(place: Place, environ: dict[str, str]) -> None:
    configure(place, FRONTEND)
    learn(place, environ, TOOLS, OURS)
    Path(environ["HOME"], ".config", "agent-pool", "trusted.json").write_text("{}")

    assert Answers(place, environ).find(HANDSHAKE, TOOLS) is None


def test_what_was_said_of_a_configuration_that_has_changed_meanwhile_is_not_kept(
    place: Place, environ: dict[str, str]
) -> None:
    answers = Answers(place, environ)
    usual = answers.find(HANDSHAKE, TOOLS)
    configure(place, FRONTEND)
    answers.learn(HANDSHAKE, TOOLS, OURS)
    answers.save()
    configure(place, "")

    assert Answers(place, environ).find(HANDSHAKE, TOOLS) == usual


def test_the_answer_to_another_question_is_not_learned(
    place: Place, environ: dict[str, str]
) -> None:
    before = Answers(place, environ).find(HANDSHAKE, "prompts/list")
    learn(place, environ, "prompts/list", OURS)

    assert Answers(place, environ).find(HANDSHAKE, "prompts/list") == before


def test_tasks_are_kept_in_the_ledger_alone(place: Place, environ: dict[str, str]) -> None:
    tree, task = {"uri": "pool://tree"}, {"uri": "pool://tasks/t-1"}
    learn(place, environ, "resources/list", {"resources": [tree, task]})

    assert Answers(place, environ).find(HANDSHAKE, "resources/list") == {"resources": [tree]}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"of": 1}', "[" * 100_000, '{"results": 1}', "\ufeff{}"],
    ids=["nothing", "half", "a list", "of nothing", "deep", "no results", "marked"],
)
def test_a_file_that_is_none_of_ours_says_nothing(
    place: Place, environ: dict[str, str], text: str
) -> None:
    usual = Answers(place, environ).find(HANDSHAKE, TOOLS)
    Path(place.greeting).write_text(text)

    assert Answers(place, environ).find(HANDSHAKE, TOOLS) == usual


def test_results_of_another_form_are_not_given(place: Place, environ: dict[str, str]) -> None:
    learn(place, environ, "prompts/list", {"prompts": [1]})
    kept = json.loads(Path(place.greeting).read_bytes())
    kept["results"][HANDSHAKE] = {"initialize": "x", TOOLS: "x", "prompts/list": {"prompts": [2]}}
    Path(place.greeting).write_text(json.dumps(kept))

    answers = Answers(place, environ)
    assert answers.find(HANDSHAKE, "prompts/list") == {"prompts": [2]}
    assert isinstance(answers.find(HANDSHAKE, "initialize"), dict)
    assert isinstance(answers.find(HANDSHAKE, TOOLS), dict)


def test_where_it_cannot_be_kept_nothing_is_left(place: Place, environ: dict[str, str]) -> None:
    Path(place.greeting).mkdir()
    learn(place, environ, TOOLS, OURS)

    assert [one.name for one in Path(place.folder).iterdir() if "greeting" in one.name] == [
        "greeting.json"
    ]

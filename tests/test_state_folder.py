"""Where the state of pools is kept, and which files are asked for to say so."""

from pathlib import Path

import pytest

from supervisor.place import (
    PlaceError,
    asked_for,
    find_place,
    settled_variables,
    user_folder,
    with_config,
)


class User:
    """A user with a home and one project."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.environ = {"HOME": str(folder / "home")}
        self.file = folder / "home" / ".config" / "agent-pool" / "pool.toml"

    def write(self, text: str, path: Path | None = None) -> Path:
        path = path or self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def base(self) -> str:
        return find_place(str(self.root), self.environ).base


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


# the state folder


def test_without_a_word_the_state_is_where_xdg_says(user: User) -> None:
    assert user.base() == f"{user.environ['HOME']}/.local/state/agent-pool"


@pytest.mark.parametrize("text", ["", "# state_folder = 1\n", "[pool]\n  #state_folder = 1\n", "["])
def test_a_file_that_does_not_say_it_changes_nothing(user: User, text: str) -> None:
    user.write(text)

    assert user.base().endswith("/.local/state/agent-pool")


@pytest.mark.parametrize(
    "text", ['[pool]\nstate_folder = "/srv/state"\n', 'pool = { state_folder = "/srv/state" }\n']
)
def test_the_users_file_says_where_it_is(user: User, text: str) -> None:
    user.write(text)

    place = find_place(str(user.root), user.environ)

    assert place.base == "/srv/state"
    assert place.folder.startswith("/srv/state/project-")


def test_a_tilde_is_the_users_home(user: User) -> None:
    user.write('[pool]\nstate_folder = "~/state"\n')

    assert user.base() == f"{user.environ['HOME']}/state"


def test_a_file_that_is_asked_for_comes_before_the_users(user: User, tmp_path: Path) -> None:
    user.write('[pool]\nstate_folder = "/srv/user"\n')
    mine = user.write('[pool]\nstate_folder = "/srv/mine"\n', tmp_path / "mine.toml")
    user.environ["AGENT_POOL_CONFIG"] = str(mine)

    assert user.base() == "/srv/mine"


def test_the_usual_place_can_be_asked_for(user: User, tmp_path: Path) -> None:
    user.write('[pool]\nstate_folder = "/srv/user"\n')
    mine = user.write('[pool]\nstate_folder = ""\n', tmp_path / "mine.toml")
    user.environ["AGENT_POOL_CONFIG"] = str(mine)

    assert user.base().endswith("/.local/state/agent-pool")


@pytest.mark.parametrize("asked", [False, True])
def test_a_projects_own_file_may_not_say_it(user: User, asked: bool) -> None:
    own = user.write('[pool]\nstate_folder = "/evil"\n', user.root / ".claude" / "pool.toml")
    if asked:
        user.environ["AGENT_POOL_CONFIG"] = str(own)

    assert user.base().endswith("/.local/state/agent-pool")


@pytest.mark.parametrize("value", ['"relative"', "1", "[]", "1979-05-27", '"~other"'])
def test_a_folder_that_cannot_be_one_is_told_with_what_is_allowed(user: User, value: str) -> None:
    path = user.write(f"[pool]\nstate_folder = {value}\n")

    with pytest.raises(PlaceError) as caught:
        user.base()

    assert str(caught.value).startswith(f"{path}: pool.state_folder: ")
    assert "allowed is an absolute path" in str(caught.value)


def test_a_file_that_says_it_and_is_no_toml_is_told(user: User) -> None:
    path = user.write('[pool\nstate_folder = "/srv"\n')

    with pytest.raises(PlaceError, match=rf"{path}: no valid TOML: .*line 1.*mend it"):
        user.base()


# which files are asked for


def test_the_variable_may_name_several_files_the_first_decides() -> None:
    assert asked_for({"AGENT_POOL_CONFIG": "/a.toml:/b.toml"}) == ["/a.toml", "/b.toml"]


def test_a_file_whose_name_has_a_colon_is_one_file(tmp_path: Path) -> None:
    file = tmp_path / "a:b.toml"
    file.touch()

    assert asked_for({"AGENT_POOL_CONFIG": str(file)}) == [str(file)]


@pytest.mark.parametrize("environ", [{}, {"AGENT_POOL_CONFIG": ""}])
def test_no_variable_is_no_file(environ: dict[str, str], tmp_path: Path) -> None:
    assert asked_for(environ, str(tmp_path)) == []


def test_a_file_of_the_command_line_comes_before_the_variables(tmp_path: Path) -> None:
    environ = with_config({"AGENT_POOL_CONFIG": "b.toml"}, "a.toml", "/here")

    assert settled_variables(environ, "/here") == {"AGENT_POOL_CONFIG": "/here/a.toml:/here/b.toml"}


def test_a_relative_xdg_config_home_does_not_count() -> None:
    assert user_folder({"HOME": "/h", "XDG_CONFIG_HOME": "x"}) == "/h/.config/agent-pool"

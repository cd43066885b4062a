from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.agents import Finding
from supervisor.agents._frontmatter import MAX_BYTES, Frontmatter, split

PATH = Path("a.md")


def front(*lines: str) -> Frontmatter:
    return split(PATH, "\n".join(["---", *lines, "---", "body"]))


def only_error(frontmatter: Frontmatter) -> Finding:
    (finding,) = frontmatter.findings
    assert finding.severity == "error"
    return finding


def items(frontmatter: Frontmatter, key: str) -> list[tuple[str, int]]:
    return [(item.text, item.line) for item in frontmatter.values[key].items]


def test_keys_values_and_body_are_told_apart() -> None:
    read = front("name: x", "model: opus")
    assert {key: value.text for key, value in read.values.items()} == {"name": "x", "model": "opus"}
    assert read.body.strip() == "body"
    assert read.findings == ()


def test_a_block_list_has_the_line_of_each_item() -> None:
    assert items(front("skills:", "  - a", "  # why", "  - 'b'"), "skills") == [("a", 3), ("b", 5)]


def test_an_inline_list_over_several_lines_has_the_line_of_each_item() -> None:
    assert items(front("skills: [a,", '  "b"]'), "skills") == [("a", 2), ("b", 3)]


def test_comments_are_not_part_of_a_value() -> None:
    assert front("# about", "name: x # why").values["name"].text == "x"


def test_a_folded_text_is_one_value() -> None:
    assert front("description: >-", "  one", "  two").values["description"].text == "one two"


def test_the_closing_line_may_be_the_end_of_the_file() -> None:
    read = split(PATH, "---\nname: x\n---")
    assert (read.values["name"].text, read.body) == ("x", "")


def test_blanks_after_the_dashes_and_empty_lines_before_them_do_not_matter() -> None:
    read = split(PATH, "\n\n--- \t\nname: x\n---  \nbody")
    assert (read.values["name"].line, read.body.strip()) == (4, "body")


def test_a_file_without_opening_dashes_is_all_body() -> None:
    read = split(PATH, "# Title\n---\nname: x\n---\n")
    assert not read.present
    assert read.body.startswith("# Title")


def test_a_line_of_dashes_further_down_belongs_to_the_body() -> None:
    assert split(PATH, "---\nname: x\n---\na\n---\nb").body.strip() == "a\n---\nb"


def test_an_empty_frontmatter_is_no_error() -> None:
    read = split(PATH, "---\n---\nbody")
    assert read.present
    assert (dict(read.values), read.findings) == ({}, ())


def test_a_frontmatter_that_is_never_closed_is_an_error_on_its_first_line() -> None:
    read = split(PATH, "\n---\nname: x\n\nbody")
    assert only_error(read).line == 2
    assert "never closed" in only_error(read).message


def test_bad_yaml_is_named_with_line_key_and_text() -> None:
    error = only_error(front("name: x", "tools: [Read, Grep", "model: opus"))
    assert error.line is not None
    assert error.line in (3, 4)
    assert "close the list with ]" in error.message


def test_an_error_under_a_key_names_that_key() -> None:
    error = only_error(front("name: x", "hooks:", "  a: b: c"))
    assert (error.line, error.key) == (4, "hooks")
    assert '"a: b: c"' in error.message


def test_lines_are_counted_as_editors_count_them() -> None:
    error = only_error(front("description: 'one\u2028two\x85three'", "tools: a: b"))
    assert error.line == 3


def test_a_key_that_stands_twice_is_an_error_with_both_lines() -> None:
    error = only_error(front("name: x", "model: a", "name: y"))
    assert (error.line, error.key) == (4, "name")
    assert "line 2" in error.message


def test_all_repeated_keys_are_reported_at_once() -> None:
    read = front("name: x", "name: y", "model: a", "model: b")
    assert [finding.line for finding in read.findings] == [3, 5]


@pytest.mark.parametrize("source", ["- a", "just words", "[a, b]"])
def test_a_frontmatter_that_is_no_mapping_is_an_error(source: str) -> None:
    assert "key: value" in only_error(front(source)).message


def test_a_key_that_is_a_list_is_an_error() -> None:
    assert only_error(front("? [a, b]", ": c")).line == 2


def test_a_control_character_is_an_error_with_its_line() -> None:
    error = only_error(front("name: x", "model: a\x07"))
    assert error.line == 3
    assert "U+0007" in error.message


def test_aliases_are_refused() -> None:
    error = only_error(front("a: &x [1, 2]", "b: [*x, *x]"))
    assert (error.line, error.key) == (3, "b")
    assert "alias" in error.message


def test_deep_nesting_is_refused() -> None:
    assert "levels deep" in only_error(front("a: " + "[" * 5000)).message


def test_a_frontmatter_that_is_too_large_is_refused_unparsed() -> None:
    error = only_error(front(*["a: [" * 5] * (MAX_BYTES // 10)))
    assert str(MAX_BYTES) in error.message


def test_a_tag_constructs_nothing() -> None:
    value = front("name: !!python/object/apply:os.system [ls]").values["name"]
    assert value.kind == "list"


@pytest.mark.parametrize("key", ["name", "description"])
@pytest.mark.parametrize(
    "value",
    ["Use this: when", "it's: so", "[x] y", "*bold* text", "@here", "a: b # c", "`x`", "100%: y"],
)
def test_an_unquoted_one_line_text_is_taken_as_if_quoted_with_a_warning(
    key: str, value: str
) -> None:
    read = front("model: x", f"{key}: {value}", "tools: [Read]")
    (warning,) = read.findings
    assert (warning.severity, warning.line, warning.key) == ("warning", 3, key)
    assert read.values[key].text == value
    assert items(read, "tools") == [("Read", 4)]


def test_other_keys_are_not_guessed_at() -> None:
    assert only_error(front("model: a: b")).key == "model"


def test_a_text_over_several_lines_is_not_guessed_at() -> None:
    assert only_error(front("description: a: b", "  c: d")).severity == "error"


def test_an_error_beside_a_guessed_text_is_still_reported() -> None:
    read = front("description: a: b", "tools: [Read")
    assert [finding.severity for finding in read.findings] == ["warning", "error"]


def test_tabs_for_indentation_are_taken_as_spaces_with_one_warning() -> None:
    read = front("tools:", "\t- Read", "\t- Grep")
    (warning,) = read.findings
    assert (warning.severity, warning.line) == ("warning", 3)
    assert items(read, "tools") == [("Read", 3), ("Grep", 4)]


@pytest.mark.parametrize(
    ("line", "name"),
    [("name: x", "x"), ("name: 'x' # why", "x"), ('name:  "x"', "x"), ("name:", None)],
)
def test_the_name_is_found_by_sight_in_yaml_that_cannot_be_read(
    line: str, name: str | None
) -> None:
    assert front(line, "tools: [").name_by_sight == name

"""Whatever bytes a file holds: a definition, or located findings. Nothing else."""

from __future__ import annotations

import codecs
import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.agents import AgentDefinition, Catalogue, compose
from supervisor.agents._definition import AgentFile, read_agent

from .conftest import Project

BUILT_IN = Path(__file__).parents[2]
PATH = Path("/p/agents/a.md")

REAL_FILES = [
    *(path.read_bytes() for path in sorted(BUILT_IN.glob("agents/*.md"))),
    *(path.read_bytes() for path in sorted(BUILT_IN.glob("tests/data/agents/*.md"))),
    b"---\nname: x\ndescription: Use this: when\ntools: Read, Bash(a:*)\nskills:\n  - s\n"
    b"expertise: [e, 'f']\nmodel: inherit\n---\nBody.\n",
]
FRAGMENTS = [
    *(b"---\n", b"---", b"\n", b"\r", b"\t", b": ", b"#", b"&a ", b"*a", b"!!x ", b"? ", b"- "),
    *(b"[", b"]", b"{", b"}", b"'", b'"', b"|", b">", b"%", b"\0", b"\xff", b"\xef\xbb\xbf"),
    *(
        b"name: a\n",
        b"name: ../x\n",
        b"tools: 1\n",
        b"hooks:\n  Stop:\n",
        b"mcpServers:\n  - x:\n",
        b"maxTurns: ",
        b"allowed-tools: ",
        b"memory: user\n",
        b"{a: [b, {c: d}]}\n",
        b"\xe2\x80\xa8",
        b"\xc2\x85",
        b"<<: ",
        b"...\n",
    ),
]


@st.composite
def mutated_files(draw: st.DrawFn, files: list[bytes] = REAL_FILES) -> bytes:
    data = draw(st.sampled_from(files))
    for _ in range(draw(st.integers(1, 6))):
        # Mostly in the frontmatter: that is where mistakes matter.
        start = draw(st.integers(0, min(len(data), 600)))
        end = start + draw(st.integers(0, 10))
        piece = draw(st.sampled_from(FRAGMENTS) | st.binary(max_size=4))
        data = data[:start] + piece + data[end:]
    return data


any_file = st.binary(max_size=400) | st.lists(st.sampled_from(FRAGMENTS)).map(b"".join)


def check(agent: AgentFile | None, data: bytes) -> None:
    if agent is None:
        return
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n") + 1
    for finding in agent.findings:
        assert finding.path == PATH
        assert finding.line is None or 1 <= finding.line <= lines
        assert finding.message
        assert finding.message.isprintable()
        assert str(finding).isprintable()
    assert agent.is_named or any(finding.is_error for finding in agent.findings)
    assert agent.name.encode("utf-8")


def check_launch(definition: AgentDefinition) -> None:
    """What is handed to the pool is what it says: JSON, printable findings, words."""
    for server in definition.mcp_servers:
        assert isinstance(json.loads(server.config), dict)
    assert definition.hooks is None or isinstance(json.loads(definition.hooks), dict)
    assert all(str(finding).isprintable() for finding in definition.warnings)
    assert not any("\0" in tool or tool.startswith("-") for tool in definition.tools or ())


@given(any_file)
def test_arbitrary_bytes_give_an_agent_or_located_findings(data: bytes) -> None:
    check(read_agent(PATH, data), data)


@settings(max_examples=300, deadline=None)
@given(mutated_files())
def test_a_mutated_file_gives_an_agent_or_located_findings(data: bytes) -> None:
    check(read_agent(PATH, data), data)


@settings(deadline=None)
@given(mutated_files())
def test_the_same_bytes_are_read_the_same_way(data: bytes) -> None:
    assert read_agent(PATH, data) == read_agent(PATH, data)


@settings(deadline=None)
@given(mutated_files().filter(lambda data: b"\r" not in data), st.booleans())
def test_line_endings_and_byte_order_mark_change_nothing(data: bytes, with_bom: bool) -> None:
    plain = data.removeprefix(codecs.BOM_UTF8)
    if plain.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return
    disguised = (codecs.BOM_UTF8 if with_bom else b"") + plain.replace(b"\n", b"\r\n")
    assert read_agent(PATH, disguised) == read_agent(PATH, plain)


texts = st.text(alphabet=st.sampled_from("a \n\t#"), max_size=30)


@given(texts, st.lists(texts, max_size=3), st.sampled_from(["", "\n", " \n\n\t"]))
def test_white_space_at_the_end_of_parts_never_reaches_the_prompt(
    body: str, skills: list[str], end: str
) -> None:
    named = [(f"s{number}", text) for number, text in enumerate(skills)]
    padded = [(name, text + end) for name, text in named]
    prompt = compose(body, [], named)
    assert compose(body + end, [], padded) == prompt
    assert prompt == prompt.rstrip()


SKILLS = [path.read_bytes() for path in sorted(BUILT_IN.glob("skills/*/SKILL.md"))] + [
    b"---\nname: s\ndescription: d\nallowed-tools: Bash(x *) Read\ncontext: fork\n---\n"
    b"Run ${CLAUDE_SKILL_DIR}/x and !`date`.\n"
]
CONFIGS = [
    b'{"mcpServers": {"github": {"command": "c", "args": ["-y", "${X:-z}"]}}, "projects": {}}'
]


@settings(max_examples=50, deadline=None)
@given(mutated_files(), mutated_files(SKILLS), mutated_files(CONFIGS), st.booleans())
def test_no_file_stops_its_neighbour(
    first: bytes, skill: bytes, config: bytes, trusted: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        project.write("agents/a.md", first)
        project.write("skills/s/SKILL.md", skill)
        (project.base / "project" / ".mcp.json").write_bytes(config)
        project.write(
            "agents/user.md", b"---\nname: user-of-s\nskills: s\nmcpServers: [github]\n---\nx"
        )
        project.write("agents/good.md", b"---\nname: good-one\n---\nGood.")
        catalogue = Catalogue(project.folders(), trusted)
        assert catalogue.get("good-one").system_prompt == "Good."
        for record in catalogue.all():
            if isinstance(record, AgentDefinition):
                check_launch(record)
            errors = [] if isinstance(record, AgentDefinition) else record.findings
            assert isinstance(record, AgentDefinition) or any(e.is_error for e in errors)

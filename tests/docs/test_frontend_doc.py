"""docs/frontend.md has every tool, and says which of them a model is told of."""

import re
from pathlib import Path

from supervisor.pool.config import USUAL_TOOLS
from supervisor.pool.config.tables import TOOLS

PAGE = (Path(__file__).parents[2] / "docs" / "frontend.md").read_text(encoding="utf-8")


def test_every_tool_has_its_row_in_their_order() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (usual|all) \|", PAGE, re.MULTILINE)

    assert rows == [(tool, "usual" if tool in USUAL_TOOLS else "all") for tool in TOOLS]

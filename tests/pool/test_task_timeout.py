"""`TASK_TIMEOUT_MS`: the deadline of every task, settled when the pool starts."""

from pathlib import Path
from typing import Final

import pytest

from supervisor.agents import Folders
from supervisor.pool import ConfigFiles, Pool, PoolError

SHIPPED: Final = Path(__file__).resolve().parents[2] / "config" / "pool.toml"


def pool(tmp_path: Path, **environ: str) -> Pool:
    folders = Folders.resolve(tmp_path, environ, tmp_path, tmp_path)
    return Pool(tmp_path, environ, ConfigFiles(SHIPPED), folders, lambda event: None, "mark")


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "30s", " 5", "٣", "1e3", "9" * 400])
async def test_a_wrong_value_degrades_the_pool_and_is_named(tmp_path: Path, value: str) -> None:
    degraded = pool(tmp_path, TASK_TIMEOUT_MS=value)

    with pytest.raises(PoolError) as caught:
        await degraded.warmup("anyone")

    assert caught.value.error.code == "config_invalid"
    assert f'TASK_TIMEOUT_MS: "{value}" does not fit' in caught.value.error.message
    assert "agent-pool stop" in caught.value.error.advice


@pytest.mark.parametrize("environ", [{}, {"TASK_TIMEOUT_MS": ""}, {"TASK_TIMEOUT_MS": "1500"}])
async def test_a_good_value_or_none_does_not(tmp_path: Path, environ: dict[str, str]) -> None:
    assert pool(tmp_path, **environ).problem is None

"""The configuration of the embedded PostgreSQL."""

from pathlib import Path

import pytest

from infra.postgres_settings import memory_bytes, server_settings


@pytest.mark.parametrize(
    ("memory", "shared_buffers"),
    [
        (256 * 1024**2, "128MB"),
        (1024**3, "128MB"),
        (4 * 1024**3, "512MB"),
        (8 * 1024**3, "1024MB"),
        (16 * 1024**3, "2048MB"),
        (512 * 1024**3, "4096MB"),
    ],
    ids=["tiny", "small", "middle", "large", "larger", "huge"],
)
def test_shared_buffers_follow_the_memory(memory: int, shared_buffers: str) -> None:
    settings = server_settings(Path("/run/x"), memory)

    assert f"\nshared_buffers = {shared_buffers}\n" in settings


def test_the_memory_is_that_of_the_machine_or_less() -> None:
    [total] = [line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:")]

    assert 0 < memory_bytes() <= int(total.split()[1]) * 1024

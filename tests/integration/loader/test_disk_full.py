"""The engine's disk is full: one sentence that says so, nothing lost, and it goes on when there is space.

The engine lives on a tiny file system of its own, which a file fills up: its spool and its parts find no space at all.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import stand
from tests.chaos.arena import PARTITIONS, TOPICS, Arena, Loader
from tests.chaos.load import Load
from tests.integration.loader.test_stop import landed, says, until

# The loader's inserts want 64 MB free, and the engine's own logs some.
SIZE_MB = 256


@pytest.fixture(scope="module")
def tiny_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a file system of our own needs the right to mount: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def arena(tiny_disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    folder = tmp_path_factory.mktemp("house")
    (folder / "engine").symlink_to(tiny_disk, target_is_directory=True)
    with Arena(folder, "embedded", seed=1) as made:
        yield made


def fill(disk: Path) -> Path:
    """A file that leaves no byte free."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(1 << 20))
        except OSError:
            pass
        try:
            while True:
                out.write(b"0")
        except OSError:
            pass
    assert os.statvfs(disk).f_bavail == 0
    return filler


def test_a_full_disk_is_said_and_waited_out_and_then_everything_lands_once(
    arena: Arena, tiny_disk: Path, prefix: str
) -> None:
    client = stand.open_client(arena.engine_port)
    stand.make_tables(client, prefix)
    topics = [f"{prefix}{name}" for name in TOPICS]
    stand.make_topics(arena.bootstrap, topics, PARTITIONS)
    load = Load(arena.bootstrap, topics, PARTITIONS, seed=1, rate=500)
    load.start()
    patient = Loader(arena, prefix, "patient")
    patient.start()
    until(lambda: landed(arena, prefix) > 0, "something landed")
    filler = fill(tiny_disk)
    before = landed(arena, prefix)
    until(lambda: says(patient, "kind=resource"), "the loader says that the server lacks something")
    hasty = Loader(arena, prefix, "hasty", {"METERHOUSE_RETRY_DEADLINE_S": "2", "METERHOUSE_CONSUMER_GROUP": "hasty"})
    hasty.start()
    assert hasty.wait(60) == 1
    last = hasty.log.read_text(encoding="utf-8").strip().splitlines()[-1]
    assert "give the server what it lacks (disk, memory, merges)" in last
    # ClickHouse's NOT_ENOUGH_SPACE; it has a sentence for each place where the disk may end.
    assert "code: 243" in last
    load.finish()
    assert load.sent > before
    filler.unlink()
    until(lambda: landed(arena, prefix) >= load.sent, "everything landed")
    patient.stop()
    counted = client.query(
        f"select count(), uniqExact(_topic, _partition, _offset) from (select _topic, _partition, _offset from "
        f"{prefix}raw.agent_events union all select _topic, _partition, _offset from {prefix}raw.dead_letters)"
    ).result_rows[0]
    client.close()
    assert tuple(counted) == (load.sent, load.sent)

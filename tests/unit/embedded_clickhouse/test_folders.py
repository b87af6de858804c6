"""The folders and databases an engine starts with."""

from pathlib import Path

from ingest.embedded.clickhouse.folders import make_databases, make_folders


def test_the_spool_is_empty_at_a_start_and_the_data_stay(tmp_path: Path) -> None:
    spool, data, *_ = make_folders(tmp_path)
    (spool / "insert-1").write_text("x")
    (data / "kept").write_text("x")
    make_folders(tmp_path)
    assert (list(spool.iterdir()), (data / "kept").exists()) == ([], True)


def test_a_default_database_made_before_keeps_its_folder_and_lost_logs_do_not_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "default").symlink_to("../store/abc/abc-of-before")
    (tmp_path / "data" / "system" / "query_log").mkdir(parents=True)
    make_databases(tmp_path)
    assert "UUID 'abc-of-before'" in (tmp_path / "metadata" / "default.sql").read_text()
    assert "ENGINE = Atomic" in (tmp_path / "metadata" / "system.sql").read_text()
    assert list((tmp_path / "data" / "system").iterdir()) == []
    (tmp_path / "metadata" / "default.sql").write_text("changed since")
    make_databases(tmp_path)
    assert (tmp_path / "metadata" / "default.sql").read_text() == "changed since"

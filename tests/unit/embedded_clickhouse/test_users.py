"""Who may use the engine."""

from pathlib import Path

import pytest

from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.request import read_request
from ingest.embedded.clickhouse.users import hash_password, load_users
from ingest.errors import SettingsError


def test_a_password_is_right_the_first_and_the_second_time_and_a_wrong_one_never(tmp_path: Path) -> None:
    file = tmp_path / "users.toml"
    file.write_text(f'[users.ann]\npassword = "{hash_password("secret")}"\nreadonly = 1\n')
    users = load_users(file)
    assert users.admit("ann", "secret").readonly == 1
    assert users.admit("ann", "secret").readonly == 1
    for name, password in [("ann", "Secret"), ("ann", ""), ("bob", ""), ("default", "")]:
        with pytest.raises(ClickHouseError) as refused:
            users.admit(name, password)
        assert (refused.value.code, refused.value.status) == (516, 403)


def test_the_first_file_has_a_reader_and_its_users_are_named_as_without_password(tmp_path: Path) -> None:
    users = load_users(tmp_path / "users.toml")
    assert users.without_password == ["default", "reader"]
    assert users.admit("reader", "").readonly == 1
    assert (tmp_path / "users.toml").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["[users.a]\npassword = 'plain'", "[users.a]\nreadonly = 3", "x = 1", "[users"])
def test_a_wrong_users_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "users.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"users\.toml"):
        load_users(file)


def test_credentials_come_from_url_headers_or_basic() -> None:
    assert read_request("GET", "/", b"user=a&password=b", []).user == "a"
    assert read_request("GET", "/", b"", [(b"X-ClickHouse-User", b"c"), (b"X-ClickHouse-Key", b"k")]).password == "k"
    assert read_request("GET", "/", b"", [(b"Authorization", b"Basic YTpiOmM=")]).password == "b:c"

"""The folders of an engine's directory."""

import shutil
from pathlib import Path


def make_folders(home: Path) -> list[Path]:
    """`spool` (bodies and results on their way, emptied), `data`, `engine` (its configuration) and `user_files`."""
    spool = home.absolute() / "spool"
    shutil.rmtree(spool, ignore_errors=True)
    folders = [spool, *(home.absolute() / name for name in ("data", "engine", "user_files"))]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    return folders

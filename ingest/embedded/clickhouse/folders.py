"""The folders of an engine's directory, and the databases that are in it from the beginning."""

import shutil
from pathlib import Path

# As a server has them. Without, chDB makes `default` an overlay that reads host files by a table's name, and keeps the
# tables of `system` in memory.
_DATABASES = {"default": "de5a0000-0000-4000-8000-000000000001", "system": "de5a0000-0000-4000-8000-000000000002"}


def make_folders(home: Path) -> list[Path]:
    """`spool` (bodies and results on their way, emptied), `data`, `engine` (its configuration) and `user_files`."""
    spool = home.absolute() / "spool"
    shutil.rmtree(spool, ignore_errors=True)
    folders = [spool, *(home.absolute() / name for name in ("data", "engine", "user_files"))]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    return folders


def make_databases(data: Path) -> None:
    """Writes down the databases that are not there yet; one that chDB made before is a link to its folder."""
    folder = data / "metadata"
    for name, new_id in _DATABASES.items():
        if (folder / f"{name}.sql").exists():
            continue
        link = folder / name
        identity = link.readlink().name if link.is_symlink() else new_id
        (data / "store" / identity[:3] / identity).mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        # What chDB kept of its logs while it knew of them in memory only; such a folder would stop the start.
        for left in (data / "data" / name).glob("*"):
            if not left.is_symlink():
                shutil.rmtree(left)
        (folder / f"{name}.sql").write_text(f"ATTACH DATABASE _ UUID '{identity}'\nENGINE = Atomic\n")

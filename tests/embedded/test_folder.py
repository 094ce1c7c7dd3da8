import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure.embedded.folder import DataFolder, FolderInUse, FolderUnusable


def test_a_folder_is_made_and_has_one_user_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "some" / "data"
    with DataFolder.open(path), pytest.raises(FolderInUse, match=r"process \d+.*BYLINE_DATA_DIR"):
        DataFolder.open(path)
    DataFolder.open(path).close()


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from infrastructure.embedded.folder import DataFolder;"
        "folder = DataFolder.open(Path(sys.argv[1])); print('held', flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(FolderInUse, match=str(holder.pid)):
            DataFolder.open(tmp_path)
        holder.kill()
    DataFolder.open(tmp_path).close()


def test_what_cannot_be_a_folder_says_so(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(FolderUnusable, match=f"{file} cannot be used.*BYLINE_DATA_DIR"):
        DataFolder.open(file)

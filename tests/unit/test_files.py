import errno
import os

import pytest

from diff_planner.errors import OutputError
from diff_planner.files import whole_file


def test_a_file_appears_when_the_block_ends_well(tmp_path):
    with whole_file(tmp_path / "new" / "a.txt") as partial:
        partial.write_text("x")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert (tmp_path / "new" / "a.txt").read_text() == "x"
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(ValueError, match="boom"), whole_file(tmp_path / "a.txt") as partial:
        partial.write_text("half")
        raise ValueError("boom")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_a_sentence_with_the_path_and_the_space_left(tmp_path):
    with (
        pytest.raises(OutputError, match=r"a\.txt: cannot be written \(No space left on device\)"),
        whole_file(tmp_path / "a.txt") as partial,
    ):
        partial.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_a_sentence(tmp_path):
    (tmp_path / "f").write_text("")
    with pytest.raises(OutputError, match="cannot be written"), whole_file(tmp_path / "f" / "a"):
        pass


@pytest.mark.parametrize("name", ["a" * 300, f"{'a' * 300}/a.txt"])
def test_a_name_that_is_too_long_is_a_sentence(tmp_path, name):
    with (
        pytest.raises(OutputError, match=r"cannot be written \(File name too long\)"),
        whole_file(tmp_path / name) as partial,
    ):
        partial.write_text("x")


def test_a_link_is_followed_and_what_is_no_file_is_left_alone(tmp_path):
    (tmp_path / "target.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "target.txt")
    with whole_file(tmp_path / "link.txt") as partial:
        partial.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "target.txt").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="expected a file"), whole_file(tmp_path / "pipe"):
        pass
    assert (tmp_path / "pipe").is_fifo()

import stat
from pathlib import Path

import pytest

from tui.settings import AppPaths, PathsError


def test_everything_can_stand_in_one_folder(tmp_path) -> None:
    paths = AppPaths.under(tmp_path)
    for path in (paths.config, paths.sessions, paths.cache, paths.logs, paths.state, paths.index):
        assert path.is_relative_to(tmp_path)
    assert paths.sessions == paths.data / "sessions"


def test_the_environment_can_name_that_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CHAT_TUI_HOME", str(tmp_path))
    assert AppPaths.default() == AppPaths.under(tmp_path)
    monkeypatch.setenv("CHAT_TUI_HOME", "~/chats")
    assert AppPaths.default() == AppPaths.under(Path.home() / "chats")


def test_without_it_the_system_decides(monkeypatch) -> None:
    monkeypatch.setenv("CHAT_TUI_HOME", " ")
    paths = AppPaths.default()
    assert all("chat-tui" in str(path) for path in (paths.config, paths.data, paths.cache))


def test_the_folders_are_made_for_the_owner_alone(tmp_path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    paths = AppPaths.under(tmp_path)
    paths.ensure()
    paths.ensure()
    for folder in (paths.config, paths.data, paths.sessions, paths.cache, paths.logs):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder


def test_a_folder_that_can_not_be_made_is_named_with_what_to_do(tmp_path) -> None:
    (tmp_path / "data").write_text("a file in the way")
    paths = AppPaths.under(tmp_path)
    with pytest.raises(PathsError, match=r"data.*CHAT_TUI_HOME"):
        paths.ensure()
    assert paths.config.is_dir(), "the others are made all the same"


def test_a_folder_that_can_not_be_written_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tui.settings.paths.os.access", lambda path, mode: "cache" not in str(path))
    with pytest.raises(PathsError, match=r"cache \(not writable\)"):
        AppPaths.under(tmp_path).ensure()


def test_a_folder_for_everything_that_is_made_is_private(tmp_path):
    AppPaths.under(tmp_path / "new").ensure()
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    (tmp_path / "mine").mkdir(mode=0o755)
    AppPaths.under(tmp_path / "mine").ensure()
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o755

"""`chat-tui export` and `chat-tui import`, as a shell sees them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tui.cli import main
from tui.conversation import Conversation, Generation, Status
from tui.sessions import SessionStore, SessionWriteError
from tui.settings.paths import AppPaths
from tui.transfer import EXPORTS, format_for


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAT_TUI_HOME", str(tmp_path / "home"))
    made = AppPaths.default()
    made.ensure()
    return made


@pytest.fixture
def chat(paths):
    made = Conversation().add_user("What is <b>?")
    made = made.begin_reply(made.path[-1].id, Generation("demo"))
    made = made.finish(made.path[-1].id, Status.COMPLETE, text="It is **bold**.")
    store = SessionStore(paths.sessions, paths.index)
    store.save(made)
    store.close()
    return made


@pytest.mark.parametrize("name", list(EXPORTS))
def test_a_chat_is_exported_to_every_format_that_can_be_written(chat, tmp_path, name):
    target = tmp_path / "out"
    assert main(["export", chat.id, "--to", name, "--output", str(target)]) == 0
    text = target.read_text()
    assert "bold" in text
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_name_that_no_file_can_have_is_a_sentence(chat, capsys):
    assert main(["export", chat.id, "--output", "x" * 300]) != 0
    assert "file name too long" in capsys.readouterr().err


def test_without_a_file_it_goes_to_stdout_as_markdown(chat, capsys):
    assert main(["export", "newest"]) == 0
    assert "It is **bold**." in capsys.readouterr().out


def test_a_file_that_is_there_is_only_replaced_when_forced(chat, tmp_path, capsys):
    target = tmp_path / "out.md"
    target.write_text("mine")
    assert main(["export", chat.id, "-o", str(target)]) == 2
    assert target.read_text() == "mine"
    assert "already exists" in capsys.readouterr().err
    assert main(["export", chat.id, "-o", str(target), "--force"]) == 0
    assert "bold" in target.read_text()


def test_the_ending_of_the_file_names_the_format(tmp_path):
    assert format_for(tmp_path / "a.md") == "markdown"
    assert format_for(tmp_path / "a.html") == "html"
    assert format_for(tmp_path / "a.jsonl") == "openai-jsonl"
    assert format_for(tmp_path / "a.unknown") == "chat-tui"


def test_an_unknown_chat_is_a_sentence_and_exit_code_2(paths, capsys):
    assert main(["export", "0" * 32]) == 2
    assert capsys.readouterr().err.startswith("chat-tui export: ")


def test_an_imported_file_becomes_a_chat_that_can_be_exported_again(paths, tmp_path, capsys):
    file = tmp_path / "in.json"
    messages = [{"role": "user", "content": "hi \x1b[31m"}, {"role": "assistant", "content": "ho"}]
    file.write_text(json.dumps({"messages": messages}))
    assert main(["import", str(file)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert main(["export", out.split()[0], "--to", "openai"]) == 0
    exported = json.loads(capsys.readouterr().out)
    assert [entry["content"] for entry in exported["messages"]] == ["hi \x1b[31m", "ho"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe\x00", b"[]", b'{"a": 1}', b"[" * 100_000]
)
def test_a_file_without_a_chat_is_a_sentence_and_is_left_alone(paths, tmp_path, capsys, content):
    file = tmp_path / "in.json"
    file.write_bytes(content)
    assert main(["import", str(file)]) == 2
    assert "can't be imported" in capsys.readouterr().err
    assert file.read_bytes() == content


def test_files_that_are_no_chats_are_answered_for_and_do_not_stop_the_others(
    paths, tmp_path, capsys
):
    (tmp_path / "a.json").write_text('{"id": "user"}')
    (tmp_path / "b\x1b[31m.json").write_text("{")
    (tmp_path / "c.json").write_text(
        json.dumps([{"role": "user", "content": [{"type": "image"}, "hi"]}])
    )
    assert main(["import", *map(str, sorted(tmp_path.glob("*.json")))]) == 2
    shown = capsys.readouterr()
    assert shown.out.count("1 turn") == 1
    assert "a.json can't be imported. It doesn't contain a chat" in shown.err
    assert ".json can't be imported. It isn't valid JSON" in shown.err
    assert "c.json: Left out: image contents (1)" in shown.err
    assert shown.err.endswith("1 chat imported (OpenAI messages); 2 files not imported.\n")
    assert "\x1b" not in shown.err


def test_a_chat_is_imported_once_whatever_its_file_is_called(paths, tmp_path, capsys):
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    (tmp_path / "a.json").write_text(json.dumps(messages))
    (tmp_path / "b.jsonl").write_text(json.dumps({"title": "Another name", "messages": messages}))
    assert main(["import", str(tmp_path / "a.json")]) == 0
    first = capsys.readouterr()
    assert main(["import", str(tmp_path / "b.jsonl"), str(tmp_path / "a.json")]) == 0
    again = capsys.readouterr()
    assert first.out.split()[0] in again.out
    assert again.out.count("[already imported]") == 2
    assert again.err == "0 chats imported; 2 chats already imported.\n"
    assert main(["list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_chat_that_was_talked_on_after_its_import_is_not_written_over(paths, tmp_path, capsys):
    file = tmp_path / "a.json"
    file.write_text(json.dumps([{"role": "user", "content": "hi"}]))
    assert main(["import", str(file)]) == 0
    chat_id = capsys.readouterr().out.split()[0]
    store = SessionStore(paths.sessions, paths.index)
    store.save(store.load(chat_id).conversation.add_user("more"))
    store.close()
    assert main(["import", str(file)]) == 0
    store = SessionStore(paths.sessions, paths.index)
    assert len(store.load(chat_id).conversation.path) == 2
    store.close()


def test_what_was_imported_before_the_disk_was_full_is_said(paths, tmp_path, capsys, monkeypatch):
    real = SessionStore.save

    def save(self, conversation):
        if "two" in conversation.title:
            raise SessionWriteError("The disk is full.")
        real(self, conversation)

    monkeypatch.setattr(SessionStore, "save", save)
    chats = [{"messages": [{"role": "user", "content": text}]} for text in ("one", "two")]
    (tmp_path / "a.json").write_text(json.dumps(chats))
    assert main(["import", str(tmp_path / "a.json")]) == 2
    shown = capsys.readouterr()
    assert "one" in shown.out
    assert "1 chat imported" in shown.err
    assert "chat-tui import: The disk is full." in shown.err


def test_an_export_of_a_chat_that_is_here_is_known_again(chat, paths, tmp_path, capsys):
    file = tmp_path / "out.json"
    assert main(["export", chat.id, "--to", "chat-tui", "--output", str(file)]) == 0
    assert main(["import", str(file)]) == 0
    assert "1 chat already imported" in capsys.readouterr().err
    document = json.loads(file.read_text()) | {"id": "../../elsewhere"}
    file.write_text(json.dumps(document))
    assert main(["import", str(file)]) == 0
    assert "1 chat imported" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", " ", "\t"])
def test_an_empty_name_is_no_folder_to_import(paths, tmp_path, capsys, monkeypatch, name):
    (tmp_path / "a.json").write_text('[{"role": "user", "content": "hi"}]')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["import", str(tmp_path / "a.json"), name])
    shown = capsys.readouterr()
    assert ended.value.code == 2
    assert "the file name is empty" in shown.err
    assert not shown.out


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ([{"role": "assistant", "content": "Only a reply"}], "Only a reply"),
        ({"messages": [], "system": "Be kind."}, "Be kind."),
    ],
)
def test_a_chat_without_a_title_is_listed_by_its_first_words(
    paths, tmp_path, capsys, document, shown
):
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert main(["import", str(tmp_path / "a.json")]) == 0
    assert capsys.readouterr().out.strip().endswith(shown)


def test_a_missing_file_is_a_sentence(paths, tmp_path, capsys):
    assert main(["import", str(tmp_path / "no")]) == 2
    assert "can't be read" in capsys.readouterr().err


def test_list_shows_ids_titles_and_turns(chat, capsys):
    assert main(["list"]) == 0
    line = capsys.readouterr().out.strip()
    assert line.startswith(chat.id)
    assert line.endswith("2 turns  What is <b>?")


def test_the_beginning_of_an_id_is_enough(chat, capsys):
    assert main(["export", chat.id[:6]]) == 0
    assert "bold" in capsys.readouterr().out


def test_a_reader_that_has_had_enough_is_no_failure(chat, paths):
    program = f"import sys; from tui.cli import main; sys.exit(main(['export', {chat.id!r}]))"
    command = f'{sys.executable} -c "{program}"; echo "code $?" >&2'
    shell = subprocess.run(
        ["sh", "-c", f"({command}) | true"], capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in shell.stderr
    assert "BrokenPipe" not in shell.stderr


@pytest.mark.parametrize("name", ["zzz", "no/such/file.json"])
def test_a_chat_that_is_not_there_is_told_with_where_to_look(paths, capsys, name):
    assert main(["export", name]) == 2
    said = capsys.readouterr().err
    assert "no saved chat or file" in said
    assert "chat-tui list" in said


def test_a_folder_as_output_is_refused_in_a_sentence(chat, tmp_path, capsys):
    assert main(["export", chat.id, "--output", str(tmp_path)]) == 2
    assert "is a folder. Give the name of a file in it." in capsys.readouterr().err


def test_the_list_marks_what_is_damaged(chat, paths, capsys):
    (paths.sessions / f"{'0' * 32}.json").write_text("{")
    assert main(["list"]) == 0
    marked = [line for line in capsys.readouterr().out.splitlines() if line.endswith("]")]
    assert [line[:4] for line in marked] == ["0000"]


def test_an_export_names_a_model_by_its_name(paths, capsys):
    made = Conversation().add_user("Who?")
    made = made.begin_reply(made.path[-1].id, Generation("demo", "SmolLM2-135M-Instruct"))
    made = made.finish(made.path[-1].id, Status.COMPLETE, text="Me.")
    with_store = SessionStore(paths.sessions, paths.index)
    with_store.save(made)
    with_store.close()
    assert main(["export", "newest"]) == 0
    assert "Assistant (SmolLM2-135M-Instruct)" in capsys.readouterr().out


def test_the_list_marks_what_a_newer_version_wrote(chat, paths, capsys):
    [file] = paths.sessions.glob("*.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 99}))
    assert main(["list"]) == 0
    assert "newer version" in capsys.readouterr().out

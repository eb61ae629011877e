"""What people do with `chat-tui ask` in a shell, each as they would type it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time

import pytest

from tests.ask.conftest import wait_until
from tests.engine.remote.talk import Told

REPLY = "The sky.\n"


def sent(server, at=-1):
    """The messages of a request."""
    return server.replies_asked[at].body["messages"]


# -- asking


def test_a_question(shell, server):
    done = shell('chat-tui ask "Why is the sky blue?"')
    assert (done.stdout, done.stderr, done.returncode) == (REPLY, "", 0)
    assert sent(server) == [{"role": "user", "content": "Why is the sky blue?"}]


def test_words_without_quotes_and_a_system_prompt(shell, server):
    assert shell('chat-tui ask -s "Be short." Why is it blue').returncode == 0
    assert [one["content"] for one in sent(server)] == ["Be short.", "Why is it blue"]


def test_a_question_about_what_is_piped_in(shell, server):
    done = shell("printf 'diff --git a b\\n' | chat-tui ask 'Write a commit message'")
    assert done.stdout == REPLY
    [message] = sent(server)
    assert message["content"].startswith("Write a commit message\n\n")
    assert "stdin" in message["content"]
    assert "diff --git a b" in message["content"]


@pytest.mark.parametrize("command", ["chat-tui ask", "chat-tui ask -", "chat-tui ask -p -"])
def test_what_is_piped_in_is_the_question(shell, server, command):
    assert shell(f"echo 'Why?' | {command}").stdout == REPLY
    assert sent(server)[0]["content"].strip() == "Why?"


def test_a_question_in_a_file_about_files(shell, server):
    (shell.folder / "long.txt").write_text("Compare them.")
    (shell.folder / "a.md").write_text("apples")
    (shell.folder / "b.md").write_text("pears")
    assert shell("chat-tui ask -p long.txt -f a.md -f b.md").stdout == REPLY
    content = sent(server)[0]["content"]
    assert content.index("Compare them.") < content.index("apples") < content.index("pears")


def test_a_file_that_is_the_output_of_a_command(shell, server):
    assert shell("chat-tui ask 'What is it?' -f <(echo plums)").stdout == REPLY
    assert "plums" in sent(server)[0]["content"]


def test_in_a_loop_that_reads_lines(shell, server):
    done = shell("printf 'a\\nb\\n' | while read x; do chat-tui ask \"$x\" </dev/null; done")
    assert done.stdout == 2 * REPLY
    assert [sent(server, at)[0]["content"] for at in (0, 1)] == ["a", "b"]


@pytest.mark.parametrize("question", ["/new", "//x", "-h?", "--", "@nothing here"])
def test_a_question_that_looks_like_something_else(shell, server, question):
    assert shell(f"chat-tui ask -- '{question}'").stdout == REPLY
    assert sent(server)[0]["content"] == question


def test_parameters(shell, server):
    assert shell("chat-tui ask x --temperature 0.25 --max-new-tokens 9 --seed 4").returncode == 0
    body = server.replies_asked[-1].body
    assert (body["temperature"], body["max_tokens"], body["seed"]) == (0.25, 9, 4)


# -- what is printed


def test_json(shell, server):
    server.told = Told((("Hm.", True), ("Blue.", False)))
    done = shell("chat-tui ask x --json")
    made = json.loads(done.stdout)
    assert (made["text"], made["reasoning"], made["finish_reason"]) == ("Blue.", "Hm.", "stop")
    assert made["stats"]["prompt_tokens"] == 20
    assert made["model"].startswith(server.url)
    assert made["chat"] is None
    assert made["error"] is None


def test_json_events(shell, server):
    server.told = Told((("Hm.", True), ("Blue", False), (".", False)))
    lines = [json.loads(line) for line in shell("chat-tui ask x --stream-json").stdout.splitlines()]
    assert next(one["event"] for one in lines) == "reasoning"
    assert "".join(one["text"] for one in lines if one["event"] == "text") == "Blue."
    assert lines[-1]["event"] == "end"
    assert lines[-1]["text"] == "Blue."


def test_variants(shell, server):
    done = shell("chat-tui ask x -n 3 --seed 5")
    assert done.stdout == "\n---\n\n".join(3 * [REPLY])
    assert [one.body["seed"] for one in server.replies_asked] == [5, 6, 7]
    assert all(len(one.body["messages"]) == 1 for one in server.replies_asked)
    assert len(json.loads(shell("chat-tui ask x -n 2 --json").stdout)) == 2


def test_reasoning_goes_to_stderr_and_only_if_it_is_wanted(shell, server):
    server.told = Told((("Hm.", True), ("Blue.", False)))
    done = shell("chat-tui ask x")
    assert (done.stdout, done.stderr) == ("Blue.\n", "")
    done = shell("chat-tui ask x --show-reasoning")
    assert (done.stdout, done.stderr.strip()) == ("Blue.\n", "Hm.")


def test_rendered(shell, server):
    server.told = Told(
        tuple((piece, False) for piece in ("# Ti", "tle\n\nSome **bo", "ld** text\n"))
    )
    done = shell("chat-tui ask x --render")
    assert "Title" in done.stdout
    assert "#" not in done.stdout
    assert "Some bold text" in done.stdout
    assert "\x1b" not in done.stdout


def test_hostile_text_is_piped_as_it_is(shell, server):
    server.told = Told((("a\x1b]0;x\x07b\r", False),))
    assert shell("chat-tui ask x | cat").stdout == "a\x1b]0;x\x07b\r\n"


# -- chats


def test_a_piped_question_is_not_saved_unless_that_is_wanted(shell, server):
    shell("chat-tui ask x")
    assert shell("chat-tui list").stdout == ""
    done = shell("chat-tui ask x --save")
    assert done.stdout == REPLY
    assert "--session" in done.stderr
    assert len(shell("chat-tui list").stdout.splitlines()) == 1
    shell("chat-tui ask y", CHAT_TUI_ASK_SAVE="always")
    assert len(shell("chat-tui list").stdout.splitlines()) == 2


def test_a_chat_goes_on(shell, server):
    shell("chat-tui ask first --save -s 'Be kind.'")
    shell("chat-tui ask second --continue")
    roles = [one["role"] for one in sent(server)]
    assert roles == ["system", "user", "assistant", "user"]
    chat = shell("chat-tui list").stdout.split()[0]
    shell(f"chat-tui ask third --session {chat[:8]}")
    assert len(sent(server)) == 6
    shell(f"chat-tui ask fourth --session {chat[:8]} --no-save")
    assert len(sent(server)) == 8
    text = shell(f"chat-tui export {chat} --to markdown").stdout
    assert "third" in text
    assert "fourth" not in text


def test_what_was_set_in_the_app_last_holds_only_for_the_app(shell, server):
    from tui.settings.paths import AppPaths
    from tui.settings.state import AppState, save_state

    paths = AppPaths.under(shell.folder.parent / "home")
    paths.ensure()
    save_state(paths.state, AppState(parameters={"temperature": 1.5}, system_prompt="Arr!"))
    shell("chat-tui ask x")
    assert [one["role"] for one in sent(server)] == ["user"]
    assert "temperature" not in server.replies_asked[-1].body


# -- how it ends


def test_a_reply_that_is_cut_off(shell, server):
    server.told = Told(reason="length")
    done = shell("chat-tui ask x")
    assert (done.stdout, done.returncode) == (REPLY, 3)
    assert "cut off" in done.stderr
    assert shell("chat-tui ask x -q").stderr == ""


def test_a_reply_that_fails(shell, server):
    server.answers[server.column.chat] = lambda talk: talk.json({"error": "out of order"}, 400)
    done = shell("chat-tui ask x -q")
    assert (done.stdout, done.returncode) == ("", 1)
    assert "out of order" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_server(shell, server):
    server.close()
    done = shell("chat-tui ask x")
    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr.startswith("chat-tui ask: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("chat-tui ask", "nothing to ask"),
        ("chat-tui ask x --colour red", "no option"),
        ("chat-tui ask x -f nowhere.txt", "nowhere.txt can't be read"),
        ("chat-tui ask x -f .", "can't be read"),
        ("chat-tui ask x -n 0", "not a number"),
        ("chat-tui ask x -p a.txt", "be combined"),
        ("chat-tui ask x --temperature hot", "hot"),
        ("chat-tui ask x --continue", "no saved chat"),
        ("chat-tui ask x --session nonsense", "nonsense"),
        ("chat-tui ask x -f - -f -", "used only once"),
        ("yes | head -c 5000000 | chat-tui ask x", "larger than 1 MB"),
        ("head -c 500 /dev/zero | chat-tui ask x", "not a text file"),
        ("chat-tui ask x <&- -f -", "closed"),
        ("chat-tui ask x >&-", "stdout is closed"),
        ("echo hi | chat-tui", "chat-tui ask"),
    ],
)
def test_wrong_usage(shell, server, command, said):
    done = shell(command.replace("yes |", "(yes || true) |"))
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert (done.stdout, done.returncode) == ("", 2)
    assert not server.replies_asked


def test_bytes_that_are_no_utf_8(shell, server):
    done = shell("printf 'caf\\xe9' | chat-tui ask x")
    assert done.stdout == REPLY
    assert "not valid UTF-8" in done.stderr
    assert "caf\ufffd" in sent(server)[0]["content"]
    assert shell("printf '\\xff\\xfeh\\x00i\\x00' | chat-tui ask x").stderr == ""
    assert "hi" in sent(server)[0]["content"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_reply_keeps_what_was_said(shell, server, number, code):
    server.answers[server.column.chat] = _begins_and_waits
    process = shell.begin("exec chat-tui ask x --save")
    wait_until(lambda: os.read(process.stdout.fileno(), 3) == b"One")
    os.kill(process.pid, number)
    out, err = process.communicate()
    assert (out, process.returncode) == (b" two\n", code)
    assert b"Traceback" not in err
    assert "One two" in shell("chat-tui export newest --to markdown").stdout


def test_interrupted_before_anything_was_asked(shell, server):
    process = shell.begin("mkfifo never; exec chat-tui ask x -f never")
    wait_until(lambda: server.requests)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (out, process.returncode) == (b"", 130)
    assert b"Traceback" not in err


def test_a_reader_that_has_had_enough(shell, server):
    server.answers[server.column.chat] = _says_more_until_left
    done = shell("chat-tui ask x | head -c 5")
    assert (done.stdout, done.returncode, done.stderr) == ("word ", 0, "")
    assert server.left.wait(20)


def test_a_slow_reader_gets_all_of_it(shell, server):
    server.told = Told(tuple((f"{number} " * 400, False) for number in range(300)))
    done = shell("chat-tui ask x | (sleep 1; cat)")
    assert done.stdout.split() == [str(number) for number in range(300) for _ in range(400)]


def test_ctrl_c_with_a_reader_that_does_not_read(shell, server):
    server.told = Told(tuple(("x" * 4000, False) for _ in range(100)))
    process = shell.begin("exec chat-tui ask x")
    wait_until(lambda: server.replies_asked)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(20) == 130


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")  # noqa: PTH110
def test_a_full_disk(shell, server):
    done = shell("chat-tui ask x > /dev/full")
    assert done.returncode == 1
    assert "can't be printed" in done.stderr


def test_with_a_closed_stderr_and_in_the_c_locale(shell, server):
    server.told = Told((("Grüße \U0001f600", False),))
    done = shell("chat-tui ask x 2>&-", LC_ALL="C")
    assert (done.stdout, done.returncode) == ("Grüße \U0001f600\n", 0)


def test_without_a_home(shell, server):
    done = shell("env -u HOME -u CHAT_TUI_HOME XDG_DATA_HOME=/proc/x XDG_CACHE_HOME=/proc/x XDG_STATE_HOME=/proc/x XDG_CONFIG_HOME=/proc/x chat-tui ask x --save")  # fmt: skip
    assert done.stdout in (REPLY, "")
    assert "Traceback" not in done.stderr
    assert done.stderr


def _begins_and_waits(talk):
    talk.words("One", " two")
    talk.wait_until_left()


def _says_more_until_left(talk):
    from tests.engine.remote.talk import delta

    talk.stream()
    try:
        while True:
            talk.event(delta(content="word "))
    except OSError:
        talk.server.left.set()


@pytest.mark.parametrize("option", ["--session", "--schema", "-m", "-f", "-p"])
def test_an_empty_variable_of_the_shell_is_no_option(shell, server, option):
    done = shell(f'chat-tui ask {option} "$nothing" x')
    assert (done.stdout, done.returncode) == ("", 2)
    assert "the value is empty" in done.stderr
    assert not server.replies_asked


def test_a_schema_that_can_not_be_used_is_refused_before_anything_is_loaded(shell, server):
    for schema in ('{"type":"foo"}', '{"enum":[]}', "a, a"):
        done = shell(f"chat-tui ask x --schema '{schema}'")
        assert done.returncode == 2
    assert not server.requests


def test_a_chat_that_can_not_be_saved_is_not_said_to_be(shell, server):
    done = shell("chat-tui ask x --save", CHAT_TUI_HOME="/proc/nope")
    assert (done.stdout, done.returncode) == (REPLY, 1)
    assert "Saved" not in done.stderr
    assert done.stderr.count("not saved") == 1
    made = json.loads(shell("chat-tui ask x --save --json", CHAT_TUI_HOME="/proc/nope").stdout)
    assert made["chat"] is None


def test_the_same_warning_is_said_once(shell, server):
    server.told = Told(reason="length")
    assert shell("chat-tui ask x -n 3").stderr.count("cut off") == 1


def test_a_reader_that_is_gone_before_the_first_word(shell, server):
    server.answers[server.column.chat] = _begins_and_waits
    done = shell("chat-tui ask x --json | true")
    assert done.returncode == 0


def _interrupted(process):
    """Press Ctrl+C until the program ends: what starts before its first line may lose one."""
    for _ in range(10):
        os.kill(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=2)
    raise AssertionError("it goes on")


def test_ctrl_c_during_the_imports(shell, server):
    # Where this test gets its turn late, the question is asked already.
    server.answers[server.column.chat] = lambda talk: talk.wait_until_left()
    for wait_s in (0.02, 0.1, 0.2):
        process = shell.begin("exec chat-tui ask x")
        time.sleep(wait_s)
        out, err = _interrupted(process)
        # Before the program's first line, Python itself has the word.
        assert b"tui/cli.py" not in err
        assert process.returncode in (130, 1, -signal.SIGINT)
        assert out == b""

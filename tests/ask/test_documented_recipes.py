"""The recipes of docs/ask.md, run in a shell as they stand there."""

from __future__ import annotations

import re

import pytest

from tests.ask.conftest import ROOT
from tests.engine.remote.talk import MODEL, Told

PAGE = (ROOT / "docs" / "ask.md").read_text("utf-8").partition("\n## Recipes\n")[2]
RECIPES = {
    title: re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    for title, text in re.findall(r"^### (.+?)\n(.*?)(?=^### |\Z)", PAGE, re.DOTALL | re.MULTILINE)
}
REPLY = "The sky.\n"
COMMIT = "git -c user.name=A -c user.email=a@example.org commit -q"
CHANGED = f"git init -q && echo one > a.txt && git add . && {COMMIT} -m first && echo two > a.txt"
STAGED = f"{CHANGED} && git add ."


def recipe(title: str) -> str:
    [script] = RECIPES[title]
    return script


def asked(server, at: int = -1) -> str:
    return server.replies_asked[at].body["messages"][-1]["content"]


def saying(text: str) -> Told:
    return Told(((text, False),))


@pytest.mark.parametrize(
    ("title", "before", "sent"),
    [
        ("Write a commit message", STAGED, "+two"),
        ("Review a diff", f"{STAGED} && {COMMIT} -m second", "+two"),
        ("Summarize a file", "echo plums > notes.md", "plums"),
        ("Compare two files", "echo plums > old.md; echo pears > new.md", "pears"),
        ("Explain an error", "printf 'build:\\n\\t@echo no rule for plums; exit 1\\n' > Makefile", "no rule for plums"),
        ("Filter text in an editor", "echo plumms > draft.txt", "plumms"),
        ("Define a short shell command", "", "tar -xzf"),
    ],
)  # fmt: skip
def test_a_question_and_what_goes_with_it(shell, server, title, before, sent):
    assert shell(before).returncode == 0
    # make fails, as it should.
    done = shell(f"set +o pipefail\n{recipe(title)}")
    assert (done.stdout.strip(), done.returncode) == (REPLY.strip(), 0), done.stderr
    assert sent in asked(server)


def test_a_server(shell, server):
    there = f"--base-url {server.url} -m {MODEL} "
    script = recipe("Use a server").replace("--base-url http://localhost:11434 -m qwen3:8b ", there)
    assert there in script
    assert shell(script, CHAT_TUI_MODEL_NAME="").stdout == REPLY


def test_json_for_jq(shell, server):
    server.told = saying('{"vendor": "Plum Ltd", "total": 3.5, "due": "2026-12-01"}')
    shell("echo invoice > invoice.txt")
    assert shell(recipe("Extract JSON and use it with jq")).stdout == "Plum Ltd\n"


def test_every_line_of_a_file(shell, server):
    server.told = saying('{"kind": "positive"}')
    shell("printf 'good\\nfine\\n' > comments.txt")
    done = shell(recipe("Classify every line of a file"))
    assert done.stdout == "positive\tgood\npositive\tfine\n"
    assert asked(server).endswith("? fine")


def test_each_file(shell, server):
    shell("echo a > a.md; echo b > b.md")
    assert shell(recipe("Do something with each file")).returncode == 0
    assert [(shell.folder / f"{name}.md.description").read_text() for name in "ab"] == 2 * [REPLY]


def test_a_follow_up_question(shell, server):
    assert shell(recipe("Ask a follow-up question")).returncode == 0
    assert (shell.folder / "shorter.txt").read_text() == REPLY
    assert [one["role"] for one in server.replies_asked[-1].body["messages"]] == [
        "user",
        "assistant",
        "user",
    ]


def test_several_suggestions(shell, server):
    shell("echo a > post.md")
    done = shell(recipe("Choose from several suggestions"))
    assert done.stdout == "\n---\n\n".join(3 * [REPLY])
    assert server.replies_asked[-1].body["temperature"] == 1.1


def test_a_question_in_a_file(shell, server):
    shell("echo 'Review it.' > review-prompt.txt; echo 'x = 1' > main.py")
    assert shell(recipe("Keep the question in a file")).returncode == 0
    assert (shell.folder / "review.md").read_text() == REPLY
    assert "x = 1" in asked(server)


def test_the_same_reply_every_time(shell, server):
    shell(recipe("Get the same reply every time"))
    assert (shell.folder / "primes.txt").read_text() == REPLY
    body = server.replies_asked[-1].body
    assert (body["temperature"], body["seed"]) == (0, 1)


def test_figures(shell, server):
    assert '"tokens": 2' in shell(recipe("Count tokens and measure time")).stdout


def test_a_stream(shell, server):
    assert shell(recipe("Stream into another program")).stdout == REPLY.strip()


@pytest.mark.parametrize(
    ("reason", "said"), [("stop", ""), ("length", "was cut off"), ("error", "No summary")]
)
def test_errors_in_a_script(shell, server, reason, said):
    if reason == "error":
        server.answers[server.column.chat] = lambda talk: talk.json({"error": "out of order"}, 400)
    else:
        server.told = Told(reason=reason)
    shell("echo a > report.md")
    done = shell(recipe("Handle errors in a script"))
    assert said in done.stderr
    assert (shell.folder / "summary.txt").exists() == (reason == "stop")


@pytest.mark.parametrize("works", [True, False])
def test_a_git_hook(shell, server, works):
    assert shell(STAGED).returncode == 0
    hook = shell.folder / ".git" / "hooks" / "prepare-commit-msg"
    hook.write_text(recipe("Prepare commit messages with a Git hook"))
    hook.chmod(0o755)
    if not works:
        server.close()
    done = shell(COMMIT, GIT_EDITOR="true")
    assert (done.returncode == 0) == works, done.stderr
    if works:
        assert shell("git log -1 --format=%B").stdout.strip() == REPLY.strip()
        assert "+two" in asked(server)


def test_every_recipe_is_run():
    source = (ROOT / "tests" / "ask" / "test_documented_recipes.py").read_text("utf-8")
    assert [title for title in RECIPES if f'"{title}"' not in source] == []
    assert len(RECIPES) > 15

"""The cost of the whole app compared with its parts: the bare engine, a bare Textual app, a script that loads the model.

    python -m benchmarks.whole [--rounds 8] [--json FILE] [--anyway]

In a round, the app and the programs it is compared with take turns. The app runs in a pseudo-terminal of 120x40. This process reads what it
writes, but draws that only where it looks at the screen: not while a reply is timed. Figures are medians over the rounds with their
ranges; ratios are of what was measured in the same round. Nothing is published from a machine that isn't quiet.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._contestants import READY_S, ROOT, App, Child, Missing, Model, lay_caches
from benchmarks._quiet import Publisher, add_options
from benchmarks._tables import whole_markdown
from benchmarks.engines import demo, surroundings, user

LIMIT = 128
KEYS_PER_S = 16.0
IDLE_S = 10.0
QUESTION = "What is the capital of France?"
REPLY_COLUMNS = 60
"""So many of a line are the conversation's, not the sidebar's."""
STORY = "Tell me a long story about a river."
BARE_APP = """
from textual.app import App
from textual.widgets import Label
class Bare(App):
    def compose(self):
        yield Label("here it is")
Bare().run()
"""
SCRIPT = """
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype="bfloat16")
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
ids = tokenizer.apply_chat_template(
    [{"role": "user", "content": sys.argv[2]}], add_generation_prompt=True, return_tensors="pt", return_dict=True
)
made = model.generate(**ids, max_new_tokens=1, do_sample=False)
print(tokenizer.decode(made[0, -1]))
"""


class TypedApp(App):
    """The app, with a user who may type while a reply is written."""

    _typing = False
    _next_key = 0.0

    def _newest_reply(self) -> dict[str, object]:
        if self._typing and time.perf_counter() >= self._next_key:
            self._next_key = time.perf_counter() + 1 / KEYS_PER_S
            self._terminal.type("x")
        return super()._newest_reply()

    def decode(self, text: str, *, typing: bool) -> float:
        """Return the tokens per second of a reply in a new chat."""
        self._typing = typing
        speed = self.ask([user(text)], LIMIT).tokens_per_s
        self._typing = False
        self._terminal.press("ctrl+u")
        return speed

    def idle_share(self) -> float:
        """Return the share of one core that the app and its engine use while nothing happens."""
        self._terminal.wait_until(_after(2.0), 10)
        before = self._computed_s()
        self._terminal.wait_until(_after(IDLE_S), IDLE_S + 10)
        return (self._computed_s() - before) / IDLE_S

    def _computed_s(self) -> float:
        times = [one.cpu_times() for one in self.processes()]
        return sum(one.user + one.system for one in times)


def _after(seconds: float):  # noqa: ANN202 - a predicate
    until = time.perf_counter() + seconds
    return lambda: time.perf_counter() >= until


def first_frame_of_bare_app() -> float:
    """Return the time until the smallest Textual app is shown."""
    from tests.e2e.terminal import Terminal, clean_environment

    began = time.perf_counter()
    with Terminal((sys.executable, "-c", BARE_APP), env=clean_environment()) as terminal:
        terminal.wait_for("here it is")
        return time.perf_counter() - began


def opening(model: Model) -> tuple[float, float, float]:
    """Start the app, type a question at once, and press keys until the model is loaded.

    Returns:
        the seconds to the first frame, to the first words of the answer, and the longest time until a key appeared.
    """
    from tests.e2e.terminal import Terminal, clean_environment
    from tui.settings.paths import AppPaths
    from tui.settings.state import AppState, save_state

    with tempfile.TemporaryDirectory() as folder:
        paths = AppPaths.under(Path(folder))
        paths.ensure()
        save_state(paths.state, AppState(parameters={"temperature": 0.0}))
        lay_caches(model, paths.cache)
        environment = clean_environment(
            CHAT_TUI_HOME=folder,
            HOME=folder,
            HF_HUB_OFFLINE="1",
            PYTHONPATH=str(ROOT),
            # Compared with chat-tui's own engine.
            CHAT_TUI_MODEL_GGUF="transformers",
        )
        began = time.perf_counter()
        command = (sys.executable, "-m", "tui", model.name)
        with Terminal(command, env=environment, columns=120, rows=40) as terminal:
            terminal.wait_for("New chat")
            first = time.perf_counter() - began
            terminal.type(QUESTION)
            terminal.press("enter")
            worst, count = 0.0, 0
            while not has_words(terminal.text):
                if time.perf_counter() - began > READY_S:
                    raise Missing(f"there was no answer within {READY_S:g} s:\n{terminal.text}")
                pressed = time.perf_counter()
                terminal.type("x")
                count += 1
                wanted = "x" * count
                terminal.wait_for(lambda text, w=wanted: w in text or has_words(text), 60)
                worst = max(worst, time.perf_counter() - pressed)
                terminal.wait_until(_after(0.02), 10)
                if count == 60:
                    terminal.press("ctrl+u")
                    terminal.wait_for(lambda text: "xx" not in text or has_words(text), 60)
                    count = 0
            return first, time.perf_counter() - began, worst * 1000


def has_words(screen: str) -> bool:
    """Whether the reply has begun, whatever its words are: at temperature 0 a tie is decided by rounding."""
    below = screen.partition("● Assistant")[2].splitlines()[1:2]
    return any(character.isalpha() for line in below for character in line[:REPLY_COLUMNS])


def script(model: Model) -> float:
    """Return the time of a script that imports, loads and generates one token."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(model.folder), QUESTION],
        check=True, capture_output=True, env={**os.environ, "HF_HUB_OFFLINE": "1"}, timeout=READY_S,
    )  # fmt: skip
    return time.perf_counter() - began


def run(rounds: int, publisher: Publisher) -> dict[str, dict[int, float]]:
    """Measure all figures, by round."""
    model = demo()
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for number in range(rounds):
        first, answer, worst = opening(model)
        found["first frame, s"][number] = first
        found["bare Textual app, first frame, s"][number] = first_frame_of_bare_app()
        found["start to first words, s"][number] = answer
        found["script to first token, s"][number] = script(model)
        found["slowest key while loading, ms"][number] = worst
        publisher.between()
        app = TypedApp(model, LIMIT)
        engine = Child("engine", "engine", model.name, str(model.cache), "none")
        for typing in (False, True):
            text = f"{number}{typing} {STORY}"
            speed = engine.ask([user(text)], LIMIT).tokens_per_s
            in_app = app.decode(text, typing=typing)
            again = engine.ask([user(f"{text}!")], LIMIT).tokens_per_s
            name = "while one types" if typing else "while nobody types"
            found[f"app, tokens/s {name}"][number] = in_app
            found[f"engine, tokens/s beside it ({name})"][number] = (speed + again) / 2
        found["app, memory, MB"][number] = app.memory_mb
        found["engine, memory, MB"][number] = engine.memory_mb
        engine.close()
        found["idle, share of a core"][number] = app.idle_share()
        app.close()
        publisher.between()
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return found


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=8)
    add_options(parser)
    given = parser.parse_args()
    publisher = Publisher(path=given.json, anyway=given.anyway)
    publisher.begin()
    figures = {"surroundings": surroundings(), "figures": run(given.rounds, publisher)}
    return publisher.end(whole_markdown(figures), figures)


if __name__ == "__main__":
    sys.exit(main())

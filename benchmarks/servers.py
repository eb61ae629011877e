"""The overhead of the app with a server: first token and decoding speed through chat-tui, compared with a bare client of the
same server.

    python -m benchmarks.servers [--pairs 8] [--tokens 128] [--url URL] [--json FILE] [--anyway]

Without an address, it starts a llama-server with the demo model on one core (`pip install xllamacpp`). The contestants take turns
with different prompts of the same length, so that the server can't use its cache. The figures are each pair's ratio of app to
client; 1 means equal. Nothing is published from a machine that isn't quiet.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._quiet import Publisher, add_options
from benchmarks._ranges import Comparison, Range
from tui.app import ChatApp, Start
from tui.engine.base import LoadRequest
from tui.engine.demo import demo_model
from tui.engine.engines import Engines
from tui.engine.local.engine import LocalEngine
from tui.engine.remote.engine import RemoteEngine
from tui.screens.chat import ChatScreen
from tui.sessions.store import SessionStore
from tui.sessions.writer import SessionWriter
from tui.settings.paths import AppPaths
from tui.settings.state import AppState
from tui.settings.themes import shipped_themes

SERVER = """
import sys, time, xllamacpp
p = xllamacpp.CommonParams()
p.model.path, p.port = sys.argv[1], int(sys.argv[2])
p.n_ctx, p.n_parallel, p.hostnames = 2048, 1, ["127.0.0.1"]
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(p)
time.sleep(1e6)
"""
STARTS_WITHIN_S = 60.0


@dataclass(frozen=True)
class Times:
    """One reply.

    Attributes:
        ttft_s: from the request to the first piece of text.
        tokens_per_s: from the first piece to the last.
    """

    ttft_s: float
    tokens_per_s: float


def prompt(number: int) -> str:
    """Return a message that starts like no other."""
    return f"Case {number * 7919 % 10007}: write a long story about a river, a town and a bridge."


def bare(url: str, model: str, number: int, tokens: int) -> Times:
    """Send a request with nothing but the HTTP library."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt(number)}],
        "stream": True,
        "max_tokens": tokens,
        "temperature": 0.0,
    }
    start = time.monotonic()
    with (
        httpx2.Client(timeout=None) as client,
        client.stream("POST", f"{url}/v1/chat/completions", json=body) as response,
    ):
        at = [
            time.monotonic()
            for event in httpx2.EventSource(response)
            if event.data != "[DONE]" and _has_text(json.loads(event.data))
        ]
    return Times(at[0] - start, (len(at) - 1) / (at[-1] - at[0]))


def _has_text(chunk: dict[str, object]) -> bool:
    choices = chunk.get("choices")
    return isinstance(choices, list) and bool(choices) and bool(choices[0]["delta"].get("content"))


async def through_app(screen: ChatScreen, number: int, tokens: int) -> Times:
    """Send a message in a new chat of the app."""
    screen.do("chat.new")
    await asyncio.sleep(0.5)
    screen.core.settings.set({"max_new_tokens": tokens, "temperature": 0.0})
    sender = screen.core.sender
    sender.send(sender.outgoing(prompt(number)))
    while screen.core.replies.is_due or not screen.conversation.path:
        await asyncio.sleep(0.02)
    stats = screen.conversation.path[-1].generation.stats
    return Times(stats.ttft_s, stats.tokens_per_s)


async def pairs(url: str, count: int, tokens: int) -> list[tuple[Times, Times]]:
    """Return the times of both contestants, which take turns."""
    with tempfile.TemporaryDirectory() as folder:
        paths = AppPaths.under(Path(folder))
        paths.ensure()
        app = ChatApp(
            Engines(LocalEngine(paths.cache), RemoteEngine),
            SessionWriter(SessionStore(paths.sessions, paths.index)),
            AppState(),
            start=Start(request=LoadRequest(url)),
            themes=shipped_themes(),
            paths=paths,
        )
        found = []
        async with app.run_test(size=(120, 40)):
            screen = app.screen
            assert isinstance(screen, ChatScreen)
            while not screen.model.ready:
                await asyncio.sleep(0.05)
            model = screen.model.model.partition("#")[2]
            for number in range(count + 1):
                client = await asyncio.to_thread(bare, url, model, 2 * number, tokens)
                ours = await through_app(screen, 2 * number + 1, tokens)
                if number:
                    found.append((ours, client))
                    print(f"pair {number} of {count}", file=sys.stderr, flush=True)
        app.close()
        return found


@contextmanager
def llama_server() -> Iterator[str]:
    """Start a server with the demo model, and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-c", SERVER, str(demo_model()), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < deadline:
            try:
                if httpx2.get(f"{url}/health").status_code == 200:
                    break
            except httpx2.HTTPError:
                time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


def table(found: list[tuple[Times, Times]]) -> str:
    """Return the figures of all pairs as a table."""
    rows = ["| | app | client | ratio, by pairs |", "|---|--:|--:|--:|"]
    for title, figure in (("first token, s", "ttft_s"), ("tokens/s", "tokens_per_s")):
        ours, theirs = ([getattr(pair[place], figure) for pair in found] for place in (0, 1))
        ratio = Comparison.of(ours, theirs)
        cells = (
            title,
            Range.of(ours).text(),
            Range.of(theirs).text(),
            ratio.text() if ratio else "",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--url", default="")
    add_options(parser)
    given = parser.parse_args()
    if not given.url and importlib.util.find_spec("xllamacpp") is None:
        parser.exit(
            1, "There is no server to measure: pip install xllamacpp, or name one with --url.\n"
        )
    publisher = Publisher(path=given.json, anyway=given.anyway)
    publisher.begin()
    if given.url:
        found = asyncio.run(pairs(given.url, given.pairs, given.tokens))
    else:
        with llama_server() as url:
            found = asyncio.run(pairs(url, given.pairs, given.tokens))
    figures = [{"app": asdict(ours), "client": asdict(client)} for ours, client in found]
    return publisher.end(table(found), {"pairs": figures})


if __name__ == "__main__":
    sys.exit(main())

"""`chat-tui ask`: from the command line to the exit code."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from tui import logs
from tui.ask.answering import Answering, AskError
from tui.ask.forms import Printer, Reply
from tui.ask.forms import printer as printer_for
from tui.ask.notes import Notes
from tui.ask.options import Question, parse
from tui.ask.reading import read, stdin_is_piped
from tui.ask.schema import schema_of
from tui.ask.stdout import Stdout, Streams, apart
from tui.chat.core import Core, make_core
from tui.chat.loader import ModelLoader
from tui.chat.outbox import Outgoing
from tui.chat.servers import Servers
from tui.chat.settings import ChatSettings
from tui.commands import typed_text
from tui.conversation import Status
from tui.engine.base import Failed, LoadRequest
from tui.engine.client import EngineClient
from tui.engine.engines import Engines
from tui.engine.local.engine import LocalEngine
from tui.engine.local.held_to_schema import problem_of
from tui.engine.worker import EngineWorker
from tui.errors import UserError
from tui.json_types import Json
from tui.sessions import SessionStore
from tui.sessions.writer import SessionWriter
from tui.settings.history import Attachment
from tui.settings.measurements import Measurements
from tui.settings.paths import AppPaths
from tui.startup import (
    UsageError,
    llama_engine,
    load_request,
    opened_chat,
    preferences_for,
    remote_engine,
)

_Texts = tuple[str, tuple[Attachment, ...]]

DONE, FAILED, USAGE_ERROR, CUT_OFF = 0, 1, 2, 3
_BY_SIGNAL: Final = 128
"""The exit code of what a signal ended is this and the signal's number: 130 for Ctrl+C."""
_CLOSE_S: Final = 2.0
_SAVE_S: Final = 10.0
_PATIENCE_S: Final = 1.0
"""How long what was said may take to be printed and saved after an interruption."""
_ID_DIGITS: Final = 8
_SILENCE_S: Final = 2.0
"""How long nothing is said about waiting for stdin."""
_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


def run(words: Sequence[str]) -> int:
    """Answer a question.

    Returns:
        the exit code: 0; 1 when there is no reply or only a part of one; 2 for wrong usage; 3 when it was cut off at the limit; 128
        and the number of the signal that ended it.

    Raises:
        UserError: the question can't be asked as it is.
    """
    question = parse(words)
    paths = AppPaths.default()
    with contextlib.suppress(UserError):
        paths.ensure()
        logs.start_logging(paths.logs)
    with apart() as streams:
        code, has_ended = asyncio.run(_Run(question, paths, streams).work())
    if not has_ended:
        # The engine is inside a library call that can't be interrupted, or nobody reads what was printed.
        os._exit(code)
    return code


def _schema_of(question: Question) -> Json:
    """Return the schema that the replies have to fit; None for none.

    Raises:
        UserError: it can't be used.
    """
    if not question.schema:
        return None
    schema = schema_of(question.schema)
    if problem := problem_of(schema):
        raise UserError(f"The JSON Schema can't be used ({problem}).", "Correct or simplify it.")
    return schema


class _NoWaysOut:
    """Takes the place of somebody who could choose what to do when memory runs out."""

    async def offer_ways_out(self, request: LoadRequest, failed: Failed, *, in_reply: bool) -> bool:
        """Choose nothing."""
        del request, failed, in_reply
        return False


class _Run:
    """One question on its way."""

    def __init__(self, question: Question, paths: AppPaths, streams: Streams) -> None:
        self._question = question
        self._paths = paths
        self._streams = streams
        self._notes = Notes(streams.err, is_quiet=question.is_quiet)
        self._schema = _schema_of(question)
        self._signal = 0
        self._core: Core | None = None
        self._worker: EngineWorker | None = None

    async def work(self) -> tuple[int, bool]:
        """Answer it; return the exit code, and whether everything that was begun has ended."""
        loop = asyncio.get_running_loop()
        out = Stdout(
            self._streams.out, self._streams.encoding, lambda: self._stop() or answering.cancel()
        )
        answering = asyncio.ensure_future(self._answer(out))
        for number in _SIGNALS:
            # Not in a thread other than the main one, as in some tests.
            with contextlib.suppress(ValueError, NotImplementedError, RuntimeError):
                loop.add_signal_handler(number, self._interrupt, number, answering)
        try:
            code = await answering
        except AskError:
            code = FAILED
        except asyncio.CancelledError:
            # By a signal, or since the reader had gone before there was anything to read.
            code = DONE if out.has_ended else FAILED
        except UserError as error:
            self._notes.fail(str(error))
            code = USAGE_ERROR
        has_ended, code = await self._close(out, code)
        return (_BY_SIGNAL + self._signal if self._signal else code), has_ended

    # -- ending early

    def _interrupt(self, number: int, answering: asyncio.Future[int]) -> None:
        """End as a signal wants; what was said so far is kept. A second one waits for nothing."""
        if self._signal:
            os._exit(_BY_SIGNAL + number)
        self._signal = number
        if not self._stop():
            answering.cancel()

    def _stop(self) -> bool:
        """Stop the reply under way; return whether there is one."""
        if self._core is None or self._core.replies.live is None:
            return False
        self._core.replies.stop()
        # What is being computed may take a while to notice.
        asyncio.get_running_loop().call_later(_PATIENCE_S, self._core.replies.end_now)
        return True

    async def _printed(self, out: Stdout) -> bool:
        """Wait until all of it is printed, after an interruption not for long; return whether it is."""
        try:
            await asyncio.wait_for(out.written(), _PATIENCE_S if self._signal else None)
        except TimeoutError:
            return False
        return True

    async def _close(self, out: Stdout, code: int) -> tuple[bool, int]:
        """Have everything printed and saved; return whether that and the engine has ended, and the exit code."""
        is_printed = await self._printed(out)
        if out.problem:
            self._notes.fail(out.problem)
            code = FAILED
        core, worker = self._core, self._worker
        if core is None or worker is None:
            return is_printed, code
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(core.session.settled(), _SAVE_S)
        has_ended = await asyncio.to_thread(worker.close, _CLOSE_S)
        await asyncio.to_thread(core.writer.close, _SAVE_S)
        problems = {chat: error.message for chat, error in core.writer.failures.items()}
        for problem in problems.values():
            self._notes.fail(problem)
        if problems and code in (DONE, CUT_OFF):
            code = FAILED
        return is_printed and has_ended, code

    # -- answering

    async def _answer(self, out: Stdout) -> int:
        question = self._question
        reading = _on_thread(lambda: read(question, self._notes.tell))
        core, request = self._begin()
        printer = printer_for(question.form, out, variants=question.variants)
        answering = Answering(
            core, self._notes, printer, out, shows_reasoning=question.shows_reasoning
        )
        following = asyncio.ensure_future(answering.follow())
        try:
            # While something is piped in, the model is loaded.
            loading = asyncio.ensure_future(answering.load(request))
            try:
                text, attachments = await self._read(reading)
            except BaseException:
                loading.cancel()
                raise
            await loading
            self._check_schema(core)
            outgoing = core.sender.outgoing(typed_text(text), attachments)
            code = await self._print(answering, printer, outgoing, out)
            await self._notes.finished()
        finally:
            following.cancel()
        is_saved = not (core.session.temporary or core.session.is_unsaved)
        if is_saved and core.session.conversation.turns:
            chat_id = core.session.conversation.id[:_ID_DIGITS]
            self._notes.tell(f"Saved. To continue this chat: chat-tui ask --session {chat_id}")
        return code

    def _check_schema(self, core: Core) -> None:
        """Refuse a schema that the model can't be held to.

        Raises:
            AskError: it can't.
        """
        info = core.loader.info
        if self._schema is None or info is None or info.capabilities.holds_schema:
            return
        hint = "Use another server." if info.server else "Install chat-tui[schema]."
        self._notes.fail(
            f"Replies from {info.name} can't be constrained to a JSON Schema here. {hint}"
        )
        raise AskError

    async def _print(
        self, answering: Answering, printer: Printer, outgoing: Outgoing, out: Stdout
    ) -> int:
        """Print every reply that is wanted; return the exit code."""
        codes = []
        try:
            for number in range(self._question.variants):
                reply = await (answering.another(number) if number else answering.first(outgoing))
                reply = self._checked(reply)
                printer.end(reply)
                # What stderr says of it comes behind it on a terminal.
                await self._printed(out)
                codes.append(self._code_of(reply))
                if self._signal or out.has_ended:
                    break
        finally:
            printer.finish()
        return FAILED if FAILED in codes else max(codes)

    def _checked(self, reply: Reply) -> Reply:
        """Return a reply with what it is as JSON; one that has ended and is none has failed."""
        if self._schema is None or reply.status is not Status.COMPLETE:
            return reply
        try:
            return replace(reply, value=json.loads(reply.text))
        except (ValueError, RecursionError):
            problem = (
                "The reply is not valid JSON."
                if reply.text.strip()
                else "The model gave no answer after its reasoning."
                if reply.reasoning
                else "The reply is empty."
            )
            return replace(reply, status=Status.FAILED, error=problem)

    def _code_of(self, reply: Reply) -> int:
        """Return the exit code for a reply, having said why it is not whole."""
        match reply.status:
            case Status.COMPLETE:
                return DONE
            case Status.TRUNCATED:
                self._notes.tell(f"The reply was cut off: {reply.error or 'a limit was reached.'}")
                return CUT_OFF
            case Status.STOPPED:
                # By a signal, or by a reader that has had enough.
                return DONE
        if not reply.is_explained:
            self._notes.fail(reply.error or "The reply failed.")
        return FAILED

    async def _read(self, reading: asyncio.Future[_Texts]) -> _Texts:
        """Wait for the question, and say so where that takes a while."""
        done, _ = await asyncio.wait([reading], timeout=_SILENCE_S)
        if not done:
            self._notes.tell(
                "Waiting for input…"
                if stdin_is_piped()
                else "Type the question, then press Ctrl+D on a line of its own."
            )
        return await reading

    def _begin(self) -> tuple[Core, LoadRequest]:
        """Put everything together; return it, and the model to load.

        Raises:
            UserError: the command line asks for something that can't be done.
        """
        arguments, paths = self._question.arguments, self._paths
        preferences, problems = preferences_for(arguments, paths, remembers_chat=False)
        servers = Servers(lambda: preferences.values.servers, os.environ)
        request, more = load_request(arguments, preferences)
        for notice in (*problems, *servers.problems(), *more):
            self._notes.tell(notice, severity="warning")
        if request is None:
            raise UsageError(
                "No model is selected.",
                "Choose one with --model. `chat-tui models` lists the models on this machine.",
            )
        store = SessionStore(paths.sessions, paths.index)
        opened = opened_chat(arguments, store)
        # That a read-only chat goes on as a copy is said when that happens.
        for problem in opened.problems if opened is not None and not opened.read_only else ():
            self._notes.tell(problem, severity="warning")
        writer = SessionWriter(store)
        engines = Engines(
            LocalEngine(paths.cache), lambda: remote_engine(servers), llama_engine(paths, request)
        )
        worker = EngineWorker(engines)
        client = EngineClient(worker, lambda: None)
        settings = ChatSettings(
            preferences,
            opened.conversation if opened is not None else None,
            quantization=request.quantization,
        )
        core = make_core(
            client, writer, settings, self._notes,
            loader=ModelLoader(client, settings), rescue=_NoWaysOut(),
            measurements=Measurements(paths.measurements), draft=lambda: "", opened=opened,
        )  # fmt: skip
        core.session.temporary = not self._saves(
            preferences.values.ask.save, is_old=opened is not None
        )
        settings.schema = self._schema
        self._core, self._worker = core, worker
        return core, request

    def _saves(self, setting: str, *, is_old: bool) -> bool:
        """Return whether the chat is saved: as the command line says, always one that is gone on with, else as the setting says."""
        if self._question.saves is not None:
            return self._question.saves
        is_at_terminal = os.isatty(self._streams.out) and not stdin_is_piped()
        return is_old or setting == "always" or (setting == "terminal" and is_at_terminal)


def _on_thread(work: Callable[[], _Texts]) -> asyncio.Future[_Texts]:
    """Do what may wait for ever on a thread that nobody waits for when the process ends."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_Texts] = loop.create_future()

    def hand_over(result: _Texts | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        elif result is not None:
            done.set_result(result)

    def run() -> None:
        result, failed = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits
            failed = error
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(hand_over, result, failed)

    threading.Thread(target=run, name="stdin", daemon=True).start()
    return done

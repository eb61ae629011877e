"""The objects that a chat is made of, put together once. Each can also be made alone; see their modules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tui.chat.context_room import ContextRoom
from tui.chat.counting import Counting
from tui.chat.drafts import Drafts, SentHistory
from tui.chat.loader import ModelLoader
from tui.chat.measuring import Measuring
from tui.chat.recovery import Recovery
from tui.chat.replies import ReplyRunner, Rescue
from tui.chat.sending import Sender
from tui.chat.session import ChatSession
from tui.chat.settings import ChatSettings
from tui.chat.side_work import SideWork
from tui.chat.ui import Ui
from tui.chat.undoing import Undoing
from tui.dataclass import dataclass
from tui.engine.client import EngineClient
from tui.sessions import Loaded
from tui.sessions.writer import SessionWriter
from tui.settings.measurements import Measurements


@dataclass(frozen=True, slots=True)
class Core:
    """What the app does with the open chat."""

    client: EngineClient
    writer: SessionWriter
    settings: ChatSettings
    session: ChatSession
    loader: ModelLoader
    side: SideWork
    room: ContextRoom
    measuring: Measuring
    replies: ReplyRunner
    recovery: Recovery
    counting: Counting
    drafts: Drafts
    sent: SentHistory
    sender: Sender
    undoing: Undoing
    ui: Ui


def make_core(
    client: EngineClient,
    writer: SessionWriter,
    settings: ChatSettings,
    ui: Ui,
    *,
    loader: ModelLoader,
    rescue: Rescue,
    measurements: Measurements,
    draft: Callable[[], str],
    opened: Loaded | None = None,
    drafts_file: Path | None = None,
    history_file: Path | None = None,
) -> Core:
    """Put a chat together.

    Args:
        client: asks the engine.
        writer: does all work on chat files.
        settings: what the chat is set to.
        ui: tells and asks a person.
        loader: loads models.
        rescue: offers ways out when memory ran out.
        measurements: what was measured of models on this machine.
        draft: returns the message as it is written now.
        opened: a chat to go on with; None for a new one.
        drafts_file, history_file: where what was written and what was sent is kept; None for nowhere.
    """
    session = ChatSession(writer, settings, ui, opened)
    side = SideWork(client)
    room = ContextRoom(session, settings, side, ui)
    measuring = Measuring(measurements, writer, ui)
    replies = ReplyRunner(client, writer, session, settings, loader, room, measuring, rescue, ui)
    counting = Counting(client, session, settings, loader, replies, side, ui, draft)
    drafts = Drafts(drafts_file, writer.run)
    sent = SentHistory(history_file, writer.run)
    return Core(
        client=client,
        writer=writer,
        settings=settings,
        session=session,
        loader=loader,
        side=side,
        room=room,
        measuring=measuring,
        replies=replies,
        recovery=Recovery(client, loader, replies, ui),
        counting=counting,
        drafts=drafts,
        sent=sent,
        sender=Sender(session, loader, replies, side, drafts, sent, ui),
        undoing=Undoing(session, settings, loader),
        ui=ui,
    )

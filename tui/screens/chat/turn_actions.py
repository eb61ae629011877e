"""Actions on turns: regenerating, continuing, editing, paging through variants, deleting. Nothing is lost; see `conversation`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tui.chat.core import Core
from tui.chat.loader import short_name
from tui.chat.replies import ReplyOrder
from tui.chat.server_consent import ServerConsent
from tui.conversation import ASSISTANT, SEND, USER, Turn
from tui.engine.base import LoadRequest
from tui.engine.remote.address import is_server, parse
from tui.parameters import readable
from tui.screens.chat.focus_control import FocusControl
from tui.screens.chat.ui import ScreenUi
from tui.screens.chat.view import View
from tui.widgets.turn_editor import TurnEditor

if TYPE_CHECKING:
    from tui.engine.catalog import ModelSource


class TurnActions:
    """Acts on the turn under the cursor, or else on the last one."""

    def __init__(
        self,
        core: Core,
        view: View,
        focus_control: FocusControl,
        consent: ServerConsent,
        ui: ScreenUi,
    ) -> None:
        self._consent = consent
        self._core = core
        self._view = view
        self._focus_control = focus_control
        self._ui = ui

    def _order(self, parent: str | None, label: str) -> ReplyOrder:
        return ReplyOrder(self._core.session.conversation.id, parent, label=label)

    # -- replies

    def regenerate(self) -> None:
        """Generate another reply instead of the one under the cursor, or to the user turn under it.

        Without a cursor, it is the last turn. An unanswered message gets a reply.
        """
        turn = self._turn_to_answer()
        if turn is not None:
            # What is typed next is a message and no command.
            self._focus_control.to_composer()
            self._core.replies.begin(self._order(_answered(turn), "Regenerate"))

    def _turn_to_answer(self) -> Turn | None:
        path, cursor = self._core.session.conversation.path, self._view.transcript.cursor
        is_unanswered = bool(path) and path[-1].role == USER and cursor is None
        return path[-1] if is_unanswered else self._focus_control.acted_turn(ASSISTANT)

    async def regenerate_with(self) -> None:
        """Generate another reply with other parameters, another model or given first words, just this once."""
        from tui.screens.reply_options import ReplyOptions

        turn = self._turn_to_answer()
        if turn is None:
            return
        loader, settings = self._core.loader, self._core.settings
        options = await self._ui.show(
            ReplyOptions(dict(settings.parameters), loader.info, self._models_to_choose_from)
        )
        if options is None:
            return
        self._focus_control.to_composer()
        is_other = options.model and options.model != loader.model
        order = ReplyOrder(
            self._core.session.conversation.id,
            _answered(turn),
            parameters=options.parameters,
            start_text=options.start_text,
            label="Regenerate",
            model=_passing(settings.load_request(options.model)) if is_other else None,
        )
        self._core.replies.begin(order)

    def _models_to_choose_from(self) -> list[ModelSource]:
        """Return the models on this machine, and those of servers that were used recently or are favorites."""
        from tui.engine.catalog import ModelKind, ModelSource, local_models

        state = self._core.settings.state
        names = dict.fromkeys((*state.favorites, *state.recent_models))
        served = [
            ModelSource(name, ModelKind.SERVER, name, f"{short_name(name)} ({parse(name).name})")
            for name in filter(is_server, names)
        ]
        return [*local_models(), *served]

    async def reproduce(self) -> None:
        """Generate a reply again with the seed and the parameters of the original."""
        turn = self._focus_control.acted_turn(ASSISTANT)
        if turn is None or turn.generation is None:
            self._ui.tell("Only a model's reply can be reproduced.", severity="warning")
            return
        made, info = turn.generation, self._core.loader.info
        if made.continued:
            self._ui.tell(
                "This reply was continued later. Only the seed of its last part is known.",
                severity="warning",
            )
        self._focus_control.to_composer()
        why = f"This reply was made by {short_name(made.model)} on a server."
        if not await self._consent.may_use(made.model, why):
            return
        there = (info.model, info.quantization) if info is not None else None
        is_there = there == (made.model, made.quantization)
        request = self._core.settings.load_request(made.model, made.quantization)
        order = ReplyOrder(
            self._core.session.conversation.id,
            turn.parent,
            parameters=readable(made.parameters),
            start_text=made.start_text,
            label="Reproduce",
            as_before=made.stats,
            model=None if is_there else _passing(request),
        )
        self._core.replies.begin(order)

    def continue_reply(self) -> None:
        """Continue the reply under the cursor, or else the last reply."""
        turn = self._focus_control.acted_turn(ASSISTANT)
        if turn is None or turn.role != ASSISTANT:
            self._ui.tell("Only a reply can be continued.", severity="warning")
            return
        self._focus_control.to_composer()
        if turn.is_empty:
            self._core.replies.begin(self._order(turn.parent, "Regenerate"))
        else:
            chat_id = self._core.session.conversation.id
            self._core.replies.begin(ReplyOrder(chat_id, continues=turn.id))

    # -- variants

    def show_older(self) -> None:
        """Show the variant before this one."""
        self.page(-1)

    def show_newer(self) -> None:
        """Show the variant after this one."""
        self.page(1)

    def page(self, step: int, turn_id: str = "") -> None:
        """Show another variant of a turn and what follows it; by default, of the turn under the cursor."""
        chat = self._core.session.conversation
        on_path = {turn.id: turn for turn in chat.path}
        turn = on_path.get(turn_id) if turn_id else self._focus_control.acted_turn(ASSISTANT)
        if turn is None or self._core.replies.live is not None:
            return
        place = [one.id for one in chat.path].index(turn.id)
        paged = chat.page(turn.id, step)
        if paged is chat:
            self._ui.tell("There are no more variants in that direction.")
            return
        self._core.session.navigate(lambda _chat: paged)
        self._view.transcript.cursor = paged.path[place].id
        if place < len(paged.path) - 1:
            # What follows may be long, and the end of it is not what the user looks at.
            self._view.transcript.move_cursor(0)

    async def show_tree(self) -> None:
        """Show all branches of the chat, and jump to the chosen turn."""
        from tui.screens.tree_view import TreeView

        chat = self._core.session.conversation
        chosen = await self._ui.show(TreeView(chat, self._view.transcript.cursor))
        if chosen is not None and self._core.replies.live is None:
            self.go_to(chosen)

    def go_to(self, turn_id: str) -> None:
        """Make the branch of a turn active, and put the cursor on the turn."""
        session = self._core.session
        if turn_id in session.conversation.turns:
            session.navigate(lambda chat: chat.select(turn_id))
            self._focus_control.to_turn(turn_id)

    # -- deleting, undo

    def delete(self) -> None:
        """Delete the turn under the cursor, and keep what follows it."""
        self._delete(following=False)

    def delete_following(self) -> None:
        """Delete the turn under the cursor and everything after it."""
        self._delete(following=True)

    def _delete(self, *, following: bool) -> None:
        turn = self._focus_control.acted_turn()
        if turn is None:
            return
        session, turn_id = self._core.session, turn.id
        chat = session.conversation
        place = [one.id for one in chat.path].index(turn_id)
        count = 1 + sum(1 for _ in chat.descendants(turn_id)) if following else 1
        session.change(lambda chat: chat.delete(turn_id, following=following))
        path = session.conversation.path
        shown = path[min(place, len(path) - 1)].id if path else None
        self._view.transcript.cursor = shown
        was_variant = shown in {one.id for one in chat.variants(turn_id)}
        self._ui.tell(f"{_deleted(count, was_variant)} {self._ui.way('chat.undo')} to undo.")

    def undo(self) -> None:
        """Undo the last change, to the chat or to its settings."""
        before = self._core.session.conversation
        undone = self._core.undoing.undo()
        after = self._core.session.conversation
        gone = [turn for turn in before.path if turn.id not in after.turns and turn.role == USER]
        is_back = undone == SEND and len(gone) == 1 and self._give_back(gone[0])
        more = ". Your message is in the message box." if is_back else ""
        self._ui.tell(f"Undone: {_named(undone)}{more}" if undone else "There is nothing to undo.")

    def _give_back(self, turn: Turn) -> bool:
        """Put an undone message back into the composer, unless another message is being written there."""
        # If the text came from the editor of a turn that is gone, restore it there.
        if not self._view.area.is_free or self._view.screen.query(TurnEditor):
            return False
        self._view.area.offer(turn)
        return True

    def redo(self) -> None:
        """Redo the change that was undone last."""
        done = self._core.undoing.redo()
        if done == SEND:
            # Otherwise the message would appear twice.
            self._view.area.withdraw()
        self._ui.tell(f"Redone: {_named(done)}" if done else "There is nothing to redo.")

    # -- how it is shown

    def toggle_source(self) -> None:
        """Switch the turn under the cursor between its source and the rendered text."""
        if turn := self._focus_control.acted_turn(ASSISTANT):
            self._view.transcript.toggle_raw(turn.id)

    def toggle_reasoning(self) -> None:
        """Fold or unfold the reasoning of the turn under the cursor, or else of the last turn that has any."""
        self._view.transcript.toggle_reasoning(self._view.transcript.cursor)


def _deleted(count: int, was_variant: bool) -> str:
    """Return a sentence about deleted turns.

    Args:
        count: how many there were.
        was_variant: whether another variant of the first one is shown now.
    """
    if not was_variant:
        return f"{count} turn{'' if count == 1 else 's'} deleted."
    after = f" with {count - 1} turn{'' if count == 2 else 's'} after it" if count > 1 else ""
    return f"Variant{after} deleted; another variant is shown."


def _answered(turn: Turn) -> str | None:
    """Return the turn that a new reply would answer: a user turn itself, or else the turn before a reply."""
    return turn.id if turn.role == USER else turn.parent


def _passing(request: LoadRequest) -> LoadRequest:
    """Return the request that loads a model for one reply. A model on a server takes no memory here, so the current model stays
    loaded.
    """
    return replace(request, keeps_former=True) if is_server(request.model) else request


def _named(label: str) -> str:
    """Return what a step is called within a sentence."""
    return label[:1].lower() + label[1:]

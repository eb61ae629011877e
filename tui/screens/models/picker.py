"""The dialog to choose a model: from this machine, from the Hub, or by typing its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.binding import BindingType
from textual.widgets import Input

from tui.chat.ui import Answer
from tui.engine import catalog
from tui.engine.base import LoadRequest, ModelLoadError
from tui.engine.catalog import ModelKind, ModelSource
from tui.engine.fit import Grade
from tui.engine.hub.hub import DownloadPlan
from tui.engine.remote.address import AddressError, is_server
from tui.engine.remote.address import parse as parse_address
from tui.files import absolute, is_folder, typed_path
from tui.sanitize import sanitize, sanitize_line
from tui.scopes import Scope
from tui.screens.ask import Ask, AskText
from tui.screens.dialog import PickList, show_problem
from tui.screens.models import rows
from tui.screens.models.download_question import GET, LOAD, no_room, question
from tui.screens.models.lists import ASK_HUB, SORTS, TYPED, ModelDesk, ModelLists
from tui.screens.models.load_options import LoadOptions
from tui.settings.state import AppState
from tui.widgets.bindings import bindings
from tui.widgets.figures import bytes_text

__all__ = ["ModelDesk", "ModelPicker"]


class ModelPicker(ModelLists):
    """Returns the request to load the chosen model, or None."""

    PLACE = Scope.MODELS
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.FINDER, Scope.MODELS)

    CSS = """
    ModelPicker {
        & > #dialog { width: 112; height: 90%; }
        &.-short > #dialog { height: 100%; }
        & .message { color: $text-warning; height: auto; width: 1fr; margin-bottom: 1; }
        & #words { margin: 1 0; }
        &.-short #words { margin: 0; }
        & PickList { height: 1fr; }
        & #details { height: auto; max-height: 8; width: 1fr; margin-top: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        &.-short #details { display: none; }
        & KeyHints { margin-top: 1; }
        &.-short KeyHints { margin-top: 0; }
    }
    """

    def action_accept(self) -> None:
        """Load the highlighted model, or the typed one."""
        chosen = self._chosen()
        if chosen == ASK_HUB:
            self.action_switch()
        elif chosen:
            typed = self._servers.resolve(self._words)
            self._ask_for(replace(self._request, model=typed if chosen == TYPED else chosen))
        elif self._words:
            show_problem(self, f"No model on this machine matches {self._words!r}.")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_accept()

    @on(PickList.OptionSelected)
    def _picked(self, event: PickList.OptionSelected) -> None:
        event.stop()
        self.action_accept()

    def _ask_for(self, request: LoadRequest) -> None:
        """Return a load request. If the model is not on this machine, offer to download it; if it is on a server, check with the
        server first.
        """
        if is_server(request.model):
            self._ask_for_server(request)
            return
        try:
            source = catalog.resolve(request.model)
        except ModelLoadError as error:
            show_problem(self, str(error))
            return
        if source.kind is not ModelKind.HUB or self._known.complete.get(source.model):
            self._leave_with(request)
            return
        self._busy = f"Looking up {sanitize_line(source.model)} on the Hub…"
        self._show_note(0)
        self._plan(request)

    def _ask_for_server(self, request: LoadRequest) -> None:
        """Return the request for a server's model. If the name has no model, ask the server which models it has."""
        try:
            address = parse_address(request.model)
        except AddressError as error:
            show_problem(self, str(error))
            return
        if self._assistant:
            show_problem(
                self, "A model on a server can't be the assistant of a model on this machine."
            )
        elif address.model:
            self.dismiss(replace(request, model=str(address)))
        else:
            self._asked_server = address.base
            self._servers.ask_at(address)
            self._busy = f"Connecting to {address.name}…"
            self._show_note(0)

    def _leave_with(self, request: LoadRequest) -> None:
        """Return a load request. Ask first if the model is unlikely to fit even after the current model has been freed."""
        facts = self._known.facts.get(request.model) or self._hub_facts.get(request.model)
        has_room_elsewhere = request.max_memory or request.device not in (
            "auto",
            self._memory.device,
        )
        if facts is None or not self._current or self._assistant or has_room_elsewhere:
            self.dismiss(request)
            return
        name = "none" if facts.method else request.quantization
        one = rows.verdict(request.model, facts, name, self._memory, request.dtype)
        if one.grade is not Grade.TOO_BIG or one.needed is None:
            self.dismiss(request)
            return

        def answered(answer: str | None) -> None:
            if answer == "load":
                self.dismiss(request)

        text = (
            f"It needs about {bytes_text(one.needed.total_bytes)}, but only {bytes_text(self._memory.free_bytes)} would be free. "
            "The current model is unloaded first, and stays unloaded if this one doesn't fit."
        )
        answers = (
            Answer("no", "Keep the current model", "k"),
            Answer("load", "Load it anyway"),
        )
        title = f"{sanitize_line(request.model)} is too large"
        self.app.push_screen(Ask(title, text, answers), answered)

    def _take_plan(self, request: LoadRequest, plan: DownloadPlan | None, problem: str) -> None:
        self._busy = ""
        if not self._is_open:
            return
        self._show()
        if plan is None:
            show_problem(self, problem)
        elif not plan.missing_bytes:
            self._leave_with(request)
        elif not plan.fits:
            show_problem(self, no_room(plan))
        else:
            self._ask_to_download(request, plan)

    def _ask_to_download(self, request: LoadRequest, plan: DownloadPlan) -> None:
        def answered(answer: str | None) -> None:
            if answer in (LOAD, GET):
                self._desk.downloads.start(request.model, request.revision, load=answer == LOAD)
                self.dismiss(None)

        self.app.push_screen(question(plan), answered)

    def action_options(self) -> None:
        """Choose load options for the highlighted model, and load it."""
        chosen = self._chosen()
        if not chosen or chosen == ASK_HUB:
            return
        model = self._words if chosen == TYPED else chosen
        facts = self._known.facts.get(model) or self._hub_facts.get(model)

        def answered(request: LoadRequest | None) -> None:
            if request is not None:
                self._ask_for(request)

        dialog = LoadOptions(replace(self._request, model=model), facts, self._memory)
        self.app.push_screen(dialog, answered)

    def action_switch(self) -> None:
        """Switch between the Hub and this machine."""
        self._in_hub = not self._in_hub
        self.query_one("#models", PickList).highlighted = None
        if self._in_hub and self._found_for != (self._words, self._sort):
            self._search(self._words, self._sort)
        self._show()

    def action_close(self) -> None:
        """Go back from the Hub to this machine, or else close the dialog."""
        if self._in_hub:
            self.action_switch()
        else:
            self.dismiss(None)

    def action_sort(self) -> None:
        """Sort the Hub's models in another order."""
        if self._in_hub:
            self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
            self._search(self._words, self._sort)
            self._show()

    def action_favorite(self) -> None:
        """Add the highlighted model to the favorites, or remove it."""
        model = self._chosen()
        if not model or model in (TYPED, ASK_HUB):
            return
        others = tuple(one for one in self._state.favorites if one != model)
        favorites = others if model in self._state.favorites else (model, *others)
        self._remember(replace(self._state, favorites=favorites))
        self._show(model)

    def action_cancel_download(self) -> None:
        """Stop the highlighted model's download, or else all downloads."""
        running = self._desk.downloads.running
        chosen = [one for one in running if one.repo_id == self._chosen()] or running
        for one in chosen:
            self._desk.downloads.cancel(one.repo_id)
        self._show()

    def action_add_folder(self) -> None:
        """Ask for a folder to search for models."""

        def answered(path: str | None) -> None:
            if path and path.strip():
                folders = dict.fromkeys((*self._state.model_folders, path.strip()))
                self._remember(replace(self._state, model_folders=tuple(folders)))
                self._look_for_models()

        dialog = AskText(
            "Add a folder",
            note="Models in this folder, and in subfolders a few levels down, are listed here.",
            placeholder="~/models",
            check=_folder_problem,
            is_path=True,
        )
        self.app.push_screen(dialog, answered)

    def action_remove(self) -> None:
        """Delete the highlighted model from the cache, or remove its folder from the list, after asking."""
        source = self._known.sources.get(self._chosen())
        if source is None or self._in_hub:
            return
        if source.kind is ModelKind.HUB:
            self._ask_to_delete(source)
        elif folder := self._folder_of(source):
            self._ask_to_forget(folder)
        else:
            show_problem(
                self,
                f"{source.name} is not in the Hugging Face cache, so it can't be deleted here.",
            )

    def _folder_of(self, source: ModelSource) -> str:
        for folder in self._state.model_folders:
            if Path(source.location).is_relative_to(absolute(typed_path(folder))):
                return folder
        return ""

    def _ask_to_forget(self, folder: str) -> None:
        def answered(answer: str | None) -> None:
            if answer == "forget":
                rest = tuple(one for one in self._state.model_folders if one != folder)
                self._remember(replace(self._state, model_folders=rest))
                self._look_for_models()

        text = f"Models in {folder} will no longer be listed. No files are deleted."
        answers = (Answer("no", "Keep", "k"), Answer("forget", "Remove", "f"))
        self.app.push_screen(Ask("Remove this folder from the list?", text, answers), answered)

    def _ask_to_delete(self, source: ModelSource) -> None:
        if source.model == self._current:
            show_problem(self, f"{source.full_name} is in use. Unload it first.")
            return

        def answered(answer: str | None) -> None:
            if answer == "delete":
                self._delete(source)

        text = f"It uses {bytes_text(source.size_bytes)} in the Hugging Face cache. Other programs may use it too."
        answers = (Answer("no", "Keep", "k"), Answer("delete", "Delete", style="error"))
        self.app.push_screen(
            Ask(f"Delete {sanitize_line(source.full_name)}?", text, answers), answered
        )

    @work(thread=True, exit_on_error=False, group="delete")
    def _delete(self, source: ModelSource) -> None:
        try:
            freed = catalog.delete(source)
        except ModelLoadError as error:
            self.app.call_from_thread(self._deleted, str(error), "")
            return
        self.app.call_from_thread(
            self._deleted,
            "",
            f"{source.full_name} was deleted. This freed {bytes_text(freed)}.",
        )

    def _deleted(self, problem: str, done: str) -> None:
        if done:
            self.app.notify(sanitize(done), markup=False)
        if self._is_open:
            show_problem(self, problem)
            self._look_for_models()

    def _remember(self, state: AppState) -> None:
        self._state = state
        self._desk.remember(state)

    @work(thread=True, exit_on_error=False, group="plan", exclusive=True)
    def _plan(self, request: LoadRequest) -> None:
        try:
            plan = self._desk.hub.plan(request.model, request.revision)
        except ModelLoadError as error:
            self.app.call_from_thread(self._take_plan, request, None, str(error))
            return
        self.app.call_from_thread(self._take_plan, request, plan, "")


def _folder_problem(text: str) -> str | None:
    if is_folder(typed_path(text.strip())):
        return None
    return f"The folder {text.strip() or '…'} doesn't exist."

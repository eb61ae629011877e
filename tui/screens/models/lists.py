"""The lists of the model picker: the models on this machine and on the Hub, and how much memory each needs.

Everything that reads files or uses the network runs on threads, and its result is shown when it is ready.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Final

from textual import events, on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, Label, Static
from textual.widgets.option_list import Option

from tui.dataclass import dataclass
from tui.engine import catalog
from tui.engine.base import LoadRequest, ModelLoadError
from tui.engine.catalog import ModelKind, ModelSource
from tui.engine.facts import ModelFacts
from tui.engine.hub.downloads import Downloads
from tui.engine.hub.hub import Hub, HubModel, HubSort
from tui.engine.llama import choice
from tui.engine.remote.address import AddressError, is_server
from tui.engine.remote.address import parse as parse_address
from tui.engine.remote.servers import Server
from tui.sanitize import sanitize, sanitize_line
from tui.screens.dialog import Finder, Hint, KeyHints, PickList, show_problem
from tui.screens.models import rows
from tui.screens.models.rows import FreeMemory
from tui.screens.models.server_models import ServerModels
from tui.settings.state import AppState
from tui.widgets.bindings import key_name
from tui.widgets.figures import bytes_text
from tui.widgets.line_input import LineInput

if TYPE_CHECKING:
    from tui.engine.remote.listing import Listed

_SEARCH_AFTER_S: Final = 0.4
_ROOM_AFTER_S: Final = 0.3
"""Measuring memory may import torch, which must not delay the first frame of the dialog."""
_DETAILS_AFTER_S: Final = 0.3
_DOWNLOADS_S: Final = 0.5
TYPED: Final = "typed"
ASK_HUB: Final = "ask-hub"
SORTS: Final = (HubSort.TRENDING, HubSort.DOWNLOADS, HubSort.LIKES, HubSort.NEWEST)
_SORT_NAMES: Final = {
    HubSort.TRENDING: "trending",
    HubSort.DOWNLOADS: "most downloads",
    HubSort.LIKES: "most likes",
    HubSort.NEWEST: "newest",
}


@dataclass(frozen=True, slots=True)
class ModelDesk:
    """What the picker works with.

    Attributes:
        hub, downloads: the Hub, and the downloads from it.
        state: favorites, recently used models, the user's folders.
        look: measures the free memory; called on a thread, and may take seconds.
        remember: called with the changed state.
        servers: those whose models are listed too.
    """

    hub: Hub
    downloads: Downloads
    state: AppState
    look: Callable[[], FreeMemory]
    remember: Callable[[AppState], object]
    servers: tuple[Server, ...] = ()


@dataclass(slots=True)
class _Known:
    """What was read about the models on this machine."""

    sources: dict[str, ModelSource] = field(default_factory=dict)
    facts: dict[str, ModelFacts] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    complete: dict[str, bool] = field(default_factory=dict)


class ModelLists(Finder[LoadRequest]):
    """Finds models and lists them. Acting on a model is the picker's job."""

    def __init__(
        self,
        desk: ModelDesk,
        *,
        message: str = "",
        current: str = "",
        request: LoadRequest | None = None,
        assistant: bool = False,
    ) -> None:
        """Create the dialog.

        Args:
            desk: the data and services for the picker.
            message: why it was opened; shown on top.
            current: the current model.
            request: the initial load request: quantization and options in force.
            assistant: whether the model will draft for another one.
        """
        super().__init__()
        self._desk = desk
        self._state = desk.state
        self._message = message
        self._current = current
        self._request = request or LoadRequest("")
        # A model that drafts is in transformers, as the one is that it drafts for.
        self._gguf = choice.TRANSFORMERS if assistant else self._request.gguf
        self._assistant = assistant
        self._memory = FreeMemory()
        self._known = _Known()
        self._is_loaded = False
        self._in_hub = False
        self._sort = HubSort.TRENDING
        self._found: Sequence[HubModel] | None = None
        self._found_for: tuple[str, HubSort] | None = None
        self._hub_problem = ""
        self._hub_facts: dict[str, ModelFacts] = {}
        self._hub_problems: dict[str, str] = {}
        self._busy = ""
        self._asked_server = ""
        """The server whose address was typed, until it answers."""
        self._servers = ServerModels(self, () if assistant else desk.servers, self._server_answered)
        self._search_timer: Timer | None = None
        self._details_timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Lay out the field, the list and the table of quantizations."""
        with Vertical(id="dialog"):
            yield Label("", classes="title", id="title")
            if self._message:
                yield Label(Content(sanitize(self._message)), classes="message")
            yield LineInput(
                placeholder="Find a model, or type a Hub ID, a folder, a .gguf file, or http://…",
                compact=True,
                id="words",
                select_on_focus=False,
            )
            yield PickList(id="models")
            yield Static("", id="details")
            yield Label("", id="problem", classes="problem -none", markup=False)
            yield Label(
                "Looking for models on this machine…", id="note", classes="note", markup=False
            )
            yield KeyHints(id="keys")

    def on_mount(self) -> None:
        """Start reading models and measuring memory."""
        self._show_keys()
        self._look_for_models()
        self._servers.ask_all()
        self.set_timer(_ROOM_AFTER_S, self._measure_memory)
        self.set_interval(_DOWNLOADS_S, self._show_downloads)

    # -- reading, on threads

    @work(thread=True, exit_on_error=False, group="models", exclusive=True)
    def _look_for_models(self, select: str | None = None) -> None:
        known = _Known()
        for source in catalog.local_models(self._state.model_folders):
            known.sources[source.model] = source
        self.app.call_from_thread(self._take_models, known, select, False)
        for model, source in known.sources.items():
            known.complete[model] = catalog.is_complete(source)
            try:
                known.facts[model] = choice.facts(source, self._gguf)
            except ModelLoadError as error:
                known.problems[model] = str(error)
            except OSError as error:
                known.problems[model] = f"It can't be read ({error.strerror})."
        self.app.call_from_thread(self._take_models, known, None, True)

    def _server_answered(self, listed: Listed) -> None:
        """Show the models of a server; if its address was typed and it has only one model, load that one."""
        address, models = listed.server.address, listed.models
        is_asked, self._busy = address.base == self._asked_server, ""
        if not self._is_open:
            return
        if not is_asked:
            # The model in use stays highlighted until the user searches for another one.
            has_moved = isinstance(self.focused, PickList)
            self._show(None if has_moved else self._first_choice())
            return
        self._asked_server = ""
        if len(models) == 1:
            self.dismiss(replace(self._request, model=str(address.with_model(models[0].id))))
            return
        show_problem(self, listed.problem)
        if models:
            with self.prevent(Input.Changed):
                self.query_one("#words", Input).value = ""
            self.set_focus(self.query_one("#models", PickList))
        self._show(str(address.with_model(models[0].id)) if models else None)

    def _take_models(self, known: _Known, select: str | None, is_whole: bool) -> None:
        if not is_whole and self._known.facts:
            # The earlier results are shown until the new ones are ready.
            known = replace(known, facts=self._known.facts, complete=self._known.complete)
        self._known = known
        self._is_loaded = True
        self._show(select)

    @work(thread=True, exit_on_error=False, group="memory")
    def _measure_memory(self) -> None:
        memory = self._desk.look()
        self.app.call_from_thread(self._take_memory, memory)

    def _take_memory(self, memory: FreeMemory) -> None:
        self._memory = memory
        self._show()

    @work(thread=True, exit_on_error=False, group="hub", exclusive=True)
    def _search(self, words: str, sort: HubSort) -> None:
        problem = ""
        found: Sequence[HubModel] = ()
        try:
            found = self._desk.hub.search(words, sort)
        except ModelLoadError as error:
            problem = str(error)
        self.app.call_from_thread(self._take_found, (words, sort), found, problem)

    def _take_found(
        self, asked: tuple[str, HubSort], found: Sequence[HubModel], problem: str
    ) -> None:
        if asked != (self._words, self._sort):
            return
        self._found, self._found_for, self._hub_problem = found, asked, problem
        self._show()

    @work(thread=True, exit_on_error=False, group="hub-facts", exclusive=True)
    def _read_hub_facts(self, repo_id: str) -> None:
        try:
            facts = self._desk.hub.facts(repo_id)
        except ModelLoadError as error:
            self.app.call_from_thread(self._take_hub_facts, repo_id, None, str(error))
            return
        self.app.call_from_thread(self._take_hub_facts, repo_id, facts)

    def _take_hub_facts(self, repo_id: str, facts: ModelFacts | None, problem: str = "") -> None:
        if facts is not None:
            self._hub_facts[repo_id] = facts
        else:
            self._hub_problems[repo_id] = problem
        if self._is_open:
            self._show_details()

    # -- display

    @property
    def _is_open(self) -> bool:
        return self.is_attached and bool(self.query("#models"))

    @property
    def _words(self) -> str:
        return self.query_one("#words", Input).value.strip()

    def _show(self, select: str | None = None) -> None:
        """Show the models that match the search, and keep the highlight on the same model."""
        if not self._is_open:
            return
        options = self.query_one("#models", PickList)
        highlighted = options.highlighted_option
        wanted = select or (highlighted.id if highlighted else None) or self._first_choice()
        made = self._hub_options() if self._in_hub else self._local_options()
        options.set_options(made)
        places = [option.id for option in made]
        if wanted in places and not made[places.index(wanted)].disabled:
            options.highlighted = places.index(wanted)
        else:
            options.action_first()
        self._show_note(sum(not option.disabled for option in made))
        self._show_keys()
        self._show_details()

    def _first_choice(self) -> str | None:
        return None if self._words or self._in_hub else self._current or None

    def _typed_option(self) -> list[Option]:
        """Offer to load the typed text if it looks like the name of a model."""
        words = self._servers.resolve(self._words)
        if not words or words in self._known.sources:
            return []
        if is_server(words):
            return [self._server_option(words)]
        try:
            source = catalog.resolve(words)
        except ModelLoadError as error:
            if "/" in words or words.endswith(".gguf"):
                return [Option(Content(f"   {sanitize_line(str(error))}"), disabled=True)]
            return []
        is_on_hub = source.kind is ModelKind.HUB
        what = "from the Hub" if is_on_hub else f"({rows.kind_text(source)})"
        prompt = Content.assemble(
            "   Load ", (sanitize_line(words, 80), "bold"), (f" {what}", "$text-muted")
        )
        return [Option(prompt, id=TYPED)]

    def _server_option(self, words: str) -> Option:
        """Offer to connect to the server whose address was typed. No request is sent before the user chooses it."""
        try:
            address = parse_address(words)
        except AddressError as error:
            return Option(Content(f"   {sanitize_line(str(error))}"), disabled=True)
        what = f" for {address.model}" if address.model else " and list its models"
        prompt = Content.assemble(
            "   Connect to ",
            (sanitize_line(address.base, 80), "bold"),
            (sanitize_line(what, 80), "$text-muted"),
        )
        return Option(prompt, id=TYPED)

    def _local_options(self) -> list[Option]:
        wanted = self._words.casefold().split()
        sources = [
            source
            for source in self._known.sources.values()
            if all(word in f"{source.name} {source.location}".casefold() for word in wanted)
        ]
        first = [*self._state.favorites, *self._state.recent_models]
        groups: dict[str, list[ModelSource]] = {}
        for source in sources:
            groups.setdefault(self._group(source, first), []).append(source)
        typed = self._typed_option()
        served = self._servers.options(wanted, self._current, self._state.favorites)
        exact = "/" in self._words or not (sources or served)
        made = list(typed) if exact else []
        top = groups.pop("PINNED AND RECENT", [])
        for title, members in (
            ("PINNED AND RECENT", sorted(top, key=lambda one: first.index(one.model))),
            *groups.items(),
        ):
            if members:
                made.append(
                    Option(
                        Content.styled(f"   {sanitize_line(title)}", "$text-muted"), disabled=True
                    )
                )
                made += [self._local_option(source) for source in members]
        made += served
        if typed and not exact:
            made += typed
        if self._words and not is_server(self._words):
            prompt = Content.assemble(
                "   Search the Hub for ", (f"“{sanitize_line(self._words, 60)}”", "bold")
            )
            made.append(Option(prompt, id=ASK_HUB))
        return made

    def _group(self, source: ModelSource, first: Sequence[str]) -> str:
        if source.model in first:
            return "PINNED AND RECENT"
        if source.kind is ModelKind.DEMO:
            return "DEMO"
        if source.kind is ModelKind.HUB:
            return "HUGGING FACE CACHE"
        return "YOUR FOLDERS"

    def _local_option(self, source: ModelSource) -> Option:
        model = source.model
        facts = self._known.facts.get(model)
        fits = None
        if facts is not None:
            name = "none" if facts.method else self._request.quantization
            fits = rows.verdict(model, facts, name, self._memory)
        prompt = rows.local_row(
            source,
            facts,
            fits,
            is_current=model == self._current,
            is_favorite=model in self._state.favorites,
            is_complete=self._known.complete.get(model, True),
            problem=self._known.problems.get(model, ""),
        )
        return Option(prompt, id=model)

    def _hub_options(self) -> list[Option]:
        typed = self._typed_option() if "/" in self._words else []
        if self._found_for != (self._words, self._sort):
            return [*typed, Option(Content("   Searching the Hub…"), disabled=True)]
        if any(model.id == self._words for model in self._found or ()):
            typed = []
        downloads = {one.repo_id: one for one in self._desk.downloads.all}
        made = [
            Option(
                rows.hub_row(
                    model,
                    rows.verdict(model.id, rows.hub_facts(model), "none", self._memory),
                    is_here=self._known.complete.get(model.id, False),
                    is_favorite=model.id in self._state.favorites,
                    download=downloads.get(model.id),
                ),
                id=model.id,
            )
            for model in self._found or ()
        ]
        return [*typed, *made]

    def _show_note(self, count: int) -> None:
        note = self.query_one("#note", Label)
        if self._busy:
            note.update(self._busy)
        elif self._in_hub:
            text = (
                f"{count} {'model' if count == 1 else 'models'} · {_SORT_NAMES[self._sort]}"
                if self._found_for == (self._words, self._sort)
                else "Searching the Hub…"
            )
            note.update(sanitize(self._hub_problem) or text)
        elif not self._is_loaded:
            note.update("Looking for models on this machine…")
        elif not self._known.sources:
            key = key_name(self.app, "models.switch")
            lists = f"Press {key} to list the models on the Hub, or type" if key else "Type"
            note.update(
                f"There are no models on this machine yet. {lists} a Hub ID such as "
                "HuggingFaceTB/SmolLM2-360M-Instruct, or the path of a model folder or .gguf file."
            )
        else:
            memory = self._memory
            free = (
                f" · {bytes_text(memory.free_bytes)} free on {sanitize_line(memory.name)}"
                if memory.free_bytes
                else ""
            )
            note.update(f"{len(self._known.sources)} on this machine{free}")

    def _show_keys(self) -> None:
        place = "the Hub" if self._in_hub else "this machine"
        what = "Choose an assistant model" if self._assistant else "Choose a model"
        self.query_one("#title", Label).update(f"{what} · {place}")
        in_list = isinstance(self.focused, PickList)
        hints = self._hints_on(self._chosen())
        to_other = Hint("models.switch", "this machine" if self._in_hub else "the Hub", "switch")
        hints.insert(1, to_other)
        if self._in_hub:
            hints += [Hint("models.sort", "sort", "sort")]
        else:
            hints += [Hint("models.add_folder", "add folder", "add_folder")]
        if in_list and not self._in_hub:
            hints += [Hint("models.remove", "delete", "remove")]
        if in_list and self._desk.downloads.running:
            hints += [Hint("models.cancel_download", "stop download", "cancel_download")]
        if in_list:
            hints += [Hint("finder.to_field", "find", "to_field")]
        else:
            hints += [Hint("finder.to_list", "list", "to_list")]
        leave = Hint("Esc", "back" if self._in_hub else "close", "close")
        self.query_one("#keys", KeyHints).show([*hints, leave])

    def _hints_on(self, chosen: str) -> list[Hint]:
        """Return the hints for the keys that act on the highlighted entry."""
        if not chosen:
            return []
        if chosen == ASK_HUB:
            return [Hint("Enter", "search the Hub", "accept")]
        hints = [
            Hint("Enter", "get" if self._in_hub else "load", "accept"),
            Hint("models.options", "load with …", "options"),
        ]
        if chosen != TYPED:
            hints += [Hint("models.favorite", "pin", "favorite")]
        return hints

    def on_descendant_focus(self, _event: events.DescendantFocus) -> None:
        """List the keys that are available now."""
        self._show_keys()

    def _show_details(self) -> None:
        """Show what the highlighted model needs with each quantization."""
        model = self._chosen()
        facts = self._known.facts.get(model) or self._hub_facts.get(model)
        lines: list[Content] = []
        if facts is not None and (facts.parameters or facts.stored_bytes):
            lines = [rows.verdict_line(one) for one in rows.verdicts(model, facts, self._memory)]
            if facts.method:
                lines.append(Content.styled(rows.locked_text(facts), "$text-muted"))
        elif self._in_hub and model in self._hub_problems:
            lines = [Content.styled(sanitize(self._hub_problems[model]), "$text-warning")]
        elif self._in_hub and model in self._hub_facts:
            lines = [Content.styled("Its memory use is unknown.", "$text-muted")]
        elif self._in_hub and model and model not in (TYPED, ASK_HUB):
            lines = [Content.styled("Estimating its memory use…", "$text-muted")]
        self.query_one("#details", Static).update(Content("\n").join(lines))

    def _show_downloads(self) -> None:
        """Show the progress of downloads."""
        if self._in_hub and self._desk.downloads.running:
            self._show()

    @on(PickList.OptionHighlighted)
    def _highlighted(self, event: PickList.OptionHighlighted) -> None:
        event.stop()
        self._show_details()
        self._show_keys()
        model = self._chosen()
        if self._details_timer is not None:
            self._details_timer.stop()
        known = {*self._hub_facts, *self._hub_problems}
        if self._in_hub and model and model != TYPED and model not in known:
            self._details_timer = self.set_timer(
                _DETAILS_AFTER_S, lambda: self._read_hub_facts(model)
            )

    # -- searching

    @on(Input.Changed, "#words")
    def _typed_words(self, event: Input.Changed) -> None:
        event.stop()
        show_problem(self, "")
        self.query_one("#models", PickList).highlighted = None
        if self._in_hub:
            self._search_later()
        self._show()

    def _search_later(self) -> None:
        if self._search_timer is not None:
            self._search_timer.stop()
        self._search_timer = self.set_timer(
            _SEARCH_AFTER_S, lambda: self._search(self._words, self._sort)
        )

    def _chosen(self) -> str:
        option = self.query_one("#models", PickList).highlighted_option
        return option.id or "" if option is not None else ""

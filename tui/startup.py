"""What a start begins with: the settings in force, the model to load and the chat to go on with, as the command line names them.

The full-screen app and `chat-tui ask` begin alike.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from tui.arguments import Arguments
from tui.errors import UserError, listed
from tui.files import exists, is_file, is_folder, read_regular, reason, typed_path
from tui.json_types import Json

if TYPE_CHECKING:
    from collections.abc import Callable

    from tui.chat.servers import Servers
    from tui.engine.base import Engine, LoadRequest
    from tui.engine.llama.process import LlamaProcess
    from tui.sessions import Loaded, SessionStore
    from tui.settings.paths import AppPaths
    from tui.settings.preferences import Preferences

_GENERATION_CONFIG = "generation_config.json"
_MOST_CONFIG_BYTES = 5_000_000


class UsageError(UserError):
    """The command line asks for something that can't be done."""


def preferences_for(
    arguments: Arguments, paths: AppPaths, *, remembers_chat: bool = True
) -> tuple[Preferences, list[str]]:
    """Return the settings in force, and sentences about what was not used.

    Args:
        arguments: the command line.
        paths: the app's folders.
        remembers_chat: whether the parameters and the system prompt that were set last in the app hold too.

    Raises:
        UsageError, PresetError: something that the command line names can't be used.
    """
    from tui.settings.preferences import Origin, Preferences
    from tui.settings.presets import Library, PresetError
    from tui.settings.state import load_state

    state, problem = load_state(paths.state)
    if not remembers_chat:
        state = replace(state, parameters={}, system_prompt="", overflow="ask", speculation="auto")
    notices = [*arguments.notices, *([problem] if problem else [])]
    command_line = dict(arguments.settings)
    if arguments.generation_config:
        command_line = {**_generation_config(arguments.generation_config), **command_line}
    path = typed_path(str(arguments.config)) if arguments.config else paths.config_file
    if arguments.config and not is_file(path):
        raise UsageError(f"The configuration file {path} doesn't exist.")
    preferences = Preferences(
        path,
        environment=os.environ,
        command_line=command_line,
        state=state,
        library=Library(paths.presets, paths.prompts),
    )
    notices += preferences.problems
    name = preferences.preset_name(preferences.values.model.name)
    try:
        if name:
            preferences.apply_preset(preferences.library.preset(name))
    except PresetError as error:
        if preferences.origin("chat.preset") is Origin.COMMAND_LINE:
            raise
        notices.append(str(error))
    return preferences, notices


def _generation_config(named: str) -> dict[str, Json]:
    """Return the settings of a generation config: a file, a folder with one, or a Hub repository.

    Raises:
        UsageError: it can't be read.
    """
    from tui.options import generation_settings

    path = typed_path(named)
    if is_folder(path):
        path /= _GENERATION_CONFIG
    unusable = f"The generation config {named} can't be used"
    try:
        if ".json" not in named and not is_file(path):
            from tui.engine.hub.hub import Hub

            return generation_settings(Hub().small_file(named, _GENERATION_CONFIG).decode("utf-8"))
        return generation_settings(
            read_regular(path, most_bytes=_MOST_CONFIG_BYTES).decode("utf-8")
        )
    except UserError as error:
        raise UsageError(f"{unusable}. {error.message}", error.hint) from error
    except OSError as error:
        raise UsageError(f"{unusable} ({reason(error)}).") from error
    except ValueError as error:
        raise UsageError(f"{unusable} ({error}).") from error


def load_request(
    arguments: Arguments, preferences: Preferences
) -> tuple[LoadRequest | None, list[str]]:
    """Return the model to load, None where there is none to begin with, and sentences about what is not used."""
    from tui.chat.servers import Servers
    from tui.engine.base import LoadRequest
    from tui.engine.demo import demo_model
    from tui.engine.remote.address import is_server
    from tui.settings.preferences import Origin

    wanted = preferences.values.model
    servers = Servers(lambda: preferences.values.servers, os.environ)
    model = servers.resolve(wanted.name) or ("demo" if demo_model() else "")
    if not model:
        return None, []
    if is_server(model):
        return _server_request(model, preferences, servers)
    quantization, origin = wanted.quantization, preferences.origin("model.quantization")
    # What was chosen for another model says nothing of the one that is named now.
    is_named = preferences.origin("model.name") is not Origin.REMEMBERED
    if not quantization or (origin is Origin.REMEMBERED and is_named):
        quantization = "none"
    notices = []
    if problem := _quantization_problem(quantization):
        notices.append(problem)
        quantization = "none"
    request = LoadRequest(
        model,
        quantization,
        revision=wanted.revision,
        trust_own_code=arguments.trust_remote_code,
        **preferences.load_options,
    )
    return request, notices


def _quantization_problem(name: str) -> str:
    """Return a sentence when there is no such quantization; empty when all is well."""
    if name == "none":
        return ""
    from tui.engine.quantization import QUANTIZATIONS

    if name in QUANTIZATIONS:
        return ""
    return f"There is no quantization {name!r} (choose from: {', '.join(QUANTIZATIONS)})."


def _server_request(
    model: str, preferences: Preferences, servers: Servers
) -> tuple[LoadRequest | None, list[str]]:
    """Return what connects to a model's server; None where only a preset names it, since that can come from anybody."""
    from tui.engine.base import LoadRequest
    from tui.engine.remote.address import AddressError, parse
    from tui.settings.preferences import Origin

    state = preferences.remembered
    known = {one.address.base for one in servers.known((*state.favorites, *state.recent_models))}
    try:
        base = parse(model).base
    except AddressError as error:
        return None, [str(error)]
    if preferences.origin("model.name") is Origin.PRESET and base not in known:
        return None, [f"The preset uses a server that you have not used before: {base}. If you trust it, type /model and enter its address in chat-tui."]  # fmt: skip
    unused = [
        f"--{key.partition('.')[2]}"
        for key in ("model.quantization", "model.dtype", "model.device")
        if preferences.origin(key) is Origin.COMMAND_LINE
    ]
    has = "has" if len(unused) == 1 else "have"
    notices = [f"{listed(unused)} {has} no effect on a model on a server."] if unused else []
    return LoadRequest(model, **preferences.load_options), notices


def opened_chat(arguments: Arguments, store: SessionStore) -> Loaded | None:
    """Return the chat that the command line asks for.

    Raises:
        UsageError, SessionError: it can't be opened.
    """
    if arguments.resume:
        newest = store.newest()
        if newest is None:
            raise UsageError("There is no saved chat to continue.", "Start one with `chat-tui`.")
        return store.load(newest)
    if arguments.session:
        path = typed_path(arguments.session)
        if exists(path):
            return store.open_file(path)
        return store.load(whole_id(store, arguments.session))
    return None


def whole_id(store: SessionStore, start: str) -> str:
    """Return the id of the one chat whose id begins so; what was given where there is none.

    Raises:
        SessionFileError: there is more than one.
    """
    from tui.sessions import SessionFileError

    found = [one.id for one in store.list() if start and one.id.startswith(start)]
    if len(found) > 1:
        raise SessionFileError(
            f"{len(found)} chats have an ID that starts with {start[:80]!r}.",
            "Enter more of the ID.",
        )
    return found[0] if found else start


def local_engine(preferences: Preferences, paths: AppPaths, request: LoadRequest | None) -> Engine:
    """Return the engine of this machine, in a process of its own unless the settings say otherwise.

    That process begins at once to import what a load needs, where there is a model of this machine to begin with.

    Args:
        preferences: the settings in force.
        paths: the app's folders.
        request: the model to begin with; None for none.
    """
    if not preferences.values.model.process:
        from tui.engine.local.engine import LocalEngine

        return LocalEngine(paths.cache)
    from tui.engine.process.engine import ProcessEngine
    from tui.engine.remote.address import is_server

    engine = ProcessEngine(paths.cache)
    if request is not None and not is_server(request.model) and not _is_for_llama(request):
        engine.start()
    return engine


def llama_engine(paths: AppPaths, request: LoadRequest | None) -> Callable[[], Engine]:
    """Return what makes the engine that has GGUF files in llama.cpp, and have it start where there is such a model to begin with.

    It is always in a process of its own, since native code that fails ends its process.

    Args:
        paths: the app's folders.
        request: the model to begin with; None for none.
    """

    def made() -> LlamaProcess:
        from tui.engine.llama.process import LlamaProcess

        return LlamaProcess(paths.cache)

    if request is None or not _is_for_llama(request):
        return made
    engine = made()
    engine.start()
    return lambda: engine


def _is_for_llama(request: LoadRequest) -> bool:
    from tui.engine.llama import choice

    try:
        return choice.takes(request)
    except UserError:
        # The load says why.
        return True


def remote_engine(servers: Servers) -> Engine:
    """Return what connects to models on servers."""
    from tui.engine.remote.engine import RemoteEngine

    return RemoteEngine(servers.named)

"""The one registry of what a user can do.

Key bindings, the command palette, commands in the composer, the footer, the help screen and the README's tables are made from it.
It says nothing of how a thing is done: for an action `reply.stop` a screen has a method `action_reply_stop`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a user can do.

    Attributes:
        id: `area.verb`.
        title: in the palette and the help, as in `Reply: stop`.
        keys: the default keys, in Textual's names, the one to show first.
        help: one sentence.
        scope: `app`: wherever one is; `chat`: in the chat; `turn`: with the cursor on a turn.
        footer: a word for the footer; empty to leave it out there.
        priority: the key works even where a focused field would take it.
        when: `busy`: only while a reply is written or a model loads; `idle`: only while not;
            `still`: only while no reply is written; empty: always.
        slash: short names of its command; the id with a hyphen is one always, as in `/chat-new`.
        argument: what its command takes, as in `[NAME]`; empty for nothing.
    """

    id: str
    title: str
    keys: tuple[str, ...]
    help: str
    scope: str = "chat"
    footer: str = ""
    priority: bool = False
    when: str = ""
    slash: tuple[str, ...] = ()
    argument: str = ""

    @property
    def method(self) -> str:
        """The name that Textual's action has."""
        return self.id.replace(".", "_")

    @property
    def commands(self) -> tuple[str, ...]:
        """The names of its command in the composer, the one to show first."""
        own = self.id.replace(".", "-").replace("_", "-")
        return self.slash if own in self.slash else (*self.slash, own)

    @property
    def area(self) -> str:
        """The group that help lists it under."""
        return self.title.partition(":")[0]


ACTIONS: Final = (
    Action("app.help", "App: help", ("f1",), "Keys and what they do.", "app", "Help", slash=("help",)),
    Action(
        "app.interrupt", "App: copy, stop or quit", ("ctrl+c",),
        "Copies the selection; else stops the reply; else, pressed twice, quits.", "chat", priority=True,
    ),
    Action(
        "app.quit", "App: quit", ("ctrl+q",),
        "Leaves the app; a reply that is being written is kept as far as it got.", "app", "Quit", priority=True, slash=("exit", "quit")),
    Action(
        "app.stats", "App: figures", (), "Shows speed, cached share and memory: of the last reply, the chat, and since the start.",
        "chat", slash=("stats",)),
    Action(
        "sidebar.toggle", "Settings: show or hide", ("f2",),
        "Shows or hides the model, system prompt and generation parameters.", "chat", "Settings", slash=("sidebar",)),
    Action("chat.open", "Chat: open", ("f3", "ctrl+o"), "Lists the saved chats.", "chat", "Chats", slash=("chats", "open")),
    Action("chat.new", "Chat: new", ("ctrl+n",), "Begins a new chat; the old one is saved.", "chat", "New", slash=("new", "clear")),
    Action(
        "model.choose", "Model: choose", ("f4",), "Loads another model, from this machine or the Hub.", "chat", "Model", slash=("model",), argument="[MODEL]"),
    Action("model.cancel", "Model: cancel loading", (), "Stops loading the model.", "chat"),
    Action("model.unload", "Model: unload", (), "Frees the model's memory.", "chat", slash=("unload",)),
    Action(
        "model.memory", "Model: memory", ("f7",), "Shows where the memory goes: weights, KV cache, other programs.", "chat",
        priority=True, slash=("memory",)),
    Action(
        "model.assistant", "Model: assistant model", (), "Chooses a small model that drafts for the loaded one, or none.",
        "chat", slash=("assistant",), argument="[MODEL or none]"),
    Action(
        "download.cancel", "Model: stop the download", (), "Stops what is being downloaded; it can go on later.", "chat",
        slash=("stop-download",)),
    Action("model.reload", "Model: load again", (), "Loads the current model once more.", "chat", slash=("reload",)),
    Action(
        "reply.stop", "Reply: stop", ("escape",), "Stops the reply and keeps what was said; pressed twice while a model loads, stops that.",
        "chat", "Stop", when="busy", slash=("stop",)),
    Action(
        "composer.focus", "Composer: write", ("escape", "ctrl+g"), "Puts the cursor into the message.", "chat", when="idle",
    ),
    Action(
        "transcript.page_up", "Transcript: page up", ("pageup",), "Scrolls back in the chat.", "chat", priority=True,
    ),
    Action(
        "transcript.page_down", "Transcript: page down", ("pagedown",), "Scrolls on in the chat.", "chat", priority=True,
    ),
    Action(
        "transcript.first", "Transcript: first turn", ("ctrl+home",), "Goes to the chat's beginning.", "chat",
        priority=True,
    ),
    Action(
        "transcript.follow", "Transcript: follow the reply", ("ctrl+end",),
        "Goes to the end and stays there while a reply is written.", "chat", priority=True,
    ),
    Action(
        "chat.undo", "Chat: undo", ("f8",), "Takes back the last change of the chat.", "chat", when="still", slash=("undo",)),
    Action(
        "chat.redo", "Chat: redo", ("f9",), "Does again what was undone last.", "chat", when="still", slash=("redo",)),
    Action(
        "chat.tree", "Chat: tree of variants", ("f6",), "Shows every branch of the chat and jumps to a turn.", "chat",
        priority=True, slash=("tree",)),
    Action("chat.rename", "Chat: rename", (), "Gives the chat another title.", "chat", slash=("rename",), argument="[TITLE]"),
    Action(
        "chat.title", "Chat: let the model find a title", (), "Asks the model for a title of a few words.", "chat",
        when="still",
    ),
    Action("chat.duplicate", "Chat: duplicate", (), "Goes on in a copy of the whole chat.", "chat", when="still", slash=("duplicate",)),
    Action(
        "chat.temporary", "Chat: new temporary", (), "Begins a chat that is never written to disk.", "chat",
        when="still", slash=("temporary",)),
    Action(
        "chat.see_all", "Chat: send every turn again", (),
        "Sends the model also the turns that were left out when the context was full.", "chat", when="still",
    ),
    Action("chat.export", "Chat: export", (), "Writes the chat to a file, in one of many formats.", "chat", slash=("export",)),
    Action("chat.import", "Chat: import", (), "Reads chats from a file of another tool.", "chat", slash=("import",)),
    Action("chat.copy", "Chat: copy", (), "Copies the whole chat as Markdown.", "chat", slash=("copy",)),
    Action(
        "transcript.line_numbers", "Transcript: line numbers", ("ctrl+l",), "Shows or hides line numbers in code.", "chat",
    ),
    Action("transcript.find", "Transcript: find", ("ctrl+f",), "Searches the chat.", "chat", "Find", priority=True, slash=("find",)),
    Action(
        "turn.previous_user", "Turn: previous message of yours", ("alt+pageup",),
        "Moves the cursor to your message above.", "chat", priority=True,
    ),
    Action(
        "turn.next_user", "Turn: next message of yours", ("alt+pagedown",), "Moves the cursor to your message below.",
        "chat", priority=True,
    ),
    Action(
        "turn.previous", "Turn: previous", ("alt+up", "ctrl+up"), "Moves the cursor to the turn above.", "chat",
        priority=True,
    ),
    Action(
        "turn.next", "Turn: next", ("alt+down", "ctrl+down"), "Moves the cursor to the turn below.", "chat",
        priority=True,
    ),
    Action(
        "turn.toggle_reasoning", "Turn: fold or unfold reasoning", ("ctrl+t",),
        "Shows or hides how the model came to its answer.", "chat",
    ),
    Action(
        "turn.edit", "Turn: edit", ("e",), "Changes a turn in place; the old text stays as a variant.", "turn", "Edit",
        when="still", slash=("edit",)),
    Action(
        "turn.edit_outside", "Turn: edit in $EDITOR", ("E",), "Changes a turn in the editor that $EDITOR names.", "turn",
        when="still",
    ),
    Action(
        "turn.regenerate", "Turn: regenerate", ("r",), "Makes another reply; the old one stays as a variant.", "turn",
        "Regenerate", when="still", slash=("regenerate",)),
    Action(
        "turn.regenerate_with", "Turn: regenerate with …", ("R",),
        "Makes another reply with other parameters, another model or given first words, just for once.", "turn",
        when="still",
    ),
    Action(
        "turn.reproduce", "Turn: reproduce", ("=",),
        "Makes the reply again with the seed and the parameters that it was made with.", "turn", when="still",
    ),
    Action(
        "turn.continue", "Turn: continue", ("c",), "Writes on at the end of a reply.", "turn", "Continue", when="still", slash=("continue",)),
    Action(
        "turn.older", "Turn: older variant", ("left", "["), "Shows the variant before this one.", "turn", when="still",
    ),
    Action(
        "turn.newer", "Turn: newer variant", ("right", "]"), "Shows the variant after this one.", "turn", when="still",
    ),
    Action(
        "turn.delete", "Turn: delete", ("delete",), "Deletes one turn; what follows it stays.", "turn", when="still",
    ),
    Action(
        "turn.delete_following", "Turn: delete from here", ("shift+delete",), "Deletes a turn and all that follows it.", "turn",
        when="still",
    ),
    Action("turn.fork", "Turn: fork", ("f",), "Goes on from this turn in a new chat.", "turn", "Fork", when="still", slash=("fork",)),
    Action("turn.copy", "Turn: copy", ("y",), "Copies a turn as it was written.", "turn", "Copy"),
    Action("turn.copy_shown", "Turn: copy as shown", ("Y",), "Copies a turn without its Markdown signs.", "turn"),
    Action(
        "turn.mark_block", "Turn: mark a block", ("v",),
        "Marks a paragraph, list, table or code of the turn: Up and Down choose, y and Y copy it, Esc ends.", "turn",
    ),
    Action("turn.copy_code", "Turn: copy code", ("b",), "Copies the last code block; again: the one before.", "turn"),
    Action("turn.save_code", "Turn: code to a file", ("w",), "Writes a code block to a file: the one copied last with b, else the last one.", "turn"),
    Action("turn.quote", "Turn: quote", ("q",), "Puts a turn, quoted, into the message.", "turn"),
    Action("turn.details", "Turn: details", ("i",), "Shows the exact prompt, tokens, parameters and times.", "turn"),
    Action(
        "turn.tokens", "Turn: tokens", ("t",), "Shows a turn as it was written, cut into the model's tokens.", "turn",
    ),
    Action("turn.raw", "Turn: source", ("m",), "Shows a turn as it was written, or rendered again.", "turn"),
    Action("turn.undo", "Turn: undo", ("u",), "Takes back the last change of the chat.", "turn", when="still"),
    Action("turn.redo", "Turn: redo", ("U", "ctrl+r"), "Does again what was undone last.", "turn", when="still"),
    Action(
        "app.palette", "App: command palette", ("ctrl+p",), "Finds everything that can be done by its name.", "app", "Commands",
        priority=True, slash=("palette",),
    ),
    Action(
        "settings.status", "Settings: status", (), "Says what is in force and where each value comes from.", slash=("status",),
    ),
    Action(
        "settings.set", "Settings: set parameters", (), "Sets generation parameters, as in temperature=0.7.", slash=("set",),
        argument="NAME=VALUE …",
    ),
    Action(
        "settings.reset", "Settings: reset parameters", (), "Goes back to the defaults, of all parameters or those named.",
        slash=("reset",), argument="[NAME …]",
    ),
    Action(
        "settings.open", "Settings: all settings", ("f10",), "Shows every setting and writes changes to the configuration file.",
        slash=("settings", "config"),
    ),
    Action(
        "system.edit", "System prompt: edit", (), "Changes what the model is told before the chat begins.", slash=("system",),
        argument="[TEXT]",
    ),
    Action(
        "prompt.choose", "System prompt: choose", (), "Takes a system prompt from your library.", slash=("prompt",),
        argument="[NAME]",
    ),
    Action(
        "prompt.save", "System prompt: save", (), "Puts the system prompt into your library.", slash=("prompt-save",),
        argument="[NAME]",
    ),
    Action(
        "preset.choose", "Preset: choose", (), "Sets model, system prompt and parameters at once.", slash=("preset",),
        argument="[NAME]",
    ),
    Action(
        "preset.save", "Preset: save", (), "Keeps model, system prompt and parameters under a name.", slash=("preset-save",),
        argument="[NAME]",
    ),
    Action(
        "preset.default", "Preset: default for this model", (), "Has a preset applied whenever this model is loaded.",
        argument="[NAME]",
    ),
    Action(
        "preset.export", "Preset: export", (), "Writes what is set now to one file, to pass on.", slash=("preset-export",),
        argument="[FILE]",
    ),
    Action(
        "preset.delete", "Preset: delete", (), "Takes a preset out of your library.", slash=("preset-delete",),
        argument="[NAME]",
    ),
    Action(
        "theme.choose", "Theme: choose", (), "Changes the colours; they are shown while you choose.", slash=("theme",),
        argument="[NAME]",
    ),
    Action(
        "chat.save", "Chat: save for transformers", (), "Writes the chat as transformers chat does.", slash=("save",),
        argument="[NAME]",
    ),
    Action(
        "chat.example", "Chat: example", (), "Begins a chat with an example.", slash=("example",), argument="[NAME]",
        when="still",
    ),
    Action(
        "composer.history", "Composer: history", ("f5",), "Searches what you sent, in this chat and all others.",
        slash=("history",),
    ),
    Action(
        "composer.edit_outside", "Composer: edit in $EDITOR", ("alt+e",), "Writes the message in the editor that $EDITOR names.",
        slash=("editor",),
    ),
    Action(
        "composer.attach", "Composer: attach a file", ("alt+a",), "Puts a text file's content at the end of the message.",
        slash=("attach",), argument="[FILE]",
    ),
)  # fmt: skip


def actions(*scopes: str) -> Iterator[Action]:
    """Yield the actions of these scopes, in the registry's order."""
    return (action for action in ACTIONS if action.scope in scopes)


def action(action_id: str) -> Action:
    """Return the action with this id.

    Raises:
        KeyError: there is none.
    """
    for known in ACTIONS:
        if known.id == action_id:
            return known
    raise KeyError(action_id)

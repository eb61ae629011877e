"""The one registry of what a user can do.

Key bindings, the command palette, commands in the composer, the footer, the help screen and the README's tables are made from it.
It says nothing of how a thing is done: for the actions of the chat, such as `reply.stop`, the table in `tui.screens.chat.commands` names what
does them; for one of a dialog, such as `chats.pin`, the dialog has `action_pin`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tui.scopes import MAIN, Scope, When, works_in


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a user can do.

    Attributes:
        id: `area.verb`.
        title: in the palette and the help, as in `Reply: stop`.
        keys: the default keys, in Textual's names, the one to show first.
        help: one sentence.
        scope: `APP`: wherever one is; `CHAT`: in the chat; `TURN`: with the cursor on a turn; else only in that place.
        footer: a word for the footer; empty to leave it out there.
        priority: the key works even where a focused field would take it.
        when: when it is possible.
        slash: short names of its command; the id with a hyphen is one always, as in `/chat-new`.
        argument: what its command takes, as in `[NAME]`; empty for nothing.
        fixed: its keys can't be changed: the toolkit or what everybody expects of a key decides.
        bound: whether it has a binding; else a widget takes the key itself.
    """

    id: str
    title: str
    keys: tuple[str, ...]
    help: str
    scope: Scope = Scope.CHAT
    footer: str = ""
    priority: bool = False
    when: When = When.ALWAYS
    slash: tuple[str, ...] = ()
    argument: str = ""
    fixed: bool = False
    bound: bool = True

    @property
    def method(self) -> str:
        """The name that Textual's action has in a dialog: only the verb."""
        return self.id.partition(".")[2]

    @property
    def commands(self) -> tuple[str, ...]:
        """The names of its command in the composer, the one to show first; none for what only a key does in its place."""
        if self.scope not in MAIN:
            return ()
        own = self.id.replace(".", "-").replace("_", "-")
        return self.slash if own in self.slash else (*self.slash, own)

    @property
    def area(self) -> str:
        """The group that help lists it under."""
        return self.title.partition(":")[0]

    def works_in(self, place: Scope) -> bool:
        """Return whether its keys reach it in a place."""
        return works_in(self.scope, place, priority=self.priority)


ACTIONS: Final = (
    Action("app.help", "App: help", ("f1",), "Keys and what they do.", Scope.APP, "Help", slash=("help",)),
    Action(
        "app.interrupt", "App: copy, stop or quit", ("ctrl+c",),
        "Copies the selection; else stops the reply; else, pressed twice, quits.", Scope.CHAT, priority=True,
    ),
    Action(
        "app.quit", "App: quit", ("ctrl+q",),
        "Leaves the app; a reply that is being written is kept as far as it got.", Scope.APP, "Quit", priority=True, slash=("exit", "quit")),
    Action(
        "app.stats", "App: figures", (), "Shows speed, cached share and memory: of the last reply, the chat, and since the start.",
        Scope.CHAT, slash=("stats",)),
    Action(
        "sidebar.toggle", "Settings: show or hide", ("f2",),
        "Goes to the model, system prompt and generation parameters; from there, hides them.", Scope.CHAT, "Settings", slash=("sidebar",)),
    Action("chat.open", "Chat: open", ("f3", "ctrl+o"), "Lists the saved chats.", Scope.CHAT, "Chats", slash=("chats", "open")),
    Action("chat.new", "Chat: new", ("ctrl+n",), "Begins a new chat; the old one is saved.", Scope.CHAT, "New", slash=("new", "clear")),
    Action(
        "model.choose", "Model: choose", ("f4",), "Loads another model, from this machine or the Hub.", Scope.CHAT, "Model", slash=("model",), argument="[MODEL]"),
    Action("model.cancel", "Model: cancel loading", (), "Stops loading the model.", Scope.CHAT),
    Action("model.unload", "Model: unload", (), "Frees the model's memory.", Scope.CHAT, slash=("unload",)),
    Action(
        "model.memory", "Model: memory", ("f7",), "Shows where the memory goes: weights, KV cache, other programs.", Scope.CHAT,
        priority=True, slash=("memory",)),
    Action(
        "model.assistant", "Model: assistant model", (), "Chooses a small model that drafts for the loaded one, or none.",
        Scope.CHAT, slash=("assistant",), argument="[MODEL or none]"),
    Action(
        "download.cancel", "Model: stop the download", (), "Stops what is being downloaded; it can go on later.", Scope.CHAT,
        slash=("stop-download",)),
    Action("model.reload", "Model: load again", (), "Loads the current model once more.", Scope.CHAT, slash=("reload",)),
    Action(
        "reply.stop", "Reply: stop", ("escape",), "Stops the reply and keeps what was said; pressed twice while a model loads, stops that.",
        Scope.CHAT, "Stop", when=When.BUSY, slash=("stop",)),
    Action(
        "composer.focus", "Composer: write", ("escape", "ctrl+g"), "Puts the cursor into the message.", Scope.CHAT, when=When.IDLE,
    ),
    Action(
        "transcript.page_up", "Transcript: page up", ("pageup",), "Scrolls back in the chat.", Scope.CHAT, priority=True,
    ),
    Action(
        "transcript.page_down", "Transcript: page down", ("pagedown",), "Scrolls on in the chat.", Scope.CHAT, priority=True,
    ),
    Action(
        "transcript.first", "Transcript: first turn", ("ctrl+home",), "Goes to the chat's beginning.", Scope.CHAT,
        priority=True,
    ),
    Action(
        "transcript.follow", "Transcript: follow the reply", ("ctrl+end",),
        "Goes to the end and stays there while a reply is written.", Scope.CHAT, priority=True,
    ),
    Action(
        "chat.undo", "Chat: undo", ("f8",), "Takes back the last change of the chat.", Scope.CHAT, when=When.STILL, slash=("undo",)),
    Action(
        "chat.redo", "Chat: redo", ("f9",), "Does again what was undone last.", Scope.CHAT, when=When.STILL, slash=("redo",)),
    Action(
        "chat.tree", "Chat: tree of variants", ("f6",), "Shows every branch of the chat and jumps to a turn.", Scope.CHAT,
        priority=True, slash=("tree",)),
    Action("chat.rename", "Chat: rename", (), "Gives the chat another title.", Scope.CHAT, slash=("rename",), argument="[TITLE]"),
    Action(
        "chat.title", "Chat: let the model find a title", (), "Asks the model for a title of a few words.", Scope.CHAT,
        when=When.STILL,
    ),
    Action("chat.duplicate", "Chat: duplicate", (), "Goes on in a copy of the whole chat.", Scope.CHAT, when=When.STILL, slash=("duplicate",)),
    Action(
        "chat.temporary", "Chat: new temporary", (), "Begins a chat that is never written to disk.", Scope.CHAT,
        when=When.STILL, slash=("temporary",)),
    Action(
        "chat.see_all", "Chat: send every turn again", (),
        "Sends the model also the turns that were left out when the context was full.", Scope.CHAT, when=When.STILL,
    ),
    Action("chat.export", "Chat: export", (), "Write the chat to a file: Markdown, HTML, JSON and other formats.", Scope.CHAT, slash=("export",)),
    Action("chat.import", "Chat: import", (), "Reads chats from a file of another tool.", Scope.CHAT, slash=("import",)),
    Action("chat.copy", "Chat: copy", (), "Copies the whole chat as Markdown.", Scope.CHAT, slash=("copy",)),
    Action(
        "transcript.line_numbers", "Transcript: line numbers", ("ctrl+l",), "Shows or hides line numbers in code.", Scope.CHAT,
    ),
    Action("transcript.find", "Transcript: find", ("ctrl+f",), "Searches the chat.", Scope.CHAT, "Find", priority=True, slash=("find",)),
    Action(
        "turn.previous_user", "Turn: previous message of yours", ("alt+pageup",),
        "Moves the cursor to your message above.", Scope.CHAT, priority=True,
    ),
    Action(
        "turn.next_user", "Turn: next message of yours", ("alt+pagedown",), "Moves the cursor to your message below.",
        Scope.CHAT, priority=True,
    ),
    Action(
        "turn.previous", "Turn: previous", ("alt+up", "ctrl+up"), "Moves the cursor to the turn above.", Scope.CHAT,
        priority=True,
    ),
    Action(
        "turn.next", "Turn: next", ("alt+down", "ctrl+down"), "Moves the cursor to the turn below.", Scope.CHAT,
        priority=True,
    ),
    Action(
        "turn.toggle_reasoning", "Turn: fold or unfold reasoning", ("ctrl+t",),
        "Shows or hides how the model came to its answer.", Scope.CHAT,
    ),
    Action(
        "turn.edit", "Turn: edit", ("e",), "Changes a turn in place; the old text stays as a variant.", Scope.TURN, "Edit",
        when=When.STILL, slash=("edit",)),
    Action(
        "turn.edit_outside", "Turn: edit in $EDITOR", ("E",), "Changes a turn in the editor that $EDITOR names.", Scope.TURN,
        when=When.STILL,
    ),
    Action(
        "turn.regenerate", "Turn: regenerate", ("r",), "Makes another reply; the old one stays as a variant.", Scope.TURN,
        "Regenerate", when=When.STILL, slash=("regenerate",)),
    Action(
        "turn.regenerate_with", "Turn: regenerate with …", ("R",),
        "Makes another reply with other parameters, another model or given first words, just for once.", Scope.TURN,
        when=When.STILL,
    ),
    Action(
        "turn.reproduce", "Turn: reproduce", ("=",),
        "Makes the reply again with the seed and the parameters that it was made with.", Scope.TURN, when=When.STILL,
    ),
    Action(
        "turn.continue", "Turn: continue", ("c",), "Writes on at the end of a reply.", Scope.TURN, "Continue", when=When.STILL, slash=("continue",)),
    Action(
        "turn.older", "Turn: older variant", ("left", "["), "Shows the variant before this one.", Scope.TURN, when=When.STILL,
    ),
    Action(
        "turn.newer", "Turn: newer variant", ("right", "]"), "Shows the variant after this one.", Scope.TURN, when=When.STILL,
    ),
    Action(
        "turn.delete", "Turn: delete", ("delete",), "Deletes one turn; what follows it stays.", Scope.TURN, when=When.STILL,
    ),
    Action(
        "turn.delete_following", "Turn: delete from here", ("shift+delete",), "Deletes a turn and all that follows it.", Scope.TURN,
        when=When.STILL,
    ),
    Action("turn.fork", "Turn: fork", ("f",), "Goes on from this turn in a new chat.", Scope.TURN, "Fork", when=When.STILL, slash=("fork",)),
    Action("turn.copy", "Turn: copy", ("y",), "Copies a turn as it was written.", Scope.TURN, "Copy"),
    Action("turn.copy_shown", "Turn: copy as shown", ("Y",), "Copies a turn without its Markdown signs.", Scope.TURN),
    Action(
        "turn.mark_block", "Turn: mark a block", ("v",),
        "Marks a paragraph, list, table or code of the turn: Up and Down choose, y and Y copy it, Esc ends.", Scope.TURN,
    ),
    Action("turn.copy_code", "Turn: copy code", ("b",), "Copies the last code block; again: the one before.", Scope.TURN),
    Action("turn.save_code", "Turn: code to a file", ("w",), "Writes a code block to a file: the one copied last with b, else the last one.", Scope.TURN),
    Action("turn.quote", "Turn: quote", ("q",), "Puts a turn, quoted, into the message.", Scope.TURN),
    Action("turn.details", "Turn: details", ("i",), "Shows the exact prompt, tokens, parameters and times.", Scope.TURN),
    Action(
        "turn.tokens", "Turn: tokens", ("t",), "Shows a turn as it was written, cut into the model's tokens.", Scope.TURN,
    ),
    Action("turn.raw", "Turn: source", ("m",), "Shows a turn as it was written, or rendered again.", Scope.TURN),
    Action("turn.undo", "Turn: undo", ("u",), "Takes back the last change of the chat.", Scope.TURN, when=When.STILL),
    Action("turn.redo", "Turn: redo", ("U", "ctrl+r"), "Does again what was undone last.", Scope.TURN, when=When.STILL),
    Action(
        "app.palette", "App: command palette", ("ctrl+p",), "Finds everything that can be done by its name.", Scope.APP, "Commands",
        priority=True, slash=("palette",),
    ),
    Action(
        "settings.status", "Settings: status", (), "Show what differs from the defaults and where each value comes from.", slash=("status",),
    ),
    Action(
        "settings.set", "Settings: set parameters", (), "Sets generation parameters, as in temperature=0.7.", slash=("set",),
        argument="NAME=VALUE …",
    ),
    Action(
        "settings.reset", "Settings: reset parameters", (), "Goes back to the defaults, of all parameters and the system prompt, or of the parameters named.",
        slash=("reset",), argument="[NAME …]",
    ),
    Action(
        "settings.open", "Settings: all settings", ("f10",), "Show and change all settings.",
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
        "prompt.save", "System prompt: save", (), "Save the system prompt under a name.", slash=("prompt-save",),
        argument="[NAME]",
    ),
    Action(
        "preset.choose", "Preset: choose", (), "Sets model, system prompt and parameters at once.", slash=("preset",),
        argument="[NAME]",
    ),
    Action(
        "preset.save", "Preset: save", (), "Save the model, the system prompt and the parameters under a name.", slash=("preset-save",),
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
        when=When.STILL,
    ),
    Action(
        "composer.history", "Composer: history", ("f5",), "Searches what you sent, in this chat and all others.",
        slash=("history",),
    ),
    *(
        Action(
            f"composer.suggestion_{number}", f"Composer: suggestion {number}", (f"alt+{number}",),
            "Put a suggested question into the message of an empty chat.", when=When.EMPTY,
        )
        for number in (1, 2, 3)
    ),
    Action(
        "composer.edit_outside", "Composer: edit in $EDITOR", ("alt+e",), "Writes the message in the editor that $EDITOR names.",
        slash=("editor",),
    ),
    Action(
        "composer.attach", "Composer: attach a file", ("alt+a",), "Attach a text file to the message.",
        slash=("attach",), argument="[FILE]",
    ),
    # -- what works only in its place
    Action("turns.up", "Turns: up", ("up", "k"), "Moves the cursor up a turn, or scrolls a long one.", Scope.TURNS),
    Action(
        "turns.down", "Turns: down", ("down",), "Moves the cursor down a turn, or scrolls a long one; from the last one into the message.",
        Scope.TURNS,
    ),
    Action(
        "turns.down_within", "Turns: down, but not into the message", ("j",), "Moves the cursor down a turn, and stays on the last one.",
        Scope.TURNS,
    ),
    Action("turns.first", "Turns: first", ("home", "g"), "Goes to the beginning of the chat.", Scope.TURNS),
    Action("turns.last", "Turns: last", ("end", "G"), "Goes to the end of the chat, and follows the reply.", Scope.TURNS),
    Action(
        "turns.fold", "Turns: fold or unfold reasoning", ("space",), "Shows or hides how the model came to its answer.",
        Scope.TURNS,
    ),
    Action("turns.write", "Turns: write", ("enter",), "Puts the cursor into the message.", Scope.TURNS),
    Action(
        "turns.end_block", "Turns: mark nothing", ("escape",), "Ends the marking of a block.",
        Scope.TURNS, when=When.MARKED, fixed=True,
    ),
    Action(
        "text.newline", "Text: new line", ("ctrl+j", "shift+enter", "alt+enter"), "Begins a new line; not every terminal tells Shift+Enter and Alt+Enter apart from Enter.",
        Scope.TEXT,
    ),
    Action(
        "message.send", "Message: send", ("enter",), "Sends the message; in the editor of a turn, saves the turn and has it answered.",
        Scope.MESSAGE, "Send", fixed=True,
    ),
    Action(
        "message.older", "Message: older", ("up",), "On the first line, brings back what was sent before, in this chat and then in others.",
        Scope.MESSAGE, fixed=True,
    ),
    Action(
        "message.newer", "Message: newer", ("down",), "On the last line, goes back towards what was being written.",
        Scope.MESSAGE, fixed=True,
    ),
    Action(
        "message.drop_attachment", "Message: drop an attachment", ("backspace",), "In an empty message, takes away what was attached last.",
        Scope.MESSAGE, fixed=True, bound=False,
    ),
    Action(
        "completions.move", "Completions: move", ("up", "down", "pageup", "pagedown"), "Moves in the list.",
        Scope.COMPLETIONS, fixed=True, bound=False,
    ),
    Action(
        "completions.take", "Completions: take", ("tab", "enter"), "Takes the highlighted one.",
        Scope.COMPLETIONS, fixed=True, bound=False,
    ),
    Action("completions.close", "Completions: close", ("escape",), "Closes the list.", Scope.COMPLETIONS, fixed=True, bound=False),
    Action(
        "edit.save", "Edit: save only", ("ctrl+s",), "Saves the turn without having it answered.",
        Scope.EDIT, "Save only", priority=True,
    ),
    Action(
        "edit.leave", "Edit: leave", ("escape",), "Leaves the turn as it was.",
        Scope.EDIT, "Leave as it was", priority=True, fixed=True,
    ),
    Action(
        "find.next", "Find: next", ("enter", "down", "f3", "ctrl+n"), "Goes to the next hit.",
        Scope.FIND, "Next", priority=True,
    ),
    Action(
        "find.previous", "Find: previous", ("up", "shift+enter"), "Goes to the hit before.",
        Scope.FIND, "Previous", priority=True,
    ),
    Action("find.close", "Find: close", ("escape",), "Closes the search bar.", Scope.FIND, "Close", priority=True, fixed=True),
    Action("parameter.increase", "Parameter: more", ("up",), "Goes a step up.", Scope.PARAMETER),
    Action("parameter.decrease", "Parameter: less", ("down",), "Goes a step down.", Scope.PARAMETER),
    Action("parameter.increase_much", "Parameter: much more", ("shift+up",), "Goes ten steps up.", Scope.PARAMETER),
    Action("parameter.decrease_much", "Parameter: much less", ("shift+down",), "Goes ten steps down.", Scope.PARAMETER),
    Action("parameter.reset", "Parameter: reset", ("ctrl+r",), "Goes back to the default.", Scope.PARAMETER),
    Action(
        "dialog.close", "Dialog: close", ("escape",), "Closes the dialog, or goes back a step in it.",
        Scope.DIALOG, fixed=True,
    ),
    Action(
        "dialog.next_field", "Dialog: next field", ("tab", "shift+tab"), "Goes to the next field or button, or to the one before.",
        Scope.DIALOG, fixed=True, bound=False,
    ),
    Action(
        "finder.choose", "Lists: choose", ("enter",), "Opens the highlighted chat, or loads the highlighted model.",
        Scope.FINDER, fixed=True, bound=False,
    ),
    Action(
        "finder.to_list", "Lists: into the list", ("down",), "Goes from the field to the list, which has more keys.",
        Scope.FINDER,
    ),
    Action("finder.to_field", "Lists: find", ("/",), "Goes from the list to the field.", Scope.FINDER),
    Action("chats.rename", "Chats: rename", ("f2", "r"), "Gives the chat another title.", Scope.CHATS),
    Action("chats.pin", "Chats: pin", ("p",), "Keeps the chat at the top of the list, or not any more.", Scope.CHATS),
    Action("chats.tag", "Chats: tags", ("#",), "Changes the tags of the chat.", Scope.CHATS),
    Action("chats.duplicate", "Chats: duplicate", ("d",), "Makes a copy of the chat.", Scope.CHATS),
    Action("chats.trash", "Chats: to the trash", ("delete", "x"), "Moves the chat to the trash.", Scope.CHATS),
    Action("chats.untrash", "Chats: undo", ("u",), "Brings back the chat that was moved to the trash last.", Scope.CHATS),
    Action("chats.switch", "Chats: trash", ("t",), "Lists what is in the trash, or the chats again.", Scope.CHATS),
    Action("chats.empty", "Chats: empty the trash", ("E",), "Deletes for good what is in the trash; asks first.", Scope.CHATS),
    Action(
        "models.switch", "Models: the Hub", ("ctrl+t", "h"), "Lists the models of the Hub, or those of this machine again.",
        Scope.MODELS,
    ),
    Action(
        "models.options", "Models: load with …", ("f2", "o"), "Chooses how the model is loaded, and loads it.",
        Scope.MODELS,
    ),
    Action("models.favourite", "Models: favourite", ("f",), "Puts the model first, or not any more.", Scope.MODELS),
    Action("models.sort", "Models: sort", ("s",), "Lists the models of the Hub in another order.", Scope.MODELS),
    Action("models.add_folder", "Models: add a folder", ("a",), "Adds a folder to look for models in.", Scope.MODELS),
    Action(
        "models.remove", "Models: delete", ("x", "delete"), "Deletes the model from the cache, or forgets its folder; asks first.",
        Scope.MODELS,
    ),
    Action(
        "models.cancel_download", "Models: stop the download", ("c",), "Stops what is being downloaded; it can go on later.",
        Scope.MODELS,
    ),
    Action("list.choose", "List: choose", ("enter",), "Takes the highlighted entry.", Scope.LIST, fixed=True, bound=False),
    Action("list.down", "List: down", ("down",), "Moves down in the list.", Scope.LIST, priority=True),
    Action("list.up", "List: up", ("up",), "Moves up in the list.", Scope.LIST, priority=True),
    Action("list.page_down", "List: page down", ("pagedown",), "Moves down by ten entries.", Scope.LIST, priority=True),
    Action("list.page_up", "List: page up", ("pageup",), "Moves up by ten entries.", Scope.LIST, priority=True),
    Action(
        "setting.unset", "Setting: reset to default", ("ctrl+r",), "Reset the setting to its default.",
        Scope.SETTINGS, priority=True,
    ),
    Action(
        "setting.save", "Setting: save as default", ("ctrl+s",), "Write the value in force to the configuration file.",
        Scope.SETTINGS, priority=True,
    ),
    Action(
        "setting.only_set", "Setting: changed only", ("ctrl+t",), "List only the settings that differ from the default, or all again.",
        Scope.SETTINGS, priority=True,
    ),
    Action("form.enter", "Form: accept", ("enter",), "In a field, accepts the form.", Scope.FORM, fixed=True, bound=False),
    Action("form.accept", "Form: accept from anywhere", ("ctrl+s",), "Accepts the form, whatever has the focus.", Scope.FORM),
    Action("export.previous_format", "Export: previous format", ("up",), "Chooses the format above.", Scope.EXPORT),
    Action("export.next_format", "Export: next format", ("down",), "Chooses the format below.", Scope.EXPORT),
    Action(
        "question.answer", "Question: answer", ("enter",), "Gives the answer that has the focus; the letter beside an answer gives that one.",
        Scope.QUESTION, fixed=True, bound=False,
    ),
    Action(
        "question.previous", "Question: previous answer", ("left", "up"), "Goes to the answer before.",
        Scope.QUESTION, fixed=True,
    ),
    Action("question.next", "Question: next answer", ("right", "down"), "Goes to the next answer.", Scope.QUESTION, fixed=True),
    Action("tree.jump", "Tree: jump", ("enter",), "Goes to the turn in the chat.", Scope.TREE, fixed=True, bound=False),
    Action("tree.next_branch", "Tree: next variants", ("n",), "Goes to the next turn that has variants.", Scope.TREE),
    Action("tree.previous_branch", "Tree: previous variants", ("N",), "Goes to the turn before that has variants.", Scope.TREE),
    Action(
        "tree.fold", "Tree: fold", ("left",), "Folds what hangs on the turn, or goes to the turn that it hangs on.",
        Scope.TREE,
    ),
    Action("tree.unfold", "Tree: unfold", ("right",), "Unfolds what hangs on the turn.", Scope.TREE),
    Action("reader.up", "Text: up", ("up", "k"), "Scrolls a line up.", Scope.READER),
    Action("reader.down", "Text: down", ("down", "j"), "Scrolls a line down.", Scope.READER),
    Action("reader.page_up", "Text: page up", ("pageup",), "Scrolls a page up.", Scope.READER),
    Action("reader.page_down", "Text: page down", ("pagedown", "space"), "Scrolls a page down.", Scope.READER),
    Action("reader.first", "Text: beginning", ("home",), "Goes to the beginning of the text.", Scope.READER),
    Action("reader.last", "Text: end", ("end",), "Goes to the end of the text.", Scope.READER),
    Action("details.previous_tab", "Details: previous tab", ("left",), "Shows the tab before.", Scope.DETAILS),
    Action("details.next_tab", "Details: next tab", ("right",), "Shows the next tab.", Scope.DETAILS),
    Action("details.copy", "Details: copy", ("y",), "Copies what is shown.", Scope.DETAILS),
    Action("report.close", "Report: close", ("q", "enter"), "Closes the report.", Scope.REPORT),
    Action("help.close", "Help: close", ("q",), "Closes the help.", Scope.HELP),
)  # fmt: skip


def actions(*scopes: Scope) -> Iterator[Action]:
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

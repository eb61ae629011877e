"""The one registry of what a user can do.

Key bindings, the command palette, commands in the composer, the footer, the help screen and the tables in docs/reference are made from it.
It says nothing of how a thing is done: for the actions of the chat, such as `reply.stop`, the table in `tui.screens.chat.commands` names what
does them; for one of a dialog, such as `chats.pin`, the dialog has `action_pin`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tui.dataclass import dataclass
from tui.scopes import MAIN, Scope, When, works_in


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a user can do.

    Attributes:
        id: `area.verb`.
        title: in the palette and the help, as in `Stop the reply`; those that are listed are all different.
        keys: the default keys, in Textual's names, the one to show first.
        help: one sentence.
        scope: `APP`: wherever one is; `CHAT`: in the chat; `TURN`: with the cursor on a turn; else only in that place.
        footer: a word for the footer, which has its own order; empty to leave it out there.
        priority: the key works even where a focused field would take it.
        when: when it is possible.
        slash: short names of its command; the id with a hyphen is one always, as in `/chat-new`.
        argument: what its command takes, as in `[NAME]`; empty for nothing.
        fixed: its keys can't be changed: the toolkit or what everybody expects of a key decides.
        bound: whether it has a binding; else a widget takes the key itself.
        listed: whether palette and completions offer it; what is only good as a key, they don't.
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
    listed: bool = True

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
        """The group that help lists it under; empty for what belongs to a place."""
        return _AREAS.get(self.id.partition(".")[0], "")

    def works_in(self, place: Scope) -> bool:
        """Return whether its keys reach it in a place."""
        return works_in(self.scope, place, priority=self.priority)


_AREAS: Final = {
    "composer": "Message", "reply": "Replies", "turn": "Turns", "transcript": "View", "chat": "Chats", "model": "Models", "download": "Models",
    "sidebar": "Settings", "settings": "Settings", "system": "System prompt", "prompt": "System prompt", "preset": "Presets",
    "theme": "App", "app": "App",
}  # fmt: skip

ACTIONS: Final = (
    Action("app.help", "Show help", ("f1",), "Show the keys and what they do.", Scope.APP, "Help", slash=("help",)),
    Action(
        "app.interrupt", "Copy, stop, or quit", ("ctrl+c",),
        "Copy the selection, or stop the reply; press twice to quit.", Scope.CHAT, priority=True, listed=False,
    ),
    Action(
        "app.quit", "Quit", ("ctrl+q",),
        "Quit; a partly written reply is kept.", Scope.APP, "Quit", priority=True, slash=("exit", "quit")),
    Action(
        "app.stats", "Show statistics", (), "Show speed, cache use and memory.",
        Scope.CHAT, slash=("stats",)),
    Action(
        "sidebar.toggle", "Go to settings", ("f2",),
        "Go to the settings in the sidebar; if they have the focus, hide them.", Scope.CHAT, "Settings", slash=("sidebar",)),
    Action("chat.open", "Open a chat", ("f3", "ctrl+o"), "Open a saved chat.", Scope.CHAT, "Chats", slash=("chats", "open")),
    Action("chat.new", "New chat", ("ctrl+n",), "Start a new chat; the current one is saved.", Scope.CHAT, "New", slash=("new", "clear")),
    Action(
        "model.choose", "Choose a model", ("f4",), "Load another model, from this machine or the Hub.", Scope.CHAT, "Model", slash=("model",), argument="[MODEL]"),
    Action("model.cancel", "Stop loading the model", (), "Stop loading the model.", Scope.CHAT),
    Action("model.unload", "Unload the model", (), "Unload the model and free its memory.", Scope.CHAT, slash=("unload",)),
    Action(
        "model.memory", "Show memory use", ("f7",), "Show what uses memory: weights, KV cache, other programs.", Scope.CHAT,
        priority=True, slash=("memory",)),
    Action(
        "model.assistant", "Choose an assistant model", (), "Choose a small model that drafts for the loaded one, or none.",
        Scope.CHAT, slash=("assistant",), argument="[MODEL or none]"),
    Action(
        "download.cancel", "Stop the download", (), "Stop the download; it can be resumed later.", Scope.CHAT,
        slash=("stop-download",)),
    Action("model.reload", "Reload the model", (), "Load the current model again.", Scope.CHAT, slash=("reload",)),
    Action(
        "reply.stop", "Stop the reply", ("escape",), "Stop the reply and keep what was written; repeat to stop loading.",
        Scope.CHAT, "Stop", when=When.BUSY, slash=("stop",)),
    Action(
        "composer.focus", "Write a message", ("escape", "ctrl+g"), "Go to the message box.", Scope.CHAT, "Write", when=When.IDLE, listed=False,
    ),
    Action(
        "transcript.page_up", "Scroll up a page", ("pageup",), "Scroll up a page in the chat.", Scope.CHAT, priority=True, listed=False,
    ),
    Action(
        "transcript.page_down", "Scroll down a page", ("pagedown",), "Scroll down a page in the chat.", Scope.CHAT, priority=True, listed=False,
    ),
    Action(
        "transcript.first", "Go to the first turn", ("ctrl+home",), "Go to the start of the chat.", Scope.CHAT,
        priority=True,
    ),
    Action(
        "transcript.follow", "Go to the end", ("ctrl+end",),
        "Go to the end of the chat and follow the reply.", Scope.CHAT, priority=True,
    ),
    Action(
        "chat.undo", "Undo", ("f8",), "Undo the last change to the chat.", Scope.CHAT, when=When.STILL, slash=("undo",)),
    Action(
        "chat.redo", "Redo", ("f9",), "Redo the last undone change.", Scope.CHAT, when=When.STILL, slash=("redo",)),
    Action(
        "chat.tree", "Show all branches", ("f6",), "Show every branch of the chat and jump to a turn.", Scope.CHAT,
        priority=True, slash=("tree",)),
    Action("chat.rename", "Rename the chat", (), "Rename the chat.", Scope.CHAT, slash=("rename",), argument="[TITLE]"),
    Action(
        "chat.title", "Generate a title", (), "Ask the model for a title of a few words.", Scope.CHAT,
        when=When.STILL, slash=("title",),
    ),
    Action("chat.duplicate", "Duplicate the chat", (), "Continue in a copy of the whole chat.", Scope.CHAT, when=When.STILL, slash=("duplicate",)),
    Action(
        "chat.temporary", "New temporary chat", (), "Start a chat that is never written to disk.", Scope.CHAT,
        when=When.STILL, slash=("temporary",)),
    Action(
        "chat.see_all", "Send all turns again", (),
        "Send the model all turns again, including those left out when the context was full.", Scope.CHAT, when=When.STILL,
        slash=("see-all",),
    ),
    Action("chat.export", "Export the chat", (), "Export the chat to a file, in one of many formats.", Scope.CHAT, slash=("export",)),
    Action("chat.import", "Import chats", (), "Import chats from another tool.", Scope.CHAT, slash=("import",)),
    Action("chat.copy", "Copy the chat", (), "Copy the whole chat as Markdown.", Scope.CHAT, slash=("copy",)),
    Action(
        "transcript.line_numbers", "Toggle line numbers", ("ctrl+l",), "Show or hide line numbers in code.", Scope.CHAT,
    ),
    Action(
        "transcript.find", "Find in the chat", ("ctrl+f",), "Search the chat.", Scope.CHAT, "Find", priority=True, slash=("find",),
        argument="[TEXT]",
    ),
    Action(
        "turn.previous_user", "Go to your previous message", ("alt+pageup",),
        "Go to your previous message.", Scope.CHAT, priority=True,
    ),
    Action(
        "turn.next_user", "Go to your next message", ("alt+pagedown",), "Go to your next message.",
        Scope.CHAT, priority=True,
    ),
    Action(
        "turn.previous", "Go to the previous turn", ("alt+up", "ctrl+up"), "Select the previous turn; single keys then act on it.", Scope.CHAT, "Turns",
        priority=True,
    ),
    Action(
        "turn.next", "Go to the next turn", ("alt+down", "ctrl+down"), "Select the next turn, or go from the last one to the message box.", Scope.CHAT,
        priority=True,
    ),
    Action(
        "turn.toggle_reasoning", "Toggle reasoning", ("ctrl+t",),
        "Show or hide the model's reasoning.", Scope.CHAT,
    ),
    Action(
        "turn.edit", "Edit the turn", ("e",), "Edit a turn in place; the old text stays as a variant.", Scope.TURN, "Edit",
        when=When.STILL, slash=("edit",)),
    Action(
        "turn.edit_outside", "Edit the turn in $EDITOR", ("E",), "Edit a turn in the editor named by $VISUAL or $EDITOR.", Scope.TURN,
        when=When.STILL,
    ),
    Action(
        "turn.regenerate", "Regenerate the reply", ("r",), "Generate another reply; the old one stays as a variant.", Scope.TURN,
        "Regenerate", when=When.STILL, slash=("regenerate",)),
    Action(
        "turn.regenerate_with", "Regenerate with options …", ("R",),
        "Regenerate once with other parameters, another model, or an opening that you write.", Scope.TURN,
        when=When.STILL,
    ),
    Action(
        "turn.reproduce", "Reproduce the reply", ("=",),
        "Generate the reply again with its own seed and parameters.", Scope.TURN, when=When.STILL,
    ),
    Action(
        "turn.continue", "Continue the reply", ("c",), "Continue writing at the end of a reply.", Scope.TURN, "Continue", when=When.STILL, slash=("continue",)),
    Action(
        "turn.older", "Show the previous variant", ("left", "["), "Show the previous variant.", Scope.TURN, "Variants", when=When.STILL,
    ),
    Action(
        "turn.newer", "Show the next variant", ("right", "]"), "Show the next variant.", Scope.TURN, when=When.STILL,
    ),
    Action(
        "turn.delete", "Delete the turn", ("delete",), "Delete one turn; what follows it stays.", Scope.TURN, "Delete", when=When.STILL,
    ),
    Action(
        "turn.delete_following", "Delete from here on", ("shift+delete",), "Delete a turn and everything after it.", Scope.TURN,
        when=When.STILL,
    ),
    Action("turn.fork", "Fork the chat", ("f",), "Continue from this turn in a new chat.", Scope.TURN, "Fork", when=When.STILL, slash=("fork",)),
    Action("turn.copy", "Copy the turn", ("y",), "Copy a turn as Markdown.", Scope.TURN, "Copy"),
    Action("turn.copy_shown", "Copy the turn as plain text", ("Y",), "Copy a turn without its Markdown markup.", Scope.TURN),
    Action(
        "turn.mark_block", "Select a block", ("v",),
        "Select a paragraph, list, table or code block of the turn.", Scope.TURN,
    ),
    Action("turn.copy_code", "Copy code", ("b",), "Copy the last code block. Repeat for the previous one.", Scope.TURN),
    Action("turn.save_code", "Save code to a file", ("w",), "Save the code block you copied last, or the last one in the turn.", Scope.TURN),
    Action("turn.quote", "Quote the turn", ("q",), "Quote a turn in your message.", Scope.TURN),
    Action("turn.details", "Show turn details", ("i",), "Show the exact prompt, tokens, parameters and times.", Scope.TURN, "Details"),
    Action(
        "turn.tokens", "Show tokens", ("t",), "Show a turn split into the model's tokens.", Scope.TURN,
    ),
    Action("turn.raw", "Toggle source", ("m",), "Show a turn as Markdown source, or return to the rendered view.", Scope.TURN),
    Action("turn.undo", "Undo", ("u",), "Undo the last change to the chat.", Scope.TURN, "Undo", when=When.STILL, listed=False),
    Action("turn.redo", "Redo", ("U", "ctrl+r"), "Redo the last undone change.", Scope.TURN, when=When.STILL, listed=False),
    Action(
        "app.palette", "Show all commands", ("ctrl+p",), "Find any command by name.", Scope.APP, "Commands",
        priority=True, listed=False, slash=("palette",),
    ),
    Action(
        "settings.status", "Show changed settings", (), "Show what differs from the defaults, and where it comes from.", slash=("status",),
    ),
    Action(
        "settings.set", "Set parameters", (), "Set generation parameters, for example temperature=0.7.", slash=("set",),
        argument="NAME=VALUE …",
    ),
    Action(
        "settings.reset", "Reset parameters", (), "Reset all parameters and the system prompt, or the ones you list.",
        slash=("reset",), argument="[NAME …]",
    ),
    Action(
        "settings.open", "Open all settings", ("f10",), "Show and change all settings.",
        slash=("settings", "config"),
    ),
    Action(
        "system.edit", "Edit the system prompt", (), "Change the instructions that are sent before the chat.", slash=("system",),
        argument="[TEXT]",
    ),
    Action(
        "prompt.choose", "Choose a system prompt", (), "Use a system prompt from your library.", slash=("prompt",),
        argument="[NAME]",
    ),
    Action(
        "prompt.save", "Save the system prompt", (), "Save the system prompt to your library.", slash=("prompt-save",),
        argument="[NAME]",
    ),
    Action(
        "preset.choose", "Choose a preset", (), "Set model, system prompt and parameters at once.", slash=("preset",),
        argument="[NAME]",
    ),
    Action(
        "preset.save", "Save as a preset", (), "Save model, system prompt and parameters as a preset.", slash=("preset-save",),
        argument="[NAME]",
    ),
    Action(
        "preset.default", "Choose this model's preset", (), "Choose a preset to apply whenever this model is loaded.",
        argument="[NAME]",
    ),
    Action(
        "preset.export", "Export as a preset", (), "Save the current settings to a file that you can share.", slash=("preset-export",),
        argument="[FILE]",
    ),
    Action(
        "preset.delete", "Delete a preset", (), "Delete a saved preset.", slash=("preset-delete",),
        argument="[NAME]",
    ),
    Action(
        "theme.choose", "Choose a theme", (), "Change the colors, with a live preview.", slash=("theme",),
        argument="[NAME]",
    ),
    Action(
        "chat.save", "Save for transformers", (), "Save the chat in the format of transformers chat.", slash=("save",),
        argument="[NAME]",
    ),
    Action(
        "chat.example", "Start from an example", (), "Start a chat from an example.", slash=("example",), argument="[NAME]",
        when=When.STILL,
    ),
    Action(
        "composer.history", "Search your messages", ("f5",), "Search the messages you sent, in all chats.",
        slash=("history",),
    ),
    *(
        Action(
            f"composer.suggestion_{number}", f"Use suggestion {number}", (f"alt+{number}",),
            "Put a suggested question into the message box of an empty chat.", when=When.EMPTY, listed=False,
        )
        for number in (1, 2, 3)
    ),
    Action(
        "composer.edit_outside", "Write in $EDITOR", ("alt+e",), "Write the message in the editor named by $VISUAL or $EDITOR.",
        slash=("editor",),
    ),
    Action(
        "composer.attach", "Attach a file", ("alt+a",), "Attach a text file to the message.",
        slash=("attach",), argument="[FILE]",
    ),
    # -- what works only in its place
    Action("turns.up", "Go up", ("up", "k"), "Go up a turn, or scroll a long one.", Scope.TURNS),
    Action(
        "turns.down", "Go down", ("down",), "Go down a turn or scroll a long one. From the last turn, go to the message box.",
        Scope.TURNS,
    ),
    Action(
        "turns.down_within", "Go down a turn", ("j",), "Go down a turn, but not into the message box.",
        Scope.TURNS,
    ),
    Action("turns.first", "Go to the start", ("home", "g"), "Go to the start of the chat.", Scope.TURNS),
    Action("turns.last", "Go to the end", ("end", "G"), "Go to the end of the chat and follow the reply.", Scope.TURNS),
    Action(
        "turns.fold", "Toggle reasoning", ("space",), "Show or hide the model's reasoning.",
        Scope.TURNS,
    ),
    Action("turns.write", "Write a message", ("enter",), "Go to the message box.", Scope.TURNS),
    Action(
        "turns.end_block", "End the selection", ("escape",), "Stop selecting blocks.",
        Scope.TURNS, "Done", when=When.MARKED, fixed=True,
    ),
    Action(
        "text.newline", "New line", ("ctrl+j", "shift+enter", "alt+enter"), "Start a new line; not every terminal can tell Shift+Enter and Alt+Enter apart from Enter.",
        Scope.TEXT,
    ),
    Action(
        "message.send", "Send", ("enter",), "Send the message, or finish editing a turn.",
        Scope.MESSAGE, "Send", fixed=True,
    ),
    Action(
        "message.command", "Run a command", ("/",), "At the start of a message, list the commands (! works too). Type // to send text that starts with /.",
        Scope.MESSAGE, "Commands", fixed=True, bound=False,
    ),
    Action(
        "message.name_file", "Attach a file by its path", ("@",), "Complete the path of a text file to send with the message.",
        Scope.MESSAGE, fixed=True, bound=False,
    ),
    Action(
        "message.older", "Previous message", ("up",), "On the first line, bring back what you sent before.",
        Scope.MESSAGE, fixed=True,
    ),
    Action(
        "message.newer", "Next message", ("down",), "On the last line, go back toward what you were writing.",
        Scope.MESSAGE, fixed=True,
    ),
    Action(
        "message.drop_attachment", "Remove an attachment", ("backspace",), "In an empty message, remove the last attachment.",
        Scope.MESSAGE, fixed=True, bound=False,
    ),
    Action(
        "completions.move", "Move in the list", ("up", "down", "pageup", "pagedown"), "Move in the list.",
        Scope.COMPLETIONS, "Choose", fixed=True, bound=False,
    ),
    Action(
        "completions.take", "Complete", ("tab", "enter"), "Complete with the highlighted entry.",
        Scope.COMPLETIONS, "Complete", fixed=True, bound=False,
    ),
    Action("completions.close", "Close the list", ("escape",), "Close the list.", Scope.COMPLETIONS, "Close", fixed=True, bound=False),
    Action(
        "edit.save", "Save only", ("ctrl+s",), "Save the turn without a new reply.",
        Scope.EDIT, "Save only", priority=True,
    ),
    Action(
        "edit.leave", "Cancel", ("escape",), "Leave the turn as it was.",
        Scope.EDIT, "Cancel", priority=True, fixed=True,
    ),
    Action(
        "find.next", "Next match", ("enter", "down"), "Go to the next match.",
        Scope.FIND, "Next", priority=True,
    ),
    Action(
        "find.previous", "Previous match", ("up", "shift+enter"), "Go to the previous match.",
        Scope.FIND, "Previous", priority=True,
    ),
    Action("find.close", "Close", ("escape",), "Close the search bar.", Scope.FIND, "Close", priority=True, fixed=True),
    Action("parameter.increase", "Increase", ("up",), "Increase the value by one step.", Scope.PARAMETER, "Change"),
    Action("parameter.decrease", "Decrease", ("down",), "Decrease the value by one step.", Scope.PARAMETER),
    Action("parameter.increase_much", "Increase a lot", ("shift+up",), "Increase the value by ten steps.", Scope.PARAMETER),
    Action("parameter.decrease_much", "Decrease a lot", ("shift+down",), "Decrease the value by ten steps.", Scope.PARAMETER),
    Action("parameter.reset", "Reset to the default", ("ctrl+r",), "Reset the parameter to its default.", Scope.PARAMETER, "Default"),
    Action(
        "parameter.next", "Next field", ("tab", "shift+tab"), "Go to the next field of the sidebar, or to the previous one.",
        Scope.PARAMETER, "Next", fixed=True, bound=False,
    ),
    Action(
        "column.open", "Open", ("enter",), "Open the highlighted chat.", Scope.COLUMN, "Open", fixed=True, bound=False,
    ),
    Action("column.trash", "Move to trash", ("delete",), "Move the highlighted chat to the trash.", Scope.COLUMN, "Trash"),
    Action(
        "column.untrash", "Undo", ("f8", "ctrl+z"), "Restore the chat that was moved to the trash last.", Scope.COLUMN, "Restore",
    ),
    Action(
        "dialog.close", "Close", ("escape",), "Close the dialog, or go back a step.",
        Scope.DIALOG, fixed=True,
    ),
    Action(
        "dialog.next_field", "Next field", ("tab", "shift+tab"), "Go to the next field or button, or to the previous one.",
        Scope.DIALOG, fixed=True, bound=False,
    ),
    Action(
        "finder.choose", "Choose", ("enter",), "Open the highlighted chat, or load the highlighted model.",
        Scope.FINDER, fixed=True, bound=False,
    ),
    Action(
        "finder.to_list", "Go to the list", ("down",), "Go from the field to the list, where Del acts on the highlighted entry.",
        Scope.FINDER,
    ),
    Action("finder.to_field", "Find", ("ctrl+f",), "Go from the list to the field; typing does this too.", Scope.FINDER),
    Action("chats.rename", "Rename", ("f2", "ctrl+r"), "Rename the chat.", Scope.CHATS),
    Action("chats.pin", "Pin", ("ctrl+b",), "Pin the chat to the top of the list, or unpin it.", Scope.CHATS),
    Action("chats.tag", "Edit tags", ("ctrl+g",), "Edit the tags of the chat.", Scope.CHATS),
    Action("chats.duplicate", "Duplicate", ("ctrl+d",), "Duplicate the chat.", Scope.CHATS, priority=True),
    Action("chats.trash", "Move to trash", ("delete",), "Move the chat to the trash.", Scope.CHATS),
    Action("chats.untrash", "Undo", ("f8", "ctrl+z"), "Restore the chat that was moved to the trash last.", Scope.CHATS),
    Action("chats.switch", "Show the trash", ("ctrl+t",), "Show the trash, or return to the chats.", Scope.CHATS),
    Action(
        "chats.empty", "Empty the trash", ("shift+delete",), "Permanently delete everything in the trash; asks first.",
        Scope.CHATS,
    ),
    Action(
        "models.switch", "Search the Hub", ("ctrl+t",), "Show the models on the Hub, or return to those on this machine.",
        Scope.MODELS,
    ),
    Action(
        "models.options", "Load with options …", ("f2", "ctrl+o"), "Choose how to load the model, then load it.",
        Scope.MODELS,
    ),
    Action("models.favorite", "Pin", ("ctrl+b",), "Pin the model to the top of the list, or unpin it.", Scope.MODELS),
    Action("models.sort", "Sort", ("ctrl+s",), "Change how the models on the Hub are sorted.", Scope.MODELS),
    Action("models.add_folder", "Add a folder", ("ctrl+n",), "Add a folder to look for models in.", Scope.MODELS),
    Action(
        "models.remove", "Delete", ("delete",), "Delete the model from the cache, or remove its folder from the list; asks first.",
        Scope.MODELS,
    ),
    Action(
        "models.cancel_download", "Stop the download", ("ctrl+x",), "Stop the download; it can be resumed later.",
        Scope.MODELS,
    ),
    Action("list.choose", "Choose", ("enter",), "Choose the highlighted entry.", Scope.LIST, fixed=True, bound=False),
    Action("list.down", "Down", ("down",), "Move down in the list.", Scope.LIST, priority=True),
    Action("list.up", "Up", ("up",), "Move up in the list.", Scope.LIST, priority=True),
    Action("list.page_down", "Page down", ("pagedown",), "Move down ten entries.", Scope.LIST, priority=True),
    Action("list.page_up", "Page up", ("pageup",), "Move up ten entries.", Scope.LIST, priority=True),
    Action(
        "setting.unset", "Reset to the default", ("ctrl+r",), "Reset the setting to its default.",
        Scope.SETTINGS, priority=True,
    ),
    Action(
        "setting.undo", "Undo", ("f8", "ctrl+z"), "Undo the last change to the chat's settings.", Scope.SETTINGS, priority=True,
    ),
    Action(
        "setting.redo", "Redo", ("f9", "ctrl+y"), "Redo the last undone change to the chat's settings.", Scope.SETTINGS, priority=True,
    ),
    Action(
        "setting.save", "Save as the default", ("ctrl+s",), "Write the value in effect to the configuration file.",
        Scope.SETTINGS, priority=True,
    ),
    Action(
        "setting.only_set", "Show changed settings only", ("ctrl+t",), "List only the settings that differ from the default, or list all of them again.",
        Scope.SETTINGS, priority=True,
    ),
    Action("form.enter", "Submit", ("enter",), "In a field, submit the form.", Scope.FORM, fixed=True, bound=False),
    Action("form.accept", "Submit the form", ("ctrl+s",), "Submit the form; works in any field.", Scope.FORM),
    Action("export.previous_format", "Previous format", ("up",), "Choose the format above.", Scope.EXPORT),
    Action("export.next_format", "Next format", ("down",), "Choose the format below.", Scope.EXPORT),
    Action(
        "question.answer", "Answer", ("enter",), "Choose the focused answer. The key beside an answer chooses it directly.",
        Scope.QUESTION, fixed=True, bound=False,
    ),
    Action(
        "question.previous", "Previous answer", ("left", "up"), "Go to the previous answer.",
        Scope.QUESTION, fixed=True,
    ),
    Action("question.next", "Next answer", ("right", "down"), "Go to the next answer.", Scope.QUESTION, fixed=True),
    Action("tree.jump", "Go to the turn", ("enter",), "Go to the turn in the chat.", Scope.TREE, fixed=True),
    Action("tree.up", "Up", ("up",), "Go up a turn.", Scope.TREE),
    Action("tree.down", "Down", ("down",), "Go down a turn.", Scope.TREE),
    Action("tree.page_up", "Page up", ("pageup",), "Go up a page.", Scope.TREE),
    Action("tree.page_down", "Page down", ("pagedown",), "Go down a page.", Scope.TREE),
    Action("tree.first", "First turn", ("home",), "Go to the first turn.", Scope.TREE),
    Action("tree.last", "Last turn", ("end",), "Go to the last turn.", Scope.TREE),
    Action("tree.toggle", "Collapse or expand", ("space",), "Collapse or expand what follows the turn.", Scope.TREE),
    Action("tree.next_branch", "Next variants", ("n",), "Go to the next turn that has variants.", Scope.TREE),
    Action("tree.previous_branch", "Previous variants", ("N",), "Go to the previous turn that has variants.", Scope.TREE),
    Action(
        "tree.fold", "Collapse", ("left",), "Collapse what follows the turn, or go to its parent.",
        Scope.TREE,
    ),
    Action("tree.unfold", "Expand", ("right",), "Expand what follows the turn.", Scope.TREE),
    Action("reader.up", "Up", ("up", "k"), "Scroll up a line.", Scope.READER),
    Action("reader.down", "Down", ("down", "j"), "Scroll down a line.", Scope.READER),
    Action("reader.page_up", "Page up", ("pageup",), "Scroll up a page.", Scope.READER),
    Action("reader.page_down", "Page down", ("pagedown", "space"), "Scroll down a page.", Scope.READER),
    Action("reader.first", "Start", ("home",), "Go to the start of the text.", Scope.READER),
    Action("reader.last", "End", ("end",), "Go to the end of the text.", Scope.READER),
    Action("details.previous_tab", "Previous tab", ("left",), "Show the previous tab.", Scope.DETAILS),
    Action("details.next_tab", "Next tab", ("right",), "Show the next tab.", Scope.DETAILS),
    Action("details.copy", "Copy", ("y",), "Copy what is shown.", Scope.DETAILS),
    Action("report.close", "Close", ("q", "enter"), "Close the report.", Scope.REPORT),
)  # fmt: skip


_BY_ID: Final = {one.id: one for one in ACTIONS}


def actions(*scopes: Scope) -> Iterator[Action]:
    """Yield the actions of these scopes, in the registry's order."""
    return (action for action in ACTIONS if action.scope in scopes)


def action(action_id: str) -> Action:
    """Return the action with this id.

    Raises:
        KeyError: there is none.
    """
    return _BY_ID[action_id]

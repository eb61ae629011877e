"""Makes the prompt: the messages of a chat through the model's own chat template, as token ids.

Templates differ in what they accept. One without a system role gets the system prompt in the first user turn, one that
insists on alternating roles gets neighbours of the same role merged, and a model without any gets plain text.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tui.conversation.turn import ASSISTANT, SYSTEM, USER, Message
from tui.engine.base import GenerationError
from tui.engine.local.reasoning import CLOSING, OPENING
from tui.engine.local.template import template_problem, template_switches

_PROBE: Final = "chat-tui-probe"
_TAIL_IDS: Final = 16


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads.

    Attributes:
        ids: token ids.
        opens_reasoning: whether the reply starts inside the reasoning.
        continues: whether the reply goes on in the middle of a text.
    """

    ids: tuple[int, ...]
    opens_reasoning: bool = False
    continues: bool = False


class PromptBuilder:
    """Makes prompts with one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.has_template = bool(getattr(tokenizer, "chat_template", None))
        self.problem = template_problem(tokenizer) if self.has_template else ""
        self.takes_system = self.has_template and self._renders_system()
        self.switches = template_switches(tokenizer) if self.has_template else ()
        known = inspect.signature(tokenizer.apply_chat_template).parameters
        # Without it a typed `<|im_end|>` would end the user's turn and forge another role.
        self._guard = (
            {"sanitize_control_tokens": True} if "sanitize_control_tokens" in known else {}
        )

    def build(
        self,
        messages: Sequence[Message],
        continue_last: bool = False,
        switches: Mapping[str, Any] | None = None,
    ) -> Prompt:
        """Return the prompt of a chat.

        Args:
            messages: oldest first.
            continue_last: the prompt ends in the middle of the last message, which is the assistant's.
            switches: what the user chose of the template's switches; names that it does not know are left out.

        Raises:
            GenerationError: there is nothing to reply to, or the chat template refuses the chat.
        """
        chat = [message for message in messages if message.role != SYSTEM or message.content]
        if continue_last and chat and not (chat[-1].content or chat[-1].reasoning):
            chat, continue_last = chat[:-1], False
        if continue_last and (not chat or chat[-1].role != ASSISTANT):
            raise GenerationError("There is no reply to continue.", "Send a message first.")
        if not any(message.role != SYSTEM for message in chat):
            raise GenerationError("There is no message to reply to.", "Send a message first.")
        if not self.has_template:
            return self._plain(chat, continue_last)
        known = {switch.name for switch in self.switches}
        chosen = {name: value for name, value in (switches or {}).items() if name in known}
        return self._continued(chat, chosen) if continue_last else self._fresh(chat, chosen)

    # -- with a chat template

    def _fresh(self, chat: list[Message], switches: Mapping[str, Any]) -> Prompt:
        ids = self._first_accepted(chat, add_generation_prompt=True, **switches)
        tail = self._tokenizer.decode(ids[-_TAIL_IDS:], skip_special_tokens=False)
        return Prompt(tuple(ids), opens_reasoning=tail.rstrip().endswith(OPENING))

    def _continued(self, chat: list[Message], switches: Mapping[str, Any]) -> Prompt:
        """Return a prompt that ends with what the assistant said so far.

        The head of the turn is the template's; what was said is encoded after it as plain text, so that no template can
        strip its last space or close the turn.
        """
        head, last = self._fresh(chat[:-1], switches), chat[-1]
        in_reasoning = bool(last.reasoning and not last.content)
        ids = list(head.ids)
        if last.reasoning:
            ids += [] if head.opens_reasoning else self._encode(f"{OPENING}\n", is_ours=True)
            ids += self._encode(last.reasoning)
        if not in_reasoning and (last.reasoning or head.opens_reasoning):
            ids += self._encode(f"\n{CLOSING}\n\n", is_ours=True)
        ids += self._encode(last.content)
        return Prompt(tuple(ids), opens_reasoning=in_reasoning, continues=True)

    def count(self, text: str) -> int:
        """Return how many tokens a text has by itself."""
        return len(self._encode(text))

    def costs(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Return what each message takes in a prompt, with what the template puts around it."""
        around = self._around_turns()
        return tuple(
            self.count(message.content) + around.get(message.role, 0) for message in messages
        )

    def _around_turns(self) -> dict[str, int]:
        """Return what the template puts around a turn of each role: half of what it puts around an exchange."""
        probe = Message(USER, "?")
        exchange = (probe, Message(ASSISTANT, "?"))
        try:
            longer, shorter = self.build((*exchange, probe)), self.build((probe,))
        except GenerationError:
            return {}
        around = max(0, len(longer.ids) - len(shorter.ids) - 2 * self.count("?"))
        return {USER: around // 2, ASSISTANT: around - around // 2}

    def split(self, text: str) -> tuple[str, ...]:
        """Return a text cut into its tokens; see `Engine.split`."""
        if not getattr(self._tokenizer, "is_fast", False):
            ids = self._encode(text)
            return tuple(self._tokenizer.decode([token]) for token in ids)
        encoded = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        pieces, done = [], 0
        for start, end in encoded["offset_mapping"]:
            pieces.append(text[max(start, done) : end])
            done = max(done, end)
        return tuple(pieces)

    def _encode(self, text: str, *, is_ours: bool = False) -> list[int]:
        """Return the ids of a text; control tokens in one that is not ours count as ordinary text."""
        if not text:
            return []
        options = {} if is_ours else {"split_special_tokens": True}
        return [
            int(token)
            for token in self._tokenizer.encode(text, add_special_tokens=False, **options)
        ]

    def _first_accepted(self, chat: list[Message], **options: Any) -> list[int]:
        """Return the ids of the first form of the chat that the template accepts."""
        if self.problem:
            raise GenerationError(
                f"The model's chat template is broken ({self.problem}).",
                "Mend the template in the model's folder, or use another model.",
            )
        if not self.takes_system:
            chat = system_merged(chat)
        refusal: Exception | None = None
        for reshape in _FORMS:
            try:
                return self._render(reshape(chat), **options)
            except Exception as error:  # noqa: BLE001 - a template is a program of somebody else
                refusal = refusal or error
        raise GenerationError(
            f"The model's chat template refuses this chat ({refusal}).",
            "Edit the turns so that user and assistant alternate, or use another model.",
        ) from refusal

    def _render(self, chat: list[Message], **options: Any) -> list[int]:
        rendered = self._tokenizer.apply_chat_template(
            [_entry(message) for message in chat],
            tokenize=True,
            return_dict=True,
            **self._guard,
            **options,
        )
        return [int(token) for token in rendered["input_ids"]]

    def _renders_system(self) -> bool:
        chat = [Message(SYSTEM, _PROBE), Message(USER, "?")]
        try:
            text = self._tokenizer.apply_chat_template(
                [_entry(message) for message in chat], tokenize=False, add_generation_prompt=True
            )
        except Exception:  # noqa: BLE001 - a template is a program of somebody else
            return False
        return _PROBE in text

    # -- without one

    def _plain(self, chat: list[Message], continue_last: bool) -> Prompt:
        text = "\n\n".join(message.content for message in chat)
        ids = tuple(int(token) for token in self._tokenizer.encode(text))
        if not ids:
            raise GenerationError("There is no message to reply to.", "Send a message first.")
        return Prompt(ids, continues=continue_last)


def system_merged(chat: Sequence[Message]) -> list[Message]:
    """Return a chat whose system messages stand at the start of its first user message."""
    system = "\n\n".join(message.content for message in chat if message.role == SYSTEM)
    rest = [message for message in chat if message.role != SYSTEM]
    if not system:
        return rest
    for index, message in enumerate(rest):
        if message.role == USER:
            rest[index] = replace(message, content=f"{system}\n\n{message.content}")
            return rest
    return [Message(USER, system), *rest]


def neighbours_merged(chat: Sequence[Message]) -> list[Message]:
    """Return a chat in which no two messages in a row have the same role."""
    merged: list[Message] = []
    for message in chat:
        if merged and merged[-1].role == message.role:
            merged[-1] = replace(
                message,
                content=f"{merged[-1].content}\n\n{message.content}",
                reasoning=message.reasoning or merged[-1].reasoning,
            )
        else:
            merged.append(message)
    return merged


def _both_merged(chat: Sequence[Message]) -> list[Message]:
    return neighbours_merged(system_merged(chat))


def _as_it_is(chat: Sequence[Message]) -> list[Message]:
    return list(chat)


_FORMS: Final[tuple[Callable[[Sequence[Message]], list[Message]], ...]] = (
    _as_it_is,
    neighbours_merged,
    _both_merged,
)


def _entry(message: Message) -> dict[str, str]:
    entry = {"role": message.role, "content": message.content}
    if message.role == ASSISTANT and message.reasoning:
        entry["reasoning_content"] = message.reasoning
    return entry

"""Builds the prompt: renders the messages of a chat with the model's chat template and encodes them as token IDs.

Templates differ in what they accept, see `template_ability`; a chat is brought into a shape that its template takes by `chat_shape`. What
comes of it is looked at before it is used: a prompt without the user's words or the system prompt is none. A model without a template
gets plain text.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tui.conversation.reasoning_marks import THINK, Marks, is_over_after, opened_by
from tui.conversation.turn import ASSISTANT, SYSTEM, USER, Message
from tui.dataclass import dataclass
from tui.engine import template_files
from tui.engine.attempts import never
from tui.engine.base import Cancelled, GenerationError, IsCancelled
from tui.engine.failures import log, words
from tui.engine.local import chat_shape, template_ability
from tui.engine.local.chat_shape import Ability, Shaped
from tui.engine.local.encoding import Encoder, clean
from tui.engine.local.prompt_check import PromptText, needed
from tui.engine.local.reasoning import marks_of
from tui.engine.local.template import ChatTemplate, TemplateRefusedError
from tui.engine.local.template_ability import Rendered, Trial
from tui.json_types import Json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_log = logging.getLogger(__name__)

_PROBE: Final = "chat-tui-probe"
_TAIL_IDS: Final = 64
_UNSAID: Final = re.compile("[\ufdd0-\ufdef]")
"""Characters that Unicode keeps for what goes on inside a program; no text has them, and what renders templates uses some."""
_SANITIZE: Final = "sanitize_control_tokens"
"""What tells transformers that control tokens in a chat are text."""
_MOVED: Final = "This model's chat template doesn't support a system prompt in this chat: it is sent in your {} message."
_SHORTENS: Final = "This model's chat template omits parts of earlier turns."


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt for the model.

    Attributes:
        ids: token ids.
        opened: the marks of the reasoning that the reply starts inside; None when it doesn't.
        is_over: whether the reasoning is behind the prompt, so that the reply starts with the answer.
        continues: whether the reply goes on in the middle of a text.
        said: the answer that it goes on from, as long as that may turn out to be reasoning.
        notes: what was done with the chat so that the template takes it, as sentences for the user.
    """

    ids: tuple[int, ...]
    opened: Marks | None = None
    is_over: bool = False
    continues: bool = False
    said: str = ""
    notes: tuple[str, ...] = ()

    @property
    def opens_reasoning(self) -> bool:
        """Whether the reply starts inside the reasoning."""
        return self.opened is not None


class PromptBuilder:
    """Builds prompts with one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._encoder = Encoder(tokenizer)
        self.marks = marks_of(tokenizer)
        """The marks of reasoning that the model is known to write, the likeliest first."""
        found = template_files.chosen(getattr(tokenizer, "chat_template", None))
        self.has_template = found is not None
        self._template = ChatTemplate(tokenizer) if self.has_template else None
        self._has_own_way = self.has_template and _has_own_way(tokenizer)
        self.switches = self._template.switches if self._template else ()
        self._ability = self._found_ability()

    @property
    def problem(self) -> str:
        """What is wrong with the chat template, so that no prompt can be made with it; empty when nothing is known to be."""
        return self._template.problem if self._template is not None else ""

    @property
    def takes_system(self) -> bool:
        """Whether the chat template is known to have a system role."""
        return self.has_template and not self._ability.problem and self._ability.takes(SYSTEM)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of the chat template before the first reply, as sentences."""
        if not self.has_template:
            return (
                "This model has no chat template: it continues your text instead of answering it.",
            )
        if self.problem:
            return (
                f"This model's chat template is broken ({self.problem}), so the model can't generate replies.",
            )
        if self._ability.problem:
            return (
                f"This model's chat template failed on a short test chat ({self._ability.problem}): replies may fail.",
            )
        notes = []
        if self._ability.fills_gaps:
            notes.append(
                "This model's chat template requires values that a chat doesn't have, such as tools: they are left empty."
            )
        if not self.takes_system:
            notes.append(
                f"This model's chat template has no system role: the system prompt goes into your {_whose(self._ability)} message."
            )
        if self._ability.start:
            notes.append(
                "This model's chat template doesn't add the marker that starts a reply; the marker from earlier replies is used instead."
            )
        return tuple(notes)

    def build(
        self,
        messages: Sequence[Message],
        continue_last: bool = False,
        switches: Mapping[str, Json] | None = None,
        cancelled: IsCancelled = never,
    ) -> Prompt:
        """Return the prompt of a chat.

        Args:
            messages: oldest first.
            continue_last: the prompt ends in the middle of the last message, which is the assistant's.
            switches: what the user chose of the template's switches; names that it does not know are left out.
            cancelled: tells when the prompt is not wanted any more.

        Raises:
            Cancelled: `cancelled` returned True.
            GenerationError: there is nothing to reply to, the chat template refuses the chat, or it or the tokenizer takes too long.
        """
        chat = [_cleaned(message) for message in messages]
        chat = [message for message in chat if message.role != SYSTEM or message.content]
        if continue_last and chat and not (chat[-1].content or chat[-1].reasoning):
            chat, continue_last = chat[:-1], False
        if continue_last and (not chat or chat[-1].role != ASSISTANT):
            raise GenerationError("There is no reply to continue.", "Send a message first.")
        if not any(message.role != SYSTEM for message in chat):
            raise GenerationError("There is no message to reply to.", "Send a message first.")
        if not self.has_template:
            return self._plain(chat, continue_last, cancelled)
        known = {switch.name for switch in self.switches}
        chosen = {name: value for name, value in (switches or {}).items() if name in known}
        if continue_last:
            return self._continued(chat, chosen, cancelled)
        return self._fresh(chat, chosen, cancelled)

    # -- with a chat template

    def _fresh(
        self, chat: list[Message], switches: Mapping[str, Json], cancelled: IsCancelled
    ) -> Prompt:
        return self._head(chat, switches, cancelled)[0]

    def _head(
        self,
        chat: list[Message],
        switches: Mapping[str, Json],
        cancelled: IsCancelled,
        *,
        continues: bool = False,
    ) -> tuple[Prompt, Shaped]:
        """Return the prompt up to where the reply begins, and the chat in the shape that it was made of."""
        ids, shaped = self._made(chat, switches, cancelled, continues=continues)
        tail = self.text(ids[-_TAIL_IDS:], cancelled)
        opened = opened_by(tail, self.marks)
        is_over = is_over_after(tail, self.marks)
        return Prompt(tuple(ids), opened, is_over=is_over, notes=shaped.notes), shaped

    def _continued(
        self, chat: list[Message], switches: Mapping[str, Json], cancelled: IsCancelled
    ) -> Prompt:
        """Return a prompt that ends with what the assistant said so far.

        The head of the turn is the template's; what was said is encoded after it as plain text, so that no template can
        strip its last space or close the turn.
        """
        head, shaped = self._head(chat, switches, cancelled, continues=True)
        last = shaped.messages[-1]
        marks = head.opened or next(iter(self.marks), THINK)
        written = marks.written(
            last.reasoning, last.content, is_open=head.opens_reasoning, is_over=head.is_over
        )
        if written and not (last.reasoning or head.opens_reasoning or head.is_over):
            # The template's known text takes precedence over its family's; a space is the last resort.
            start = self._answer_start(head, last.content)
            written[0] = start if start.strip() else written[0] or start

        def encode() -> list[int]:
            plain, typed = self._encoder.plain, self._encoder.typed
            return [
                token
                for number, piece in enumerate(written)
                for token in (typed if number % 2 else plain)(piece)
            ]

        ids = (*head.ids, *self._encoder.run(encode, cancelled))
        if not last.content:
            return Prompt(ids, opened=marks, continues=True, notes=head.notes)
        is_over = bool(last.reasoning) or head.is_over or head.opens_reasoning
        return Prompt(ids, is_over=is_over, continues=True, notes=head.notes, said=last.content)

    def _answer_start(self, head: Prompt, said: str) -> str:
        """Return what the template writes before an answer, unless the start of the reply ends with it already."""
        start = self._ability.answer_start
        if not start.strip():
            # A space that the model begins with may be its own already.
            return "" if said[:1].isspace() else start
        tail = list(head.ids[-_TAIL_IDS:])
        written = str(self._tokenizer.decode(tail, skip_special_tokens=False))
        return "" if written.rstrip().endswith(start.strip()) else start

    def text(self, ids: Sequence[int], cancelled: IsCancelled = never) -> str:
        """Return the text of ids, with its special tokens."""
        decode = self._tokenizer.decode
        return self._encoder.run(
            lambda: str(decode(list(ids), skip_special_tokens=False)), cancelled
        )

    def behind_replies(self) -> tuple[str, str]:
        """Return what the template writes behind the assistant's words, up to the user's next ones and at the end of a chat.

        Either is empty where that can't be found.
        """
        said, asked = f"{_PROBE}-1", f"{_PROBE}-2"
        chat = [Message(USER, "?"), Message(ASSISTANT, said)]
        at_end = self._behind(said, chat)
        between, is_there, _ = self._behind(said, [*chat, Message(USER, asked)]).partition(asked)
        return between if is_there else "", at_end

    def unwritten_head(self) -> str:
        """Return what the template writes before the assistant's words, but not at the end of a prompt: a model writes it itself then."""
        asked, said = f"{_PROBE}-1", f"{_PROBE}-2"
        chat = [Message(USER, asked)]
        whole = self._behind(asked, [*chat, Message(ASSISTANT, said)]).partition(said)[0]
        prompt = self._behind(asked, chat, begins_reply=True) + self._ability.start
        return whole.removeprefix(prompt) if whole.startswith(prompt) else ""

    def _behind(self, said: str, chat: list[Message], *, begins_reply: bool = False) -> str:
        try:
            return self._rendered(chat, begins_reply=begins_reply).partition(said)[2]
        except Exception as error:  # noqa: BLE001 - template and tokenizer are programs of somebody else; then the named ids must do
            log(_log, logging.INFO, "can't find the end of a turn in the chat template", error)
            return ""

    def template_ids(self, text: str) -> list[int]:
        """Return the ids of a text that the template writes; none where the tokenizer can't tell."""
        try:
            return self._encoder.run(lambda: self._encoder.plain(text))
        except Exception as error:  # noqa: BLE001 - the tokenizer may be a program of somebody else
            log(_log, logging.INFO, "can't encode the chat template's markers", error)
            return []

    def count(self, text: str) -> int:
        """Return how many tokens a text has by itself."""
        return len(self._encoder.run(lambda: self._encoder.typed(text)))

    def costs(self, messages: Sequence[Message], cancelled: IsCancelled = never) -> tuple[int, ...]:
        """Return what each message takes in a prompt, with what the template puts around it.

        Raises:
            Cancelled: `cancelled` returned True.
            GenerationError: the tokenizer takes too long.
        """
        around = self._around_turns()
        typed = self._encoder.typed
        counts = self._encoder.run(
            lambda: [len(typed(message.content)) for message in messages], cancelled
        )
        return tuple(
            # A reply without text is not sent.
            count + around.get(message.role, 0) if count or message.role != ASSISTANT else 0
            for count, message in zip(counts, messages, strict=True)
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
        return self._encoder.run(lambda: self._split(text))

    def _split(self, text: str) -> tuple[str, ...]:
        if not getattr(self._tokenizer, "is_fast", False):
            return tuple(
                str(self._tokenizer.decode([token])) for token in self._encoder.typed(text)
            )
        text = clean(text)
        encoded = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        pieces, done = [], 0
        for start, end in encoded["offset_mapping"]:
            pieces.append(text[max(start, done) : end])
            done = max(done, end)
        return tuple(pieces)

    def _made(
        self,
        chat: list[Message],
        switches: Mapping[str, Json],
        cancelled: IsCancelled,
        *,
        continues: bool,
    ) -> tuple[list[int], Shaped]:
        """Return the ids of the first shape of a chat that the template takes with all that was said; else with what is needed.

        Raises:
            GenerationError: there is no such shape.
        """
        refusal: Exception | None = None
        second_best: tuple[list[int], Shaped] | None = None
        for ability in self._abilities():
            shaped = self._shaped(chat, ability, continues=continues)
            try:
                found = self._attempt(shaped, ability, cancelled, continues=continues, **switches)
            except (Cancelled, GenerationError):
                raise
            except Exception as error:  # noqa: BLE001 - a tokenizer may be a program of somebody else
                refusal = refusal or error
                continue
            if found is None:
                continue
            ids, is_whole = found
            if is_whole:
                return ids, shaped
            notes = (*shaped.notes, _SHORTENS)
            second_best = second_best or (ids, replace(shaped, notes=notes))
        if second_best is None:
            raise _unsendable(refusal) from refusal
        return second_best

    def _shaped(self, chat: list[Message], ability: Ability, *, continues: bool) -> Shaped:
        """Return a chat in the shape for an ability.

        Raises:
            GenerationError: nothing is left of it to reply to.
        """
        shaped = chat_shape.shaped(chat, ability, continues=continues)
        if not any(message.role != SYSTEM for message in shaped.sent):
            raise GenerationError("There is no message to reply to.", "Send a message first.")
        is_moved = self._ability.takes(SYSTEM) and not ability.takes(SYSTEM)
        if is_moved and any(message.role == SYSTEM for message in shaped.sent):
            moved = _MOVED.format(_whose(ability))
            return replace(shaped, notes=(*shaped.notes, moved))
        return shaped

    def _attempt(
        self,
        shaped: Shaped,
        ability: Ability,
        cancelled: IsCancelled,
        *,
        continues: bool,
        **options: Any,
    ) -> tuple[list[int], bool] | None:
        """Return the ids that the template makes of a chat, and whether all that was said is there; None where what is needed is not.

        Raises:
            Exception: whatever `_ids` raises.
        """
        head = shaped.messages[:-1] if continues else shaped.messages
        sent = shaped.sent[:-1] if continues else shaped.sent
        ids, text = self._ids(head, ability, cancelled, **options)
        prompt = PromptText(text, self._template.commands if self._template else ())
        # One is enough to know it: there may be thousands.
        lacking = next(prompt.left_out(sent), None)
        if lacking is not None:
            wanted = needed(sent)
            if lacking in wanted or any(prompt.left_out(wanted)):
                return None
        return (
            (ids, lacking is None) if self._is_heard(head, ability, cancelled, **options) else None
        )

    def _abilities(self) -> Iterator[Ability]:
        """Yield what the template may take: first what was found out, then less and less."""
        found = self._ability
        strict = found.strict()
        plain = strict.without_system()
        yield from (found, strict, plain, replace(plain, hears_last=True))
        if found.problem:
            yield from (strict.in_parts(), strict.without_system().in_parts())

    def _is_heard(
        self, chat: Sequence[Message], ability: Ability, cancelled: IsCancelled, **options: Any
    ) -> bool:
        """Return whether the user is heard by a template that was deaf when it was tried; a short text may be there by chance."""
        if not self._ability.problem:
            return True
        asked = max((n for n, message in enumerate(chat) if message.role == USER), default=None)
        if asked is None:
            return True
        said = f"{chat[asked].content} {_PROBE}"
        twin = [*chat[:asked], replace(chat[asked], content=said), *chat[asked + 1 :]]
        try:
            return _PROBE in self._ids(twin, ability, cancelled, **options)[1]
        except (Cancelled, GenerationError):
            raise
        except Exception:  # noqa: BLE001 - a tokenizer may be a program of somebody else
            return False

    def _ids(
        self, chat: Sequence[Message], ability: Ability, cancelled: IsCancelled, **options: Any
    ) -> tuple[list[int], str]:
        """Return the ids that the template makes of a chat to be replied to, and their text.

        Raises:
            TemplateRefusedError: it does not take this chat.
            Exception: whatever the tokenizer raised.
        """
        options["add_generation_prompt"] = True
        entries = chat_shape.entries(chat, ability)
        if self._template is None or self._has_own_way:
            return self._encoder.run(lambda: self._own(entries, **options), cancelled)
        pieces = self._template.render(entries, cancelled, fills_gaps=ability.fills_gaps, **options)
        pieces = [*pieces[:-1], pieces[-1] + ability.start]
        return self._encoder.run(lambda: self._encoder.joined(pieces), cancelled), "".join(pieces)

    def _own(self, entries: list[dict[str, Json]], **options: Any) -> tuple[list[int], str]:
        """Return the prompt made by a tokenizer's custom code instead of transformers."""
        make: Callable[..., Any] = self._tokenizer.apply_chat_template
        if _SANITIZE in inspect.signature(make).parameters:
            options[_SANITIZE] = True
        made = make(entries, tokenize=True, return_dict=True, **options)
        ids = [int(token) for token in made["input_ids"]]
        try:
            text = make(entries, tokenize=False, **options)
        except Exception:  # noqa: BLE001 - a tokenizer may be a program of somebody else, which need not be able to do this
            text = None
        if not isinstance(text, str):
            text = self._tokenizer.decode(ids, skip_special_tokens=False)
        return ids, str(text)

    def _rendered(self, chat: Sequence[Message], *, begins_reply: bool = False) -> str:
        """Return the text that the template makes of a short chat; raises what `_ids` raises."""
        entries = chat_shape.entries(chat, self._ability)
        trial = Trial(entries, begins_reply, self._ability.fills_gaps)
        ((text, why),) = self._tried_out([trial])
        if text is None:
            raise TemplateRefusedError(why)
        return text

    def _found_ability(self) -> Ability:
        """Return what the template takes, found out by trying."""
        if self._template is None:
            return Ability()
        try:
            found = template_ability.find(self._tried_out)
        except GenerationError as error:
            return Ability(problem=error.message)
        if any(mark in found.start for row in self.marks for mark in row.all):
            # It starts an answer; a model that reasons first must keep that choice.
            return replace(found, start="", answer_start=found.start)
        # What a tokenizer's own code makes are ids, to which nothing is added.
        return replace(found, start="") if self._has_own_way else found

    def _tried_out(self, trials: Sequence[Trial]) -> Rendered:
        """Return what the template, or a tokenizer's own code, makes of short chats."""
        if self._template is None or self._has_own_way:
            return [self._encoder.run(partial(self._tried_own, trial)) for trial in trials]
        return self._template.try_out(
            [
                {
                    "typed": {
                        "messages": trial.messages,
                        "add_generation_prompt": trial.begins_reply,
                    },
                    "fills_gaps": trial.fills_gaps,
                }
                for trial in trials
            ]
        )

    def _tried_own(self, trial: Trial) -> tuple[str | None, str]:
        make: Callable[..., Any] = self._tokenizer.apply_chat_template
        try:
            return str(
                make(trial.messages, tokenize=False, add_generation_prompt=trial.begins_reply)
            ), ""
        except Exception as error:  # noqa: BLE001 - a tokenizer may be a program of somebody else
            return None, words(error)

    # -- without one

    def _plain(self, chat: list[Message], continue_last: bool, cancelled: IsCancelled) -> Prompt:
        text = "\n\n".join(message.content for message in chat if message.content.strip())
        ids = self._encoder.run(lambda: self._encoder.whole(text), cancelled)
        if not ids:
            raise GenerationError("There is no message to reply to.", "Send a message first.")
        said = chat[-1].content if continue_last else ""
        return Prompt(tuple(ids), continues=continue_last, said=said)


def _has_own_way(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether a tokenizer's own code makes prompts; such code comes with the model, and runs only where that was agreed to."""
    made_by = getattr(type(tokenizer).apply_chat_template, "__module__", "")
    return made_by != "transformers.tokenization_utils_base"


def _whose(ability: Ability) -> str:
    return "last" if ability.hears_last else "first"


def _unsendable(refusal: Exception | None) -> GenerationError:
    """Return the error that says why no prompt can be made of a chat."""
    if refusal is None:
        return GenerationError(
            "The model's chat template omits your message or the system prompt from the prompt.",
            "Use another model, or fix its chat template.",
        )
    return GenerationError(
        f"The model's chat template rejects this chat ({words(refusal)}).",
        "Change the part that it rejects, or use another model.",
    )


def _cleaned(message: Message) -> Message:
    """Return a message whose texts a tokenizer takes."""
    return replace(
        message,
        role=clean(message.role).strip().lower() or USER,
        content=_UNSAID.sub("", clean(message.content)),
        reasoning=_UNSAID.sub("", clean(message.reasoning)),
    )

"""The marks that models write around reasoning: one table for streams, continued replies, and imports.

A model family whose thoughts are not told from its answers needs a row here and nothing else. How text is parted by the marks is the
business of `thoughts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from tui.dataclass import dataclass
from tui.pattern import pattern


@dataclass(frozen=True, slots=True)
class Marks:
    """The reasoning marks of one model family.

    Attributes:
        opening: what opens the reasoning.
        closings: what may close it; the first is what is written.
        answer_opening: what stands between the closing mark and the answer; empty for nothing.
        answer_closings: what may stand behind the answer.
        header: what begins and ends the header of a part, where each part is a channel with a name; empty for none.
        answer_channels: the names of channels that are answers.
        role: what may stand before the mark of a part; it belongs to neither.
        needs: what a template or vocabulary has when a model writes these marks; empty for its opening or first closing mark.
        around_reasoning: what is written after the opening mark and before the closing one.
        before_answer: what is written before the answer.
        are_words: whether the marks are words that any model may say; they count only for one that is known to write them.
    """

    opening: str
    closings: tuple[str, ...]
    answer_opening: str = ""
    answer_closings: tuple[str, ...] = ()
    header: tuple[str, str] | None = None
    answer_channels: tuple[str, ...] = ()
    role: str = ""
    needs: tuple[str, ...] = ()
    around_reasoning: str = ""
    before_answer: str = ""
    are_words: bool = False

    @property
    def all(self) -> tuple[str, ...]:
        """Every text that is a mark or a part of one."""
        header = self.header or ()
        texts = (self.opening, *self.closings, self.answer_opening, *self.answer_closings)
        return tuple(text for text in (*texts, *header, self.role) if text)

    @property
    def lone_closing(self) -> str:
        """The closing mark that says by itself that reasoning stood before it; empty when it closes other things too."""
        return "" if self.closings[0] in self.answer_closings else self.closings[0]

    @property
    def bare_answer_opening(self) -> str:
        """What opens the answer, without the role before it."""
        return self.answer_opening.removeprefix(self.role)

    @property
    def tokens(self) -> frozenset[str]:
        """The marks as a vocabulary has them: one that is made of several tokens in its pieces."""
        return frozenset(piece for text in self.all for piece in (text, *_TOKEN.findall(text)))

    def is_known(self, has: Callable[[str], bool]) -> bool:
        """Return whether a model writes these marks.

        Args:
            has: tells whether its template or its vocabulary has a text.
        """
        if self.needs:
            return all(map(has, self.needs))
        return has(self.opening) or has(self.closings[0])

    def written(self, reasoning: str, answer: str, *, is_open: bool, is_over: bool) -> list[str]:
        """Return a reply as the model writes it, in pieces: marks and what was said, in turn.

        Args:
            reasoning: what was thought; with an empty answer, the thoughts go on.
            answer: what was said.
            is_open: the opening mark stands before it already.
            is_over: all that stands before an answer does so already.
        """
        between = f"{self.around_reasoning}{self.closings[0]}{self.before_answer}"
        opened = "" if is_open else f"{self.opening}{self.around_reasoning}"
        if not answer:
            return [opened, reasoning] if reasoning else []
        if reasoning:
            return [opened, reasoning, f"{between}{self.answer_opening}", answer]
        if is_over:
            return ["", answer]
        return [f"{between}{self.answer_opening}" if is_open else self.bare_answer_opening, answer]


_TOKEN: Final = pattern(r"<[^<>\s]+>|\[[^\[\]\s]+\]")
_CLOSING_TAG: Final = pattern(r"</([\w:.-]{0,30}(?:think|thought|reasoning)[\w:.-]{0,30})>")
_MOST_OWN: Final = 4


def _tags(name: str) -> Marks:
    return Marks(f"<{name}>", (f"</{name}>",), around_reasoning="\n", before_answer="\n\n")


THINK: Final = _tags("think")
"""What most families write, and what is written to a model of which nothing is known."""

HARMONY: Final = Marks(
    "<|channel|>analysis<|message|>",
    ("<|end|>", "<|return|>", "<|call|>"),
    answer_opening="<|start|>assistant<|channel|>final<|message|>",
    answer_closings=("<|end|>", "<|return|>"),
    header=("<|channel|>", "<|message|>"),
    answer_channels=("final", "commentary"),
    role="<|start|>assistant",
    needs=("<|channel|>", "<|message|>"),
)

TABLE: Final[tuple[Marks, ...]] = (
    # gpt-oss.
    HARMONY,
    # Gemma 4; the name of the channel is the only one that it thinks in.
    Marks("<|channel>thought", ("<channel|>",), needs=("<|channel>", "<channel|>"), around_reasoning="\n"),
    # Command A+; Command A and Command R7B.
    Marks("<|START_THINKING|>", ("<|END_THINKING|>",), "<|START_TEXT|>", ("<|END_TEXT|>",),
          needs=("<|START_THINKING|>", "<|START_TEXT|>")),
    Marks("<|START_THINKING|>", ("<|END_THINKING|>",), "<|START_RESPONSE|>", ("<|END_RESPONSE|>",)),
    # Solar.
    Marks("<|think|>", ("<|end|>",), "<|begin|>assistant<|content|>", ("<|end|>",), role="<|begin|>assistant",
          needs=("<|think|>", "<|content|>")),
    Marks("<|think|>", ("<|/think|>",)),
    # Sky-T1, OpenThinker.
    Marks("<|begin_of_thought|>", ("<|end_of_thought|>",), "<|begin_of_solution|>", ("<|end_of_solution|>",),
          around_reasoning="\n\n", before_answer="\n\n"),
    # Hunyuan, AM-Thinking; Granite 3.3, Ernie.
    Marks("<think>", ("</think>",), "<answer>", ("</answer>",), needs=("<think>", "<answer>"),
          around_reasoning="\n", before_answer="\n"),
    Marks("<think>", ("</think>",), "<response>", ("</response>",), needs=("<think>", "<response>"),
          around_reasoning="\n", before_answer="\n"),
    # Reflection; Marco-o1.
    Marks("<thinking>", ("</thinking>",), "<output>", ("</output>",), needs=("<thinking>", "<output>"),
          around_reasoning="\n", before_answer="\n\n"),
    Marks("<Thought>", ("</Thought>",), "<Output>", ("</Output>",), needs=("<Thought>", "<Output>"),
          around_reasoning="\n", before_answer="\n"),
    # Magistral, Ministral.
    Marks("[THINK]", ("[/THINK]",)),
    # Seed-OSS.
    Marks("<seed:think>", ("</seed:think>",)),
    # Kimi-VL.
    Marks("◁think▷", ("◁/think▷",)),
    # Apertus.
    Marks("<|inner_prefix|>", ("<|inner_suffix|>",)),
    # MedGemma.
    Marks("<unused94>thought", ("<unused95>",), needs=("<unused94>thought",), around_reasoning="\n"),
    # Kimi K3.
    Marks("<|open|>think<|sep|>", ("<|close|>think<|sep|>",), "<|open|>response<|sep|>",
          ("<|close|>response<|sep|>", "<|close|>message<|sep|>"), needs=("<|open|>", "<|close|>", "<|sep|>")),
    # Solar Open 2; PLaMo 3; Pangu.
    Marks("<|think:start|>", ("<|think:end|>",)),
    Marks("<|plamo:begin_think:plamo|>", ("<|plamo:end_think:plamo|>",), needs=("<|plamo:",)),
    Marks("[unused16]", ("[unused17]",), needs=("[unused16]", "[unused17]")),
    # Apriel; the opening stands in the prompt of some.
    Marks("Here are my reasoning steps:", ("[BEGIN FINAL RESPONSE]",), answer_closings=("[END FINAL RESPONSE]",),
          needs=("[BEGIN FINAL RESPONSE]",), around_reasoning="\n", before_answer="\n", are_words=True),
    # Granite 3.1 and 3.2, which also shorten it.
    *(Marks(f"Here{is_} my thought process:", ("Here is my response:", "Here's my response:"),
            needs=("Here is my thought process:",), around_reasoning="\n", before_answer="\n", are_words=True)
      for is_ in (" is", "'s")),
    # MiniMax M3.
    Marks("<mm:think>", ("</mm:think>",)),
    # LongCat, Marin.
    _tags("longcat_think"),
    Marks("<|start_think|>", ("<|end_think|>",)),
    # DeepSeek R1, Qwen 3, GLM, SmolLM3 and most others.
    THINK,
    # EXAONE Deep; Reka; models that are asked to, or were trained on those that are.
    _tags("thought"),
    _tags("thinking"),
    _tags("reasoning"),
    # What Claude was asked to write in its artifacts.
    _tags("antThinking"),
)  # fmt: skip


def known_marks(has: Callable[[str], bool]) -> tuple[Marks, ...]:
    """Return the marks that a model writes, the likeliest first; none when nothing is known of it.

    Args:
        has: tells whether its template or its vocabulary has a text.
    """
    return tuple(marks for marks in TABLE if marks.is_known(has))


def marks_in(
    template: str, has_token: Callable[[str], bool], added: Iterable[str] = ()
) -> tuple[Marks, ...]:
    """Return the marks that a model writes, the likeliest first, as its chat template and its vocabulary tell.

    Args:
        template: its chat template.
        has_token: tells whether its vocabulary has a text as one token.
        added: the tokens that were added to its vocabulary, such as special ones.
    """
    found = known_marks(lambda text: text in template or has_token(text))
    return (*_own_pairs("\n".join((template, *added))), *found)


def _own_pairs(text: str) -> list[Marks]:
    """Return tags that are not in the table, but are as clear: a pair of a name of its own, as `<think:6124>`."""
    names = dict.fromkeys(_CLOSING_TAG.findall(text))
    known = {row.opening for row in TABLE}
    tags = [name for name in names if f"<{name}>" in text and f"<{name}>" not in known]
    return [Marks(f"<{name}>", (f"</{name}>",)) for name in tags[:_MOST_OWN]]


ANY: Final = tuple(marks for marks in TABLE if not marks.are_words)
"""Those that count for every model, also for one that is not known to write them."""


def opened_by(text: str, marks: Sequence[Marks] = ANY) -> Marks | None:
    """Return the marks whose opening a prompt ends with; None when it does not end inside reasoning."""
    end = text.rstrip()
    return next((one for one in marks if end.endswith(one.opening)), None)


def is_over_after(text: str, marks: Sequence[Marks] = ANY) -> bool:
    """Return whether a prompt ends behind reasoning, so that what follows can only be the answer."""
    end = text.rstrip()
    behind = (end.endswith((*one.closings, one.answer_opening or one.closings[0])) for one in marks)
    return any(behind)


PLAIN: Final = tuple(marks for marks in ANY if not marks.answer_closings)
"""Those that are a mark before the reasoning and one behind it, and nothing else."""

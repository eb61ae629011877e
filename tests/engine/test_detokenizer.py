"""Ids to text while they are generated: whole characters, nothing lost, nothing changed."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.tiny import tokenizer
from tui.engine.local.detokenizer import (
    ByteLevelDetokenizer,
    Characters,
    WindowDetokenizer,
    detokenizer,
)

TEXTS = [
    "plain words, and  two spaces",
    "emoji 😀 and a family 👩‍👩‍👧‍👦, a flag 🇫🇷, a skin tone 👍🏽",
    "日本語のテキスト 中文 한국어",
    "naïve café – “quotes” ∑ ≈",
    "\n\n```python\nprint('héllo 🐍')\n```\n",
]


@pytest.fixture(scope="module")
def bytewise():
    return tokenizer()


def slow(source, before=()):
    """A detokenizer that knows nothing but how to decode."""
    decode = source.decode
    return WindowDetokenizer(
        lambda ids: decode(ids, skip_special_tokens=False), lambda _: None, None, before
    )


@pytest.mark.parametrize("kind", [detokenizer, slow])
@pytest.mark.parametrize("text", TEXTS)
def test_no_half_character_is_ever_emitted(bytewise, kind, text):
    stream = kind(bytewise)
    pieces = [stream.step(token) for token in bytewise.encode(text, add_special_tokens=False)]
    assert len(pieces) == len(
        text.encode()
    )  # one token per byte: every character is split at every byte
    assert "�" not in "".join(pieces)
    assert "".join(pieces) == text


def grouped_tokenizer(text, size):
    """A tokenizer whose tokens are `size` bytes of `text`, wherever that cuts its characters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    letters = alphabet.pre_tokenize_str(text)[0][0]
    tokens = [letters[start : start + size] for start in range(0, len(letters), size)]
    backend = Tokenizer(
        models.WordLevel({token: i for i, token in enumerate(dict.fromkeys(tokens))}, "")
    )
    backend.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=backend)
    return made, [backend.token_to_id(token) for token in tokens]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("text", TEXTS)
def test_tokens_may_cut_characters_anywhere(text, size):
    made, ids = grouped_tokenizer(text, size)
    for stream in (detokenizer(made), slow(made)):
        pieces = [stream.step(token) for token in ids]
        assert not any("�" in piece for piece in pieces)
        assert "".join(pieces) == text


def test_a_continued_text_keeps_its_first_space():
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({"▁one": 0, "▁two": 1}, ""))
    backend.decoder = decoders.Metaspace()
    made = PreTrainedTokenizerFast(tokenizer_object=backend)
    assert detokenizer(made, [0]).step(1) == " two"
    assert detokenizer(made).step(1) == "two"
    assert slow(made, [0]).step(1) == " two"


class Decoding:
    """A slow tokenizer whose decoding is a function."""

    def __init__(self, decode):
        self._decode = decode
        self.longest = 0

    def decode(self, ids, **_options):
        self.longest = max(self.longest, len(ids))
        return self._decode(ids)


@pytest.mark.parametrize("text", ["", "\ufffd"])
def test_tokens_that_never_give_a_whole_character_are_not_kept_for_ever(text):
    source = Decoding(lambda ids: text * len(ids) if 65 not in ids[-1:] else text * len(ids) + "A")
    stream = slow(source)
    assert set("".join(stream.step(1) for _ in range(2_000))) == set(text)
    assert stream.step(65).endswith("A")
    assert source.longest < 200


def test_tokens_that_never_give_a_whole_character_don_t_keep_later_ones_back(bytewise):
    first, *_ = bytewise.encode("é", add_special_tokens=False)
    stream = detokenizer(bytewise)
    strays = "".join(stream.step(first) for _ in range(2_000))
    assert strays == "\ufffd" * 1_999
    later = bytewise.encode(" and so on", add_special_tokens=False)
    assert "".join(stream.step(token) for token in later) == "\ufffd and so on"


# -- bytes that are no character

PIECES = ["▁", "a", "n", "b", "▁a", "z", "\ufffd", "é"]
FIRST_BYTE, FIRST_PIECE = 3, 259


def with_bytes(model="bpe", **options):
    """A tokenizer with a token for each byte beside its pieces, as Llama 2, Mistral and Gemma have them; see `byte_of`."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *PIECES]
    if model == "bpe":
        vocabulary = {name: number for number, name in enumerate(names)}
        kind = models.BPE(vocabulary, [("▁", "a")], unk_token="<unk>", byte_fallback=True)
    else:
        kind = models.Unigram([(name, -1.0) for name in names], unk_id=0, byte_fallback=True)
    backend = Tokenizer(kind)
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, **options)


def byte_of(value):
    return FIRST_BYTE + value


def utf8(text):
    return [byte_of(value) for value in text.encode()]


def piece(text):
    return FIRST_PIECE + PIECES.index(text)


def streamed(made, ids, before=()):
    stream = detokenizer(made, before)
    return "".join(stream.step(token) for token in ids)


STRAY = {
    "after an emoji": ([piece("a"), *utf8("😀"), byte_of(0xC3), piece("n")], "a😀\ufffdn"),
    "after a line break": ([piece("a"), byte_of(10), byte_of(0xC3), piece("n")], "a\n\ufffdn"),
    "only continuations": ([byte_of(0x98), byte_of(0x80), piece("b")], "\ufffd\ufffdb"),
    "half a character": ([*utf8("あ")[:2], piece("▁a")], "\ufffd\ufffd a"),
    "a space first": ([byte_of(0x20), *utf8("é"), piece("▁a")], "é a"),
    "before a character": ([piece("a"), byte_of(0xF0), *utf8("あ"), piece("n")], "a\ufffdあn"),
    "a piece that says so": ([piece("\ufffd"), piece("a")], "\ufffda"),
    "ids of no token": ([piece("a"), 9_999, piece("n")], "an"),
}


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def bytes_beside(request):
    return with_bytes(request.param)


@pytest.mark.parametrize("name", STRAY)
def test_a_stray_byte_is_marked_and_the_text_goes_on(bytes_beside, name):
    ids, text = STRAY[name]
    assert streamed(bytes_beside, ids) == text


def test_what_was_told_is_told_before_the_stray_byte_comes(bytes_beside):
    stream = detokenizer(bytes_beside)
    told = [stream.step(token) for token in (*utf8("😀"), byte_of(0xC3))]
    assert told == ["", "", "", "😀", ""]


@pytest.mark.parametrize("cut", range(17))
def test_a_reply_goes_on_in_the_middle_of_bytes(bytes_beside, cut):
    ids = [*utf8("ሀለሐ"), *utf8("あ"), piece("n"), piece("▁a"), *utf8("é")]
    text = streamed(bytes_beside, ids[:cut])
    assert text + streamed(bytes_beside, ids[cut:], ids[:cut]) == "ሀለሐあn aé"


def wanted(ids):
    """What a text of these ids is, each stray byte by itself; without half a character at the end."""
    text = ""
    for are_bytes, run in groupby(ids, lambda token: FIRST_BYTE <= token < FIRST_PIECE):
        if are_bytes:
            data = bytes(token - FIRST_BYTE for token in run)
            text += "".join(
                "\ufffd" if "\udc80" <= letter <= "\udcff" else letter
                for letter in data.decode(errors="surrogateescape")
            )
        else:
            names = ["<unk>", "<s>", "</s>"]
            text += "".join(
                names[token] if token < 3 else PIECES[token - FIRST_PIECE].replace("▁", " ")
                for token in run
            )
    return text.removeprefix(" ")


some_bytes = st.sampled_from(
    [byte_of(value) for value in (0x20, 0x41, 0x80, 0xBF, 0xC3, 0xE3, 0x81, 0x82, 0xF0, 0x9F, 0xFF)]
)


@settings(deadline=None, max_examples=200)
@given(st.lists(some_bytes | st.integers(0, FIRST_PIECE + len(PIECES) - 1), max_size=12))
def test_any_ids_have_a_text_with_tokens_for_bytes(ids):
    for made in MADE:
        text, own = streamed(made, ids), made.decode(ids)
        assert wanted(ids).startswith(text)
        assert set(wanted(ids)[len(text) :]) <= {"\ufffd"}
        if "\ufffd" not in own:
            assert text == own


MADE = [with_bytes("bpe"), with_bytes("unigram")]
LEVEL = tokenizer()


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, len(LEVEL) + 3), max_size=12))
def test_any_ids_have_a_text_with_tokens_of_bytes(ids):
    text, own = streamed(LEVEL, ids), LEVEL.decode(ids)
    assert own.startswith(text)
    assert set(own[len(text) :]) <= {"\ufffd"}
    for cut in range(len(ids)):
        assert streamed(LEVEL, ids[:cut]) + streamed(LEVEL, ids[cut:], ids[:cut]) == text


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 12), max_size=12))
def test_any_ids_have_a_text_where_tokens_are_words(ids):
    for made in WORDS:
        assert streamed(made, ids) == made.decode(ids, clean_up_tokenization_spaces=False)


def words(model, decoder):
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(model)
    backend.decoder = decoder
    return PreTrainedTokenizerFast(tokenizer_object=backend)


def _words():
    from tokenizers import decoders, models

    pieces = ["<unk>", "▁the", "▁a", "s", "▁", "é", "x"]
    subwords = {name: number for number, name in enumerate(["[UNK]", "the", "##s", "a", "##é"])}
    suffixed = {name: number for number, name in enumerate(["the</w>", "s", "a</w>", "é"])}
    unigram = models.Unigram([(name, -1.0) for name in pieces], unk_id=0)
    return [
        words(unigram, decoders.Metaspace()),
        words(models.WordPiece(subwords), decoders.WordPiece(cleanup=False)),
        words(models.BPE(suffixed, []), decoders.Sequence([decoders.Fuse()])),
    ]


WORDS = _words()


def test_bytes_are_put_together_as_python_does():
    data = b"a\xf0\x9f\x98\xc3(\xe3\x81\x82\xff"
    for each, text in (
        (False, data.decode(errors="replace")),
        (True, "a\ufffd\ufffd\ufffd\ufffd(あ\ufffd"),
    ):
        characters = Characters(marks_each=each)
        assert (
            "".join(characters.feed(bytes([value])) for value in data) + characters.flush() == text
        )


def test_an_added_token_of_a_byte_level_tokenizer_is_itself():
    made = tokenizer()
    made.add_tokens(["a b\n", "語"])
    stream = ByteLevelDetokenizer(made.backend_tokenizer)
    ids = made.encode("x a b\n語", add_special_tokens=False)
    assert "".join(map(stream.step, ids)) == "x a b\n語"

"""GGUF files: what their header says, and one whole conversion or none."""

import os
import struct
from types import SimpleNamespace

import pytest

from tests.engine.conftest import ask, chat, load, never
from tui.engine.base import Cancelled, LoadRequest, ModelLoadError, Progress
from tui.engine.demo import demo_model
from tui.engine.facts import gguf_facts
from tui.engine.gguf_header import Vocabulary, read_header, read_vocabulary
from tui.engine.local import gguf, manifest
from tui.engine.local.engine import LocalEngine
from tui.engine.local.progress import Reporter
from tui.engine.plausibility import check_header, check_vocabulary


def write_gguf(path, architecture="llama", *, values=(), tensors=((32, 0),), version=3):
    """A GGUF file of made-up tensors, each (elements, type)."""

    def text(string):
        return struct.pack("<Q", len(string)) + string.encode()

    entries = [text("general.architecture") + struct.pack("<I", 8) + text(architecture), *values]
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries)) + b"".join(entries)
    offset = 0
    for number, (elements, kind) in enumerate(tensors):
        head += text(f"t{number}") + struct.pack("<IQIQ", 1, elements, kind, offset)
        offset += elements * 4
    head += bytes(-len(head) % 32)
    path.write_bytes(head + bytes(offset))
    return path


def array_of_strings(key, strings):
    data = struct.pack("<Q", len(key)) + key.encode() + struct.pack("<IIQ", 9, 8, len(strings))
    return data + b"".join(struct.pack("<Q", len(s)) + s.encode() for s in strings)


def test_a_header_is_read_without_the_tensors(tmp_path):
    path = write_gguf(tmp_path / "a.gguf", values=[array_of_strings("tokens", ["a", "bc"])])
    header = read_header(path)
    assert (header.architecture, len(header.tensors), header.parameters) == ("llama", 1, 32)
    assert header.end == path.stat().st_size


def test_a_file_cut_short_at_any_place_is_refused(tmp_path):
    whole = write_gguf(
        tmp_path / "a.gguf", values=[array_of_strings("tokens", ["a", "bc"])]
    ).read_bytes()
    path = tmp_path / "cut.gguf"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelLoadError) as raised:
            read_header(path)
        assert raised.value.hint
        assert "unpack" not in str(raised.value)


def test_hostile_headers_are_refused(tmp_path):
    path = tmp_path / "a.gguf"
    huge = struct.pack("<Q", 2**63)
    for data in (
        b"GGUF" + struct.pack("<IQQ", 3, 0, 2**40),
        b"GGUF" + struct.pack("<IQQ", 3, 2**40, 0),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + huge + b"x",
        b"GGUF" + struct.pack("<IQQ", 99, 0, 0),
        b"GGUF"
        + struct.pack("<IQQ", 3, 0, 1)
        + struct.pack("<Q", 1)
        + b"k"
        + struct.pack("<I", 77),
    ):
        path.write_bytes(data)
        with pytest.raises(ModelLoadError):
            read_header(path)


def value(key, kind, data):
    return struct.pack("<Q", len(key)) + key.encode() + struct.pack("<I", kind) + data


SCALAR_ARRAY = struct.pack("<IQ", 0, 4_000_001)
NESTED_ARRAYS = b"".join(struct.pack("<IQ", 9, 1) for _ in range(9))


@pytest.mark.parametrize(
    "entry",
    [
        value("a", 9, struct.pack("<IQ", 0, 2**63)), value("a", 9, struct.pack("<IQ", 8, 2**40)), value("a", 9, SCALAR_ARRAY),
        value("a", 9, NESTED_ARRAYS), value("a", 8, struct.pack("<Q", 2**62)), value("general.alignment", 4, struct.pack("<I", 0)),
        value("general.alignment", 4, struct.pack("<I", 33)), value("general.alignment", 10, struct.pack("<Q", 2**60)),
        value("general.alignment", 7, b"\1"), value("general.architecture", 4, struct.pack("<I", 5)),
    ],
)  # fmt: skip
def test_a_count_a_length_or_an_alignment_that_can_not_be_is_refused(tmp_path, entry):
    path = write_gguf(tmp_path / "a.gguf", values=[entry])
    with path.open("r+b") as file:
        # A file with a hole: as large as is wanted, and of zeros.
        file.truncate(2**40)
    with pytest.raises(ModelLoadError, match="isn't a complete GGUF file"):
        read_header(path)


@pytest.mark.parametrize(
    "tensor",
    [
        struct.pack("<I5QIQ", 5, 1, 1, 1, 1, 1, 0, 0), struct.pack("<I", 2**31), struct.pack("<I4QIQ", 4, *[2**63] * 4, 0, 0),
        struct.pack("<IQIQ", 1, 2**62, 0, 0), struct.pack("<IQIQ", 1, 32, 99, 0), struct.pack("<IQIQ", 1, 32, 0, 2**63),
    ],
)  # fmt: skip
def test_a_tensor_that_can_not_be_is_refused(tmp_path, tensor):
    path = tmp_path / "a.gguf"
    path.write_bytes(
        b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q", 1) + b"t" + tensor + bytes(400)
    )
    with pytest.raises(ModelLoadError, match=r"a complete GGUF file|unsupported kind of GGUF file"):
        read_header(path)


def test_a_pipe_a_folder_and_an_empty_file_are_no_gguf_files(tmp_path):
    (tmp_path / "empty.gguf").write_bytes(b"")
    (tmp_path / "folder.gguf").mkdir()
    os.mkfifo(tmp_path / "pipe.gguf")
    for name in ("empty", "folder", "pipe"):
        with pytest.raises(ModelLoadError):
            read_header(tmp_path / f"{name}.gguf")


@pytest.mark.parametrize(
    "name", ["block_count", "embedding_length", "attention.head_count", "vocab_size"]
)
@pytest.mark.parametrize("number", [2**32 - 1, 2_000_000_000])
def test_a_number_that_no_model_has_is_refused_before_anything_is_built(
    engine, tmp_path, name, number
):
    entry = value(f"llama.{name}", 4, struct.pack("<I", number))
    path = write_gguf(tmp_path / "a.gguf", values=[entry])
    assert gguf_facts(path).layers == 0
    with pytest.raises(ModelLoadError, match="which isn't plausible"):
        load(engine, path)


def array(key, kind, layout, *numbers):
    data = struct.pack("<IQ", kind, len(numbers)) + struct.pack(
        f"<{len(numbers)}{layout}", *numbers
    )
    return value(key, 9, data)


ONE = {
    "too many layers": array("llama.block_count", 4, "I", 100_000_000),
    "one layer": array("llama.block_count", 4, "I", 1),
    "too wide": array("llama.feed_forward_length", 4, "I", 100_000_000),
    "a layer that is too wide": array("llama.feed_forward_length", 4, "I", 64, 100_000_000),
    "negative": array("llama.feed_forward_length", 5, "i", -1),
    "a fraction": array("llama.feed_forward_length", 6, "f", 1e9),
    "no number": array("llama.feed_forward_length", 7, "?", True),
    "texts": array_of_strings("llama.feed_forward_length", ["100000000"]),
    "an array in an array": value(
        "llama.feed_forward_length", 9, struct.pack("<IQIQI", 9, 1, 4, 1, 100_000_000)
    ),
    "nothing": array("llama.attention.head_count_kv", 4, "I"),
    "more than there are layers": array("llama.attention.head_count_kv", 4, "I", *[8] * 3_000),
    "a single fraction": value("llama.feed_forward_length", 6, struct.pack("<f", 1e9)),
    "a single negative": value("llama.feed_forward_length", 5, struct.pack("<i", -1)),
    "another architecture's": value("qwen2.block_count", 4, struct.pack("<I", 100_000_000)),
    "experts in use": value("llama.expert_used_count", 4, struct.pack("<I", 100_000_000)),
}


@pytest.mark.parametrize("name", ONE)
def test_a_number_that_no_model_has_can_not_be_hidden_in_an_array_or_another_type(name, tmp_path):
    path = write_gguf(tmp_path / "a.gguf", values=[ONE[name]])
    with pytest.raises(ModelLoadError, match="which isn't plausible"):
        check_header(path, read_header(path))


def test_the_refusal_of_an_array_shows_what_is_in_it(tmp_path):
    for name, shown in {"too many layers": r"\[100000000\]", "texts": "an array of 1"}.items():
        path = write_gguf(tmp_path / "a.gguf", values=[ONE[name]])
        with pytest.raises(ModelLoadError, match=f" is {shown}, which"):
            check_header(path, read_header(path))


def test_a_number_for_each_layer_is_taken_where_some_architectures_have_one(tmp_path):
    entries = [
        array("llama.attention.head_count_kv", 5, "i", 0, 8, 4),
        array("llama.feed_forward_length", 4, "I", 64, 128),
        array("llama.attention.sliding_window_pattern", 7, "?", True, False),
        array("llama.rope.dimension_sections", 4, "I", 2**32 - 1),
        array("tokenizer.ggml.scores", 6, "f", *[0.5] * 3_000),
    ]
    path = write_gguf(tmp_path / "a.gguf", values=entries)
    header = read_header(path)
    check_header(path, header)
    assert header.number("attention.head_count_kv", 100) == 8
    assert header.values["tokenizer.ggml.scores"].length == 3_000


def test_an_alignment_can_not_be_hidden_in_an_array(tmp_path):
    entry = array("general.alignment", 4, "I", *[64] * 32)
    with pytest.raises(ModelLoadError, match="alignment"):
        read_header(write_gguf(tmp_path / "a.gguf", values=[entry]))


def test_a_broken_gguf_keeps_the_former_model_and_says_what_is_wrong(engine, tmp_path):
    path = write_gguf(tmp_path / "a.gguf", tensors=((4096, 0),))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelLoadError, match="isn't a complete GGUF file"):
        load(engine, path)


def test_an_architecture_that_transformers_can_not_read(engine, tmp_path):
    path = write_gguf(tmp_path / "a.gguf", "never-heard-of")
    with pytest.raises(ModelLoadError, match="can't be used") as raised:
        load(engine, path)
    assert "never-heard-of" in raised.value.hint
    assert not list((tmp_path / "cache" / "gguf").iterdir())


def test_a_changed_file_has_another_conversion(tmp_path):
    path = write_gguf(tmp_path / "a.gguf")
    first = gguf.converted_folder(path, tmp_path)
    assert first == gguf.converted_folder(path, tmp_path)
    os.utime(path, (1, 1))
    assert gguf.converted_folder(path, tmp_path) != first


def test_no_room_for_the_unpacked_weights(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(gguf.shutil, "disk_usage", lambda _path: type("Usage", (), {"free": 10}))
    with pytest.raises(ModelLoadError, match="is free there"):
        load(engine, write_gguf(tmp_path / "a.gguf"))


def test_an_unwritable_cache_folder_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelLoadError, match="can't be written"):
        load(LocalEngine(tmp_path / "file"), write_gguf(tmp_path / "a.gguf"))


@pytest.fixture
def conversion(tmp_path, monkeypatch):
    """A conversion that takes no time, and how often it was made."""
    made = SimpleNamespace(
        count=0, source=write_gguf(tmp_path / "a.gguf"), cache=tmp_path / "cache"
    )

    def convert_into(_source, folder, _header, _reporter):
        made.count += 1
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(bytes(range(256)) * 40)

    monkeypatch.setattr(gguf, "_convert_into", convert_into)
    made.convert = lambda: gguf.convert(made.source, made.cache, Reporter(lambda _: None, never))
    return made


def cut(folder):
    os.truncate(folder / "model.safetensors", 5000)


def flipped(folder):
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[77] ^= 4
    (folder / "model.safetensors").write_bytes(data)


def incomplete(folder):
    (folder / "model.safetensors").unlink()


def with_code_added(folder):
    (folder / "modeling_llama.py").write_text("print()")


def of_an_older_version(folder):
    (folder / manifest.NAME).unlink()


def a_link(folder):
    folder.rename(folder.parent.parent / "elsewhere")
    folder.symlink_to(folder.parent.parent / "elsewhere")


def a_file(folder):
    folder.rename(folder.parent.parent / "elsewhere")
    folder.write_text("")


def writable_by_others(folder):
    (folder / "model.safetensors").chmod(0o666)


def of_another_user(folder):
    if os.geteuid():
        pytest.skip("only root can give a file away")
    os.chown(folder / "model.safetensors", 12345, -1)


@pytest.mark.parametrize(
    "damage",
    [
        cut, flipped, incomplete, with_code_added, of_an_older_version, a_link, a_file,
        writable_by_others, of_another_user,
    ],
)  # fmt: skip
def test_a_conversion_that_is_not_as_it_was_written_is_made_anew(conversion, damage):
    folder = conversion.convert()
    damage(folder)
    assert conversion.convert() == folder
    assert conversion.count == 2
    assert manifest.is_whole(folder)
    conversion.convert()
    assert conversion.count == 2
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_no_one_else_can_read_a_conversion_whatever_the_umask(conversion):
    before = os.umask(0)
    try:
        folder = conversion.convert()
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_the_folder_of_the_conversions_may_be_a_link_to_a_disk_with_room(conversion, tmp_path):
    (tmp_path / "disk").mkdir()
    conversion.cache.mkdir()
    (conversion.cache / "gguf").symlink_to(tmp_path / "disk")
    folder = conversion.convert()
    assert (tmp_path / "disk" / folder.name / "config.json").is_file()
    conversion.convert()
    assert conversion.count == 1


def test_a_folder_of_somebody_else_is_not_used(conversion):
    if os.geteuid():
        pytest.skip("only root can give a folder away")
    (conversion.cache / "gguf").mkdir(parents=True)
    os.chown(conversion.cache / "gguf", 12345, -1)
    with pytest.raises(ModelLoadError, match="another user") as raised:
        conversion.convert()
    assert "Free some space there" in raised.value.hint
    assert conversion.count == 0


def test_what_a_killed_conversion_left_is_removed_by_the_next(conversion):
    left = conversion.cache / "gguf" / "0123.abc.part"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(bytes(1000))
    conversion.convert()
    assert not left.exists()


def test_a_conversion_that_another_process_finished_first_is_taken(conversion, monkeypatch):
    inner = gguf._convert_into

    def slower(*args):
        monkeypatch.setattr(gguf, "_convert_into", inner)
        conversion.convert()
        inner(*args)

    monkeypatch.setattr(gguf, "_convert_into", slower)
    assert manifest.is_whole(conversion.convert())
    assert conversion.count == 2


@pytest.mark.model
def test_the_conversion_is_private_whole_and_made_once(demo, converted):
    folder = gguf.converted_folder(demo_model(), converted)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        p.name for p in folder.iterdir()
    }
    assert not list(folder.parent.glob("*.part"))
    made_ns = (folder / "model.safetensors").stat().st_mtime_ns
    events = []
    second = LocalEngine(converted)
    info = second.load(LoadRequest(str(demo_model())), events.append, never)
    assert not any("GGUF" in event.stage for event in events if isinstance(event, Progress))
    assert (folder / "model.safetensors").stat().st_mtime_ns == made_ns
    assert info.model == str(demo_model())
    assert "unpacked" in info.notes[0]
    assert "Tokyo" in ask(second, chat("What is the capital of Japan?"), max_new_tokens=20).text


@pytest.mark.model
def test_a_cancelled_conversion_leaves_nothing_behind(engine, tmp_path):
    if demo_model() is None:
        pytest.skip("the demo model is not installed")
    events = []
    with pytest.raises(Cancelled):
        engine.load(
            LoadRequest("demo"), events.append, lambda: any("GGUF" in e.stage for e in events)
        )
    assert any("GGUF" in event.stage for event in events)
    assert list((tmp_path / "cache" / "gguf").iterdir()) == []
    assert engine.loaded is None


def with_vocabulary(path, tokens, types):
    return write_gguf(
        path,
        values=[
            array_of_strings("tokenizer.ggml.tokens", tokens),
            array("tokenizer.ggml.token_type", 5, "i", *types),
        ],
    )


def test_how_much_is_in_a_vocabulary_is_read(tmp_path):
    path = with_vocabulary(tmp_path / "a.gguf", ["a", "bcd", "<|end|>", "<x>"], [1, 1, 3, 4])
    assert read_vocabulary(path, read_header(path)) == Vocabulary(14, 2, 10)
    path = with_vocabulary(tmp_path / "b.gguf", ["ab"] * 3_000, [3] * 2_999)
    assert read_vocabulary(path, read_header(path)) == Vocabulary(6_000, 2_999, 5_998)
    path = write_gguf(tmp_path / "c.gguf")
    assert read_vocabulary(path, read_header(path)) == Vocabulary()


@pytest.mark.parametrize(
    ("tokens", "kind"), [(["x" * 41] * 100_000, 1), (["x"] * 10_001, 3), (["x" * 41] * 5_000, 4)]
)
def test_a_vocabulary_that_would_hold_up_every_thread_is_refused(tmp_path, tokens, kind):
    path = with_vocabulary(tmp_path / "a.gguf", tokens, [kind] * len(tokens))
    with pytest.raises(ModelLoadError, match=r"a\.gguf can't be used"):
        check_vocabulary(path, read_vocabulary(path, read_header(path)))
    with pytest.raises(ModelLoadError, match=r"a\.gguf can't be used"):
        gguf.convert(path, tmp_path / "cache", Reporter(lambda _event: None, never))


def test_a_file_that_changed_after_its_header_was_read_is_a_sentence(tmp_path):
    path = with_vocabulary(tmp_path / "a.gguf", ["a"] * 5_000, [1] * 5_000)
    header = read_header(path)
    path.write_bytes(path.read_bytes()[:2_000])
    with pytest.raises(ModelLoadError, match="isn't a complete GGUF file"):
        read_vocabulary(path, header)

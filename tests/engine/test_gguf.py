"""GGUF files: what their header says, and one whole conversion or none."""

import os
import struct

import pytest

from tests.engine.conftest import ask, chat, load, never
from tui.engine.base import Cancelled, LoadRequest, ModelLoadError, Progress
from tui.engine.catalog import demo_model
from tui.engine.gguf_header import read_header
from tui.engine.local import LocalEngine, gguf


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


def test_a_broken_gguf_keeps_the_former_model_and_says_what_is_wrong(engine, tmp_path):
    path = write_gguf(tmp_path / "a.gguf", tensors=((4096, 0),))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelLoadError, match="not a whole GGUF file"):
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
    with pytest.raises(ModelLoadError, match="are free"):
        load(engine, write_gguf(tmp_path / "a.gguf"))


def test_an_unwritable_cache_folder_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelLoadError, match="can't be written"):
        load(LocalEngine(tmp_path / "file"), write_gguf(tmp_path / "a.gguf"))


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
    assert "Paris" in ask(second, chat("What is the capital of France?"), max_new_tokens=20).text


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

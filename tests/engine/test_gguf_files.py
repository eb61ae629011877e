"""What a GGUF file is: lists, facts and loads agree."""

from dataclasses import replace

import pytest

from tests.engine.conftest import ask, chat, load
from tests.engine.hostile_models import tiny_gguf
from tui.engine import catalog, gguf_files
from tui.engine.base import ModelLoadError
from tui.engine.facts import gguf_facts
from tui.engine.gguf_files import Role
from tui.engine.gguf_header import read_header
from tui.engine.local import gguf_join

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write(path, architecture="llama", *, kind="", tensors=("a",), **values):
    """A GGUF file with a few numbers in it; values with _ for the dots of their names."""
    import gguf
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, architecture)
    if kind:
        writer.add_string("general.type", kind)
    for name, value in values.items():
        key = name.replace("_", ".")
        add = writer.add_string if isinstance(value, str) else writer.add_uint16
        add(key, value)
    for name in tensors:
        writer.add_tensor(name, np.ones((8, 8), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


NO_MODELS = {
    "mmproj": ({"architecture": "clip", "kind": "mmproj"}, "projector"),
    "older projector": ({"architecture": "clip"}, "projector"),
    "unnamed projector": ({"clip_vision": 1}, "projector"),
    "lora": ({"kind": "adapter", "adapter_type": "lora"}, "adapter"),
    "older lora": ({"adapter_type": "lora"}, "adapter"),
    "imatrix": ({"architecture": "imatrix", "kind": "imatrix"}, "importance matrix"),
    "unnamed imatrix": ({"architecture": "", "imatrix_chunk": 1}, "importance matrix"),
    "vocabulary": ({"tensors": (), "tokenizer_ggml_model": "gpt2"}, "vocabulary"),
    "control": ({"architecture": "controlvector"}, "control vector"),
    "encoder": ({"architecture": "bert"}, "doesn't generate text"),
    "images": ({"architecture": "flux"}, "doesn't generate text"),
}


@pytest.mark.parametrize("kind", NO_MODELS)
def test_what_is_no_model_is_in_no_list_and_named_when_it_is_opened(tmp_path, kind):
    how, what = NO_MODELS[kind]
    path = write(tmp_path / "models" / "other.gguf", **how)
    model = write(tmp_path / "models" / "model.gguf")
    listed = [source.model for source in catalog.local_models([str(tmp_path)])]
    assert str(model) in listed
    assert str(path) not in listed
    # A folder with a model and what belongs to it is that model.
    assert catalog.resolve(str(path.parent)).path == model
    with pytest.raises(ModelLoadError, match=what) as raised:
        catalog.facts(catalog.resolve(str(path)))
    assert raised.value.hint


def test_what_is_no_model_keeps_the_former_one(engine, tmp_path):
    load(engine, tiny_gguf(tmp_path / "g"))
    with pytest.raises(ModelLoadError, match="projector"):
        load(engine, write(tmp_path / "mmproj.gguf", "clip", kind="mmproj"))
    assert engine.loaded is not None


def test_a_folder_with_a_projector_alone_says_so(tmp_path):
    write(tmp_path / "mmproj.gguf", "clip", kind="mmproj")
    with pytest.raises(ModelLoadError, match="projector"):
        catalog.facts(catalog.resolve(str(tmp_path)))


# -- models in several parts


def split(path, names, *, count=None, says=True):
    """Cut a GGUF file into one file for each name, as llama.cpp's tool does it."""
    import gguf
    from gguf import GGUFReader

    reader = GGUFReader(path)
    groups = [reader.tensors[number :: len(names)] for number in range(len(names))]
    for number, (name, tensors) in enumerate(zip(names, groups, strict=True)):
        writer = gguf.GGUFWriter(path.parent / name, "llama")
        if number == 0:
            for key, field in reader.fields.items():
                if not key.startswith("GGUF.") and key != "general.architecture":
                    sub = field.types[1] if len(field.types) > 1 else None
                    writer.add_key_value(key, field.contents(), field.types[0], sub)
        if says:
            writer.add_uint16("split.no", number)
            writer.add_uint16("split.count", count or len(names))
            writer.add_int32("split.tensors.count", len(reader.tensors))
        for tensor in tensors:
            writer.add_tensor(tensor.name, tensor.data)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    path.unlink()
    return [path.parent / name for name in names]


USUAL = [f"tiny-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
UNUSUAL = ["part-a.gguf", "part-b.gguf", "part-c.gguf"]


@pytest.fixture
def whole(tmp_path):
    return tiny_gguf(tmp_path / "g") / "tiny.gguf"


@pytest.mark.parametrize("names", [USUAL, UNUSUAL])
def test_all_parts_are_one_model(engine, whole, names):
    facts = gguf_facts(whole)
    load(engine, whole)
    wanted = ask(engine, chat("hello"), max_new_tokens=6).text
    parts = split(whole, names)
    assert gguf_facts(parts[0]).parameters == facts.parameters
    assert gguf_facts(parts[0]).stored_bytes == sum(part.stat().st_size for part in parts)
    # Whichever part is named.
    load(engine, parts[1])
    assert ask(engine, chat("hello"), max_new_tokens=6).text == wanted


def test_parts_are_one_entry_of_the_list(whole):
    parts = split(whole, USUAL)
    found = [
        one
        for one in catalog.local_models([str(whole.parent)])
        if one.kind is catalog.ModelKind.GGUF
    ]
    [one] = [one for one in found if one.path.parent == whole.parent]
    assert (one.path, one.name) == (parts[0], "tiny")
    assert one.size_bytes == sum(part.stat().st_size for part in parts)
    assert catalog.resolve(str(parts[2])).path == parts[0]
    assert catalog.resolve(str(whole.parent)).path == parts[0]


@pytest.mark.parametrize("names", [USUAL, UNUSUAL])
@pytest.mark.parametrize("gone", [0, 1, 2])
def test_one_part_alone_is_never_loaded(engine, whole, names, gone):
    parts = split(whole, names)
    parts[gone].unlink()
    for part in parts:
        if part.is_file():
            with pytest.raises(ModelLoadError, match="2 of them are present") as raised:
                load(engine, part)
            assert "other parts" in raised.value.hint


def test_the_name_alone_makes_it_a_part(engine, whole):
    first = whole.rename(whole.with_name("big-00001-of-00002.gguf"))
    with pytest.raises(ModelLoadError, match="only 1 of them is present"):
        load(engine, first)


def test_a_part_that_is_a_pointer_or_of_another_model_is_named(whole):
    from tests.engine.test_stand_ins import LFS

    parts = split(whole, USUAL)
    kept = parts[1].read_bytes()
    parts[1].write_text(LFS)
    with pytest.raises(ModelLoadError, match="Git LFS pointer"):
        gguf_facts(parts[0])
    write(parts[1], tensors=("x",))
    with pytest.raises(ModelLoadError, match="don't belong together"):
        gguf_facts(parts[0])
    parts[1].write_bytes(kept[:-40])
    with pytest.raises(ModelLoadError, match="isn't a complete GGUF file"):
        gguf_facts(parts[0])


def test_a_joined_file_holds_what_the_parts_do(whole, tmp_path):
    before = read_header(whole)
    joined = tmp_path / "joined.gguf"
    parts = gguf_files.read_whole(split(whole, USUAL)[0])
    gguf_join.join(parts, joined, lambda: None)
    assert joined.stat().st_size <= gguf_join.size_bytes(parts)
    header = read_header(joined)
    assert header.tensors == before.tensors
    assert header.parameters == before.parameters
    assert {key for key in header.values if not key.startswith("split.")} == before.values.keys()


def test_tensors_in_one_place_count_each_for_itself(whole):
    """Their joined file would fill a disk that holds the parts."""
    parts = gguf_files.read_whole(split(whole, USUAL)[0])
    header = parts.headers[0]
    name = max(header.places, key=lambda one: header.places[one].size)
    again = {f"{name}.{number}": header.places[name] for number in range(1000)}
    copied = replace(header, places=header.places | again)
    more = replace(parts, headers=(copied, *parts.headers[1:]))
    added = gguf_join.size_bytes(more) - gguf_join.size_bytes(parts)
    assert added >= 1000 * header.places[name].size


def test_a_piece_of_a_file_that_was_cut_up_is_told_to_be_joined(tmp_path):
    for name in ("model.gguf-split-a", "model.gguf.part1of2", "model.gguf.00001"):
        path = tmp_path / name
        path.write_bytes(b"GGUF" + bytes(40))
        with pytest.raises(ModelLoadError, match=r"one piece of model\.gguf") as raised:
            catalog.resolve(str(path))
        assert "cat " in raised.value.hint


def test_missing_tensors_are_refused(engine, whole):
    parts = split(whole, USUAL, says=False)
    with pytest.raises(ModelLoadError, match=r"lacks \d+ of the"):
        load(engine, parts[0].rename(whole.with_name("alone.gguf")))


# -- the Hub's cache


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """A repository of GGUF files in the cache."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    place = tmp_path / "hub" / "models--org--tiny-GGUF"
    snapshot = place / "snapshots" / COMMIT
    for number, name in enumerate(("tiny-Q4_K_M.gguf", "tiny-Q8_0.gguf", "mmproj-F16.gguf")):
        blob = place / "blobs" / f"{number}a"
        if name.startswith("mm"):
            write(blob, "clip", kind="mmproj")
        else:
            write(blob)
        snapshot.mkdir(parents=True, exist_ok=True)
        (snapshot / name).symlink_to(f"../../blobs/{number}a")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)
    return snapshot


def cached():
    return {
        one.model: one for one in catalog.local_models() if one.kind is not catalog.ModelKind.DEMO
    }


def test_gguf_files_of_the_cache_are_listed_and_chosen_by_file(repo):
    found = cached()
    assert sorted(found) == ["org/tiny-GGUF/tiny-Q4_K_M.gguf", "org/tiny-GGUF/tiny-Q8_0.gguf"]
    for name, source in found.items():
        assert catalog.resolve(name).path == source.path
        assert source.kind is catalog.ModelKind.GGUF
        assert source.name == name.rsplit("/", 1)[1].removesuffix(".gguf")
        assert catalog.facts(source).architecture == "llama"


def test_a_repository_of_gguf_files_by_its_name(repo):
    assert catalog.resolve("org/tiny-GGUF:q8_0").path == repo / "tiny-Q8_0.gguf"
    with pytest.raises(ModelLoadError, match=r"has 2 \.gguf files on this machine") as raised:
        catalog.resolve("org/tiny-GGUF")
    assert "org/tiny-GGUF/tiny-Q4_K_M.gguf" in raised.value.hint
    with pytest.raises(ModelLoadError, match="none is named 'Q2_K'"):
        catalog.resolve("org/tiny-GGUF:Q2_K")
    (repo / "tiny-Q8_0.gguf").unlink()
    assert catalog.resolve("org/tiny-GGUF").path == repo / "tiny-Q4_K_M.gguf"
    (repo / "tiny-Q4_K_M.gguf").unlink()
    with pytest.raises(
        ModelLoadError,
        match=r"None of the \.gguf files of org/tiny-GGUF on this machine contains a text model",
    ):
        catalog.resolve("org/tiny-GGUF")
    assert cached() == {}


def test_a_config_beside_gguf_files_makes_no_second_entry(repo):
    (repo / "config.json").write_text("{}")
    assert len(cached()) == 2
    (repo / "model.safetensors").write_text("")
    assert len(cached()) == 3
    assert catalog.resolve("org/tiny-GGUF").kind is catalog.ModelKind.HUB


def test_a_gguf_file_of_the_cache_loads_by_its_name(engine, repo, whole):
    (repo / "tiny-Q8_0.gguf").unlink()
    (repo / "tiny-Q8_0.gguf").symlink_to(whole)
    info = load(engine, "org/tiny-GGUF/tiny-Q8_0.gguf")
    assert info.name == "tiny-Q8_0"


def test_a_role_is_told_without_reading_a_vocabulary(tmp_path):
    assert gguf_files.role(write(tmp_path / "a.gguf")) is Role.MODEL
    (tmp_path / "broken.gguf").write_bytes(b"GGUF\x03")
    assert gguf_files.role(tmp_path / "broken.gguf") is Role.MODEL


def test_a_folder_with_a_config_and_several_gguf_files_lists_them(tmp_path):
    for name in ("a.gguf", "b.gguf"):
        write(tmp_path / "m" / name)
    (tmp_path / "m" / "config.json").write_text("{}")
    listed = [
        one.path.name
        for one in catalog.local_models([str(tmp_path)])
        if one.path.parent == tmp_path / "m"
    ]
    assert listed == ["a.gguf", "b.gguf"]


def test_parts_under_other_names_are_one_entry_of_the_list(whole):
    split(whole, ["b.gguf", "a.gguf"])
    found = [path.name for path in gguf_files.models_among(sorted(whole.parent.glob("*.gguf")))]
    assert found == ["b.gguf"]


def test_a_file_of_a_newer_kind_is_not_called_damaged(tmp_path):
    path = write(tmp_path / "new.gguf")
    data = bytearray(path.read_bytes())
    data[4:8] = (9).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ModelLoadError, match="version 9 of the format") as raised:
        read_header(path)
    assert "Choose another file" in raised.value.hint


@pytest.mark.parametrize("architecture", ["foo99", "llama"])
def test_what_holds_neither_tensors_nor_tokens_is_no_vocabulary(tmp_path, architecture):
    path = write(tmp_path / "m.gguf", architecture, tensors=())
    with pytest.raises(ModelLoadError, match="contains no weights"):
        catalog.facts(catalog.resolve(str(path)))

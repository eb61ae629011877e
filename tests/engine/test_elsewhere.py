"""What is said of a folder or file that is no model by itself."""

import json
import zipfile

import pytest

from tests.engine.test_checkpoint import weights
from tui.engine import catalog
from tui.engine.base import ModelLoadError
from tui.engine.catalog import ModelKind


def refusal(place):
    with pytest.raises(ModelLoadError) as caught:
        catalog.resolve(str(place))
    return f"{caught.value.message} {caught.value.hint}"


def model(folder):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    weights(folder, "model.safetensors")


def test_a_folder_around_one_model_stands_for_it(tmp_path):
    model(tmp_path / "unpacked" / "inner")
    assert catalog.resolve(str(tmp_path / "unpacked")).path == tmp_path / "unpacked" / "inner"


def test_a_folder_around_one_gguf_file_stands_for_it(tmp_path):
    (tmp_path / "Q4_K_M").mkdir()
    (tmp_path / "Q4_K_M" / "model.gguf").write_bytes(b"GGUF" + bytes(20))
    found = catalog.resolve(str(tmp_path))
    assert (found.kind, found.path.name) == (ModelKind.GGUF, "model.gguf")


def test_a_folder_around_several_models_names_one_of_them(tmp_path):
    for name in ("checkpoint-500", "checkpoint-1000"):
        model(tmp_path / name)
    (tmp_path / "trainer_state.json").write_text("{}")
    said = refusal(tmp_path)
    assert "2 models in subfolders" in said
    assert str(tmp_path / "checkpoint-1000") in said


def test_a_training_without_a_model_below_it_is_still_named(tmp_path):
    (tmp_path / "trainer_state.json").write_text("{}")
    assert "files left by a training run" in refusal(tmp_path)


def test_parts_of_a_diffusion_pipeline_are_no_models_to_choose_from(tmp_path):
    model(tmp_path / "text_encoder")
    (tmp_path / "model_index.json").write_text("{}")
    assert "a diffusion pipeline" in refusal(tmp_path)


def test_a_gguf_file_under_another_name_is_a_model(tmp_path):
    path = tmp_path / "ggml-model.bin"
    path.write_bytes(b"GGUF" + bytes(20))
    assert catalog.resolve(str(tmp_path)).path == path
    assert catalog.resolve(str(path)).path == path


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("ggml-model-q4_0.bin", b"tjgg" + bytes(2000), "a GGML file"),
        ("model.tar.gz", b"\x1f\x8b" + bytes(50), "a gzip-compressed file. Unpack it"),
        ("model.7z", b"7z\xbc\xaf\x27\x1c" + bytes(50), "a 7z archive. Unpack it"),
        ("Modelfile", b"FROM ./other.gguf\nSYSTEM hi", "after FROM, which is ./other.gguf"),
        ("config (1).json", b"{}", "no config.json, only config (1).json"),
        ("config.json.txt", b"{}", "rename it to config.json"),
        ("m.gguf.part1of2", b"GGUF", "one piece of m.gguf"),
        ("latest_checkpointed_iteration.txt", b"1", "Megatron-LM"),
        ("lit_model.pth", b"PK\x03\x04", "LitGPT"),
        ("RWKV-x070-World.pth", b"PK\x03\x04", "RWKV's own program"),
        ("_METADATA", b"{}", "JAX"),
        ("README.md", b"# A model", "has no config.json"),
    ],
)
def test_a_folder_without_a_config_says_what_it_holds(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert said in refusal(tmp_path)


def test_a_packed_model(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("config.json", "{}")
    for place in (tmp_path, tmp_path / "model.zip"):
        assert "a ZIP archive. Unpack it" in refusal(place)


def test_weights_alone(tmp_path):
    weights(tmp_path, "model.safetensors")
    assert "contains weights (model.safetensors) but no config.json" in refusal(tmp_path)
    assert "not the whole model. Use its folder" in refusal(tmp_path / "model.safetensors")


def test_links_to_nowhere(tmp_path):
    (tmp_path / "model.gguf").symlink_to(tmp_path / "gone")
    for place in (tmp_path, tmp_path / "model.gguf"):
        assert "model.gguf is a link to a file that doesn't exist" in refusal(place)


def test_the_store_of_ollama(tmp_path):
    for name in ("blobs", "manifests"):
        (tmp_path / "models" / name).mkdir(parents=True)
    for place in (tmp_path, tmp_path / "models"):
        assert "Ollama's model store" in refusal(place)


def test_a_model_of_ctranslate2_with_a_config_of_its_own(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"bos_token": "<s>"}))
    (tmp_path / "model.bin").write_bytes(b"\x06\0\0\0\x17\0TransformerDecoderSpec")
    (tmp_path / "shared_vocabulary.txt").write_text("a")
    with pytest.raises(ModelLoadError, match="CTranslate2"):
        catalog.facts(catalog.resolve(str(tmp_path)))


def listed(folder):
    return {one.name: one for one in catalog.local_models([str(folder)]) if str(folder) in one.location}  # fmt: skip


@pytest.mark.parametrize("inside", ["config.json", "model.onnx", ""])
def test_a_folder_that_is_called_onnx_says_nothing_of_the_models_beside_it(tmp_path, inside):
    for name in ("a", "b"):
        model(tmp_path / name)
    if inside == "config.json":
        model(tmp_path / "onnx")
    else:
        (tmp_path / "onnx").mkdir()
        if inside:
            (tmp_path / "onnx" / inside).write_bytes(b"x")
    said = refusal(tmp_path)
    assert "ONNX" not in said
    assert "models in subfolders" in said


def test_a_model_beside_another_for_onnx_is_the_one_that_is_meant(tmp_path):
    model(tmp_path / "a")
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes(b"x")
    assert catalog.resolve(str(tmp_path)).path == tmp_path / "a"


def test_a_folder_for_onnx_is_told_by_its_files(tmp_path):
    (tmp_path / "onnx").mkdir()
    assert "ONNX" not in refusal(tmp_path)
    (tmp_path / "onnx" / "model_q4.onnx").write_bytes(b"x")
    assert "for ONNX Runtime only" in refusal(tmp_path)


def test_files_of_another_program_beside_several_models(tmp_path):
    for name in ("a", "b"):
        model(tmp_path / name)
    (tmp_path / "whisper.onnx").write_bytes(b"x")
    assert "2 models in subfolders" in refusal(tmp_path)


def test_an_adapter_alone_is_told_where_it_can_be_named(tmp_path):
    from tui.engine.local.weights import _incomplete

    (tmp_path / "adapter_config.json").write_text("{}")
    inside = _incomplete({"a"}, 1, {"layers.0.q_proj.lora_A.weight"}, "m")
    for said in (refusal(tmp_path), inside.hint):
        assert "--adapter" not in said
        assert "F2 (Load with options), and enter the adapter there" in said


BROKEN = {
    "lfs.gguf": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a Git LFS pointer"),
    "web.gguf": (b"<!DOCTYPE html><html></html>", "a web page"),
    "empty.gguf": (b"", "empty"),
    "noise.gguf": (b"\x07\x08noise that is nothing" * 100, "GGUF"),
    "older.gguf": (b"tjgg" + bytes(2000), "a GGML file"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_lies_in_the_place_of_a_file_is_listed_with_its_fault(tmp_path, name):
    content, said = BROKEN[name]
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / name).write_bytes(content)
    [found] = listed(tmp_path).values()
    assert found.path.name == name
    with pytest.raises(ModelLoadError, match=said):
        catalog.facts(found)


def test_a_link_to_nowhere_is_listed_with_its_fault(tmp_path):
    (tmp_path / "gone.gguf").symlink_to(tmp_path / "nothing")
    with pytest.raises(ModelLoadError, match="a link to a file that doesn't exist"):
        catalog.facts(listed(tmp_path)["gone"])


def test_weights_without_a_config_are_listed_with_their_fault(tmp_path):
    (tmp_path / "noconf").mkdir()
    weights(tmp_path / "noconf", "model.safetensors")
    with pytest.raises(ModelLoadError, match=r"contains weights .* but no config.json") as in_list:
        catalog.facts(listed(tmp_path)["noconf"])
    with pytest.raises(ModelLoadError) as at_load:
        catalog.resolve(str(tmp_path / "noconf"))
    assert in_list.value.message == at_load.value.message


def test_parts_of_a_diffusion_pipeline_are_in_no_list(tmp_path):
    for name in ("unet", "text_encoder", "chat"):
        model(tmp_path / "pipe" / name)
    (tmp_path / "pipe" / "model_index.json").write_text('{"text_encoder": ["transformers", "X"]}')
    (tmp_path / "pipe" / "unet" / "config.json").write_text('{"_class_name": "UNet2DConditionModel"}')  # fmt: skip
    assert listed(tmp_path).keys() == {"chat"}

"""Makes folders of models that say nonsense: seeded mutations of small ones that are valid."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import struct
from pathlib import Path

VALUES = (
    None, True, False, 0, 1, -1, 2, 3, 7, 33, 100, 10**5, 10**7, 2**31 - 1, 2**31, 2**32, 2**63, 2**64, -(2**63), 10**18, 10**30,
    10**39, 0.5, -0.0, 1e308, float("inf"), float("-inf"), float("nan"), "", "a", "12", "-5", "\ud800", "\x1b[31m", "../../x", "\0",
    "x" * 5000, [], [1], [-1], [None], ["a"], [[]], [10**30], [2**40] * 5, {}, {"a": 1}, {"": None}, {"type": "AddedToken"},
)  # fmt: skip
"""Values of every type that JSON has, and at the edges of those that libraries expect."""
RAW = (
    b"1" + b"0" * 400, b"1e999", b"-1e999", b"[" * 10_000, b"[" * 200 + b"]" * 200, b'{"a":' * 500 + b"1" + b"}" * 500, b"NaN",
    b"Infinity", b'"\\ud800"', b"1" + b"0" * 5000, b'"' + b"y" * 100_000 + b'"', b"[" + b"1," * 50_000 + b"1]",
)  # fmt: skip
"""Values that can't be made with `json.dumps`."""
NEW_KEYS = (
    "num_labels", "num_experts", "layer_types", "rope_scaling", "rope_parameters", "rope_theta", "quantization_config", "sliding_window",
    "head_dim", "text_config", "dtype", "torch_dtype", "auto_map", "architectures", "id2label", "tie_word_embeddings", "pad_token_id",
    "eos_token_id", "bos_token_id", "hidden_act", "attention_bias", "tokenizer_class", "chat_template", "added_tokens_decoder",
    "model_max_length", "extra_special_tokens", "max_length", "max_new_tokens", "temperature", "suppress_tokens", "bad_words_ids",
    "sequence_bias", "stop_strings", "num_beams", "do_sample", "transformers_version", "vocab_size", "hidden_size", "unk_token",
    "attn_implementation", "_attn_implementation", "pretraining_tp", "use_cache", "output_attentions", "return_dict", "is_encoder_decoder",
    "is_decoder", "add_cross_attention", "chunk_size_feed_forward", "pruned_heads", "cache_implementation", "compile_config", "watermarking_config",
)  # fmt: skip
"""Names that libraries know, and that the small models don't use."""
TEMPLATES = (
    "", "{{", "{% for %}", "{{ messages[10**9] }}", "{{ 1/0 }}", "{{ ''.__class__.__mro__ }}", "{% include 'x' %}", "{{ x.y.z }}",
    "{{ raise_exception('no') }}", "{{ messages | tojson }}", "{{ (" * 300, "{% if a %}" * 500, "\0", "\ud800", "{{ 10**10 }}",
)  # fmt: skip
JSON_FILES = ("config.json", "tokenizer_config.json", "tokenizer.json", "generation_config.json")
MARK = "\u0001hostile\u0001"


class Mutator:
    """Changes a folder of a model, or a GGUF file, at random places; the same seed makes the same changes."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def folder(self, folder: Path) -> str:
        """Change one or several things in a folder; return what was done."""
        return "; ".join(
            self._random.choice(
                (
                    *(self._json,) * 12,
                    *(self._header,) * 4,
                    self._bytes,
                    self._template,
                    self._index,
                    self._trap,
                )
            )(folder)
            for _ in range(self._random.choice((1, 1, 1, 2, 3)))
        )

    def gguf(self, path: Path) -> str:
        """Change some bytes of a GGUF file's header, or cut it short."""
        data = bytearray(path.read_bytes())
        end = min(len(data), self._random.choice((300, 8000, 8000)))
        what = self._random.choice(("flip", "number", "number", "number", "cut"))
        at = self._random.randrange(4, end)
        if what == "flip":
            for _ in range(self._random.randint(1, 4)):
                data[self._random.randrange(4, end)] = self._random.randrange(256)
        elif what == "number":
            layout, most = self._random.choice((("<Q", 2**64), ("<I", 2**32)))
            value = self._random.choice((0, 1, 5, 2**20, 2**31, most // 2, most - 1))
            data[at : at + struct.calcsize(layout)] = struct.pack(layout, min(value, most - 1))
        else:
            del data[at:]
        path.write_bytes(data)
        return f"{what} at {at}"

    # -- one thing each

    def _json(self, folder: Path) -> str:
        names = [name for name in JSON_FILES if (folder / name).is_file()] or ["config.json"]
        path = folder / self._random.choice((*names, "config.json", "config.json"))
        if not path.is_file():
            return "nothing"
        try:
            value = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return "nothing"
        where, key = self._place(value)
        if where is None:
            return "nothing"
        return f"{path.name} {str(key)[:30]!r}: {self._change(path, value, where, key)}"

    def _change(self, path, value, where, key):
        kind = self._random.choice(("value", "value", "value", "raw", "delete", "new", "double"))
        if kind == "new" and isinstance(where, dict):
            key = self._random.choice(NEW_KEYS)
        if kind == "delete":
            del where[key]
            path.write_text(json.dumps(value))
            return "deleted"
        if kind in ("raw", "double"):
            new = self._random.choice(RAW)
            if kind == "double" and isinstance(where, dict):
                new = b"0," + json.dumps(key).encode() + b":" + new
            where[key] = MARK
            path.write_bytes(json.dumps(value).encode().replace(json.dumps(MARK).encode(), new))
            return f"raw {new[:20]!r}"
        where[key] = new = self._random.choice(VALUES)
        path.write_text(json.dumps(value))
        return f"{kind} {key if kind == 'new' else ''} {str(new)[:40]!r}"

    def _place(self, value):
        """Return a container somewhere in a value, and a key of it; places near the top come up more often."""
        where = value
        while True:
            if not isinstance(where, dict | list) or not where:
                return None, None
            keys = list(where) if isinstance(where, dict) else range(min(len(where), 50))
            key = self._random.choice(keys)
            inner = where[key]
            if isinstance(inner, dict | list) and inner and self._random.random() < 0.7:
                where = inner
                continue
            return where, key

    def _header(self, folder: Path) -> str:
        path = folder / "model.safetensors"
        if not path.is_file():
            return "nothing"
        with contextlib.suppress(
            OSError,
            ValueError,
            struct.error,
            RecursionError,
            LookupError,
            TypeError,
            AttributeError,
        ):
            data = path.read_bytes()
            (length,) = struct.unpack("<Q", data[:8])
            header = json.loads(data[8 : 8 + length])
            name = self._random.choice(list(header))
            what = self._random.choice(("length", "shape", "dtype", "offsets", "delete", "raw"))
            new = self._random.choice(VALUES)
            if what == "length":
                length = self._random.choice(
                    (0, 1, length - 1, length + 1, 2**32, 2**63, 2**64 - 1)
                )
                path.write_bytes(struct.pack("<Q", length) + data[8:])
                return f"header length {length}"
            entry = header[name]
            if what == "shape":
                entry["shape"] = self._random.choice(
                    (new, [new], [*entry["shape"], 1], [2**40, 2**40])
                )
            elif what == "dtype":
                entry["dtype"] = self._random.choice((new, "F16", "I64", "F4", "BOOL"))
            elif what == "offsets":
                entry["data_offsets"] = self._random.choice(
                    (new, [0, 0], [0, 2**62], [-8, 8], [new, new])
                )
            elif what == "delete":
                del header[name]
            else:
                header[name] = new
            made = json.dumps(header).encode()
            path.write_bytes(struct.pack("<Q", len(made)) + made + data[8 + length :])
            return f"header {name} {what} {str(new)[:30]!r}"
        return "nothing"

    def _bytes(self, folder: Path) -> str:
        path = folder / self._random.choice((*JSON_FILES, "model.safetensors"))
        if not path.is_file():
            return "nothing"
        data = bytearray(path.read_bytes())
        what = self._random.choice(("flip", "cut", "empty", "utf-16", "bom", "insert"))
        at = self._random.randrange(min(len(data), 3000)) if data else 0
        if what == "flip" and data:
            data[at] ^= 1 << self._random.randrange(8)
        elif what == "cut":
            del data[at:]
        elif what == "empty":
            data.clear()
        elif what == "utf-16":
            data = bytearray(data.decode("utf-8", "replace")[:100_000].encode("utf-16"))
        elif what == "bom":
            data[:0] = b"\xef\xbb\xbf"
        else:
            data[at:at] = self._random.randbytes(3)
        path.write_bytes(data)
        return f"{path.name} {what} at {at}"

    def _template(self, folder: Path) -> str:
        template = self._random.choice(TEMPLATES)
        path = folder / "chat_template.jinja"
        if (path.exists() and not path.is_file()) or path.is_symlink():
            # A trap lies there already.
            return "nothing"
        path.write_bytes(template.encode("utf-8", "surrogatepass"))
        return f"template {template[:20]!r}"

    def _index(self, folder: Path) -> str:
        names = self._random.choice(
            (
                ["../../x"],
                ["/etc/hostname"],
                [f"{n}.safetensors" for n in range(2000)],
                [""],
                [7],
                [None],
                ["model-1.safetensors"],
            )
        )
        index = {"weight_map": {f"w{number}": name for number, name in enumerate(names)}}
        with contextlib.suppress(OSError):
            (folder / "model.safetensors").rename(folder / "model-1.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        return f"index {names[0]!r}"

    def _trap(self, folder: Path) -> str:
        import os

        name = self._random.choice(
            (*JSON_FILES, "model.safetensors", "chat_template.jinja", "x.gguf", "x.py")
        )
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            return "nothing"
        path.unlink(missing_ok=True)
        what = self._random.choice(("pipe", "folder", "loop", "dangling", "device"))
        match what:
            case "pipe":
                os.mkfifo(path)
            case "folder":
                path.mkdir()
            case "loop":
                path.symlink_to(name)
            case "dangling":
                path.symlink_to("nowhere")
            case "device":
                path.symlink_to("/dev/zero")
        return f"{name} is a {what}"


def copy(folder: Path, to: Path) -> Path:
    """Return a new copy of a folder, in place of what was there."""
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(folder, to))


def look(place: Path) -> list[str]:
    """Do with the models in a folder what lists do: find them, read their facts, and work out what they would take."""
    from tui.engine import catalog
    from tui.engine.base import ModelLoadError
    from tui.engine.facts import ModelFacts
    from tui.screens.models import rows

    room = rows.FreeMemory("cpu", "CPU", 10**9)
    texts = []
    for source in catalog.local_models([str(place)]):
        facts, problem = ModelFacts(), ""
        try:
            facts = catalog.facts(source)
        except ModelLoadError as error:
            problem = error.message
        verdicts = rows.verdicts(source.model, facts, room)
        row = rows.local_row(
            source,
            facts,
            verdicts[0],
            is_complete=catalog.is_complete(source),
            problem=problem,
        )
        lines = [rows.verdict_line(one, room.free_bytes) for one in verdicts]
        texts += [row.plain, *(line.plain for line in lines)]
    for text in texts:
        text.encode()
    return texts


def try_load(engine, model: Path) -> str:
    """Load a model, and have it reply; return how that ended, and raise what no load may raise."""
    from tui.conversation.turn import Message
    from tui.engine.base import GenerateRequest, GenerationError, LoadRequest, ModelLoadError

    try:
        engine.load(
            LoadRequest(str(model), device="cpu", kernels=False), lambda _event: None, lambda: False
        )
    except ModelLoadError as error:
        is_known = "could not be loaded" not in error.message and 0 < len(error.message) < 1500
        return f"{'refused' if is_known else 'unknown'}: {error}"
    request = GenerateRequest((Message("user", "hi"),), {"temperature": 0.0, "max_new_tokens": 2})
    try:
        engine.generate(request, lambda _event: None, lambda: False)
    except GenerationError as error:
        return f"mute: {error}"
    return "loaded"


def bases(place: Path) -> None:
    """Make small valid models below a folder: several kinds of config, and a GGUF file."""
    from tests.engine import tiny

    for make in (tiny.llama, tiny.mixed, tiny.hybrid, tiny.recurrent):
        make(place / "bases" / make.__name__)
    tiny_gguf(place / "bases" / "gguf")


def tiny_gguf(folder: Path) -> Path:
    """Save a random Llama with a tokenizer of bytes as a GGUF file; return the folder."""
    import gguf
    import numpy as np
    from tokenizers import pre_tokenizers

    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    writer = gguf.GGUFWriter(folder / "tiny.gguf", "llama")
    for add, value in (
        (writer.add_block_count, 2), (writer.add_embedding_length, 32), (writer.add_feed_forward_length, 64),
        (writer.add_head_count, 4), (writer.add_head_count_kv, 2), (writer.add_context_length, 128),
        (writer.add_layer_norm_rms_eps, 1e-5), (writer.add_vocab_size, 258),
    ):  # fmt: skip
        add(value)
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet())[:-1], "<|", "<|start|>", "<|end|>"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * 256 + [3, 3])
    writer.add_token_merges(["< |"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    writer.add_chat_template(tiny_template())
    shapes = {
        "token_embd.weight": (258, 32),
        "output_norm.weight": (32,),
        "output.weight": (258, 32),
    }
    for n in range(2):
        shapes |= {
            f"blk.{n}.attn_q.weight": (32, 32), f"blk.{n}.attn_k.weight": (16, 32), f"blk.{n}.attn_v.weight": (16, 32),
            f"blk.{n}.attn_output.weight": (32, 32), f"blk.{n}.ffn_gate.weight": (64, 32), f"blk.{n}.ffn_up.weight": (64, 32),
            f"blk.{n}.ffn_down.weight": (32, 64), f"blk.{n}.attn_norm.weight": (32,), f"blk.{n}.ffn_norm.weight": (32,),
        }  # fmt: skip
    for name, shape in shapes.items():
        writer.add_tensor(name, rng.standard_normal(shape, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder


def tiny_template() -> str:
    from tests.engine.tiny import SIMPLE_TEMPLATE

    return SIMPLE_TEMPLATE

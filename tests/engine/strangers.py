"""Tiny models with code of their own, each piece of which says in a file that it ran."""

import json
import textwrap
from pathlib import Path


class Strangers:
    """Makes code that leaves its name in a file when it is imported, and models that need it."""

    def __init__(self, folder: Path) -> None:
        self.marker = folder / "ran.txt"
        self.folder = folder

    @property
    def ran(self) -> list[str]:
        """What ran, each once."""
        return sorted(set(self.marker.read_text().split())) if self.marker.exists() else []

    def forget(self) -> None:
        self.marker.unlink(missing_ok=True)

    def python(self, name: str, body: str = "") -> str:
        """Return code that says that it ran under a name."""
        says = f"open({str(self.marker)!r}, 'a').write({name + chr(10)!r})\n"
        return says + textwrap.dedent(body)

    def model(self, name: str, model_type: str = "own") -> str:
        """Return the code of a model that needs it: a llama under another name."""
        return self.python(
            name,
            f"""
            from transformers import LlamaConfig, LlamaForCausalLM

            class Config(LlamaConfig):
                model_type = {model_type!r}

            class Model(LlamaForCausalLM):
                config_class = Config
            """,
        )

    def tokenizer(self, name: str) -> str:
        return self.python(
            name,
            """
            from transformers import PreTrainedTokenizerFast

            class Tokenizer(PreTrainedTokenizerFast):
                pass
            """,
        )


def change(path: Path, **values: object) -> None:
    """Change what a JSON file says; None takes a value out."""
    document = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({key: one for key, one in document.items() if one is not None}))


def needs_code(folder: Path, where: str = "own", model_type: str = "own") -> None:
    """Have a model's config ask for the code in a file, which may be another repository's."""
    auto_map = {"AutoConfig": f"{where}.Config", "AutoModelForCausalLM": f"{where}.Model"}
    change(
        folder / "config.json", model_type=model_type, auto_map=auto_map, architectures=["Model"]
    )


def tokenizer_needs_code(folder: Path, where: str) -> None:
    """Have a tokenizer ask for the code in a file, which may be another repository's."""
    auto_map = {"AutoTokenizer": [None, f"{where}.Tokenizer"]}
    change(folder / "tokenizer_config.json", tokenizer_class="Tokenizer", auto_map=auto_map)

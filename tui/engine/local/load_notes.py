"""Notes for the user about how a model was loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.engine import stale_quantization
from tui.engine.catalog import ModelKind
from tui.engine.local import adapter, model_classes, narrowing
from tui.engine.local.loaded import Preparation
from tui.engine.local.placement import input_device, stored_dtype
from tui.engine.local.prompt import PromptBuilder
from tui.engine.quantization import NONE
from tui.engine.template_files import DEFAULT, TemplateChoice

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_LONGEST_NAME: Final = 60
_MOST_NAMED: Final = 5


def notes(prepared: Preparation, model: PreTrainedModel, prompts: PromptBuilder) -> list[str]:
    """Return notes about how a model was loaded, most important first."""
    found = []
    if prepared.method and prepared.request.quantization != NONE:
        found.append(
            f"This checkpoint is already quantized ({prepared.method}); the chosen quantization is not used."
        )
    elif prepared.request.quantization != NONE:
        from tui.engine.local import left_whole

        found += left_whole.notes(model, prepared.request.quantization)
    stored = stored_dtype(prepared.config)
    held = str(prepared.dtype).removeprefix("torch.")
    if (stored, held) == ("float16", "float32") and not prepared.method:
        found.append(
            "The float16 weights of this checkpoint are converted to float32, which doubles their memory: this device has no fast "
            "float16 matrix products."
            if prepared.request.dtype == "auto"
            else "The float16 weights of this checkpoint are converted to float32, which doubles their memory."
        )
    if prepared.parts.source.kind in (ModelKind.GGUF, ModelKind.DEMO):
        found.append(
            "The GGUF weights were unpacked to 16 bits, so they take more memory than the file."
        )
    if prepared.request.revision and prepared.parts.source.kind is not ModelKind.HUB:
        found.append(
            f"The revision {prepared.request.revision} isn't used: only Hub models have revisions."
        )
    if prepared.stale_method:
        found.append(stale_quantization.note(prepared.stale_method))
    found += _tower_notes(model)
    found += adapter.notes(prepared.request.adapter, prepared.parts.adapter, prepared.parts.folder)
    found += prompts.notes
    if prepared.template is not None and prepared.template.name != DEFAULT:
        found.append(_template_note(prepared.template))
    # Without a map the model is on one device, which need not be the requested one.
    spread = getattr(model, "hf_device_map", None) or {"": input_device(model)}
    places = {str(place) for place in spread.values()}
    if places & {"cpu", "disk"} and (len(places) > 1 or prepared.device != "cpu"):
        part = "part of it" if len(places) > 1 else "it"
        found.append(f"The model does not fit on the GPU: {part} runs on the CPU, which is slow.")
    return found


def _tower_notes(model: PreTrainedModel) -> list[str]:
    if narrowing.left_out(model):
        return ["Loaded for text only, without the model's vision and audio parts."]
    if model_classes.is_multimodal(model.config):
        return ["Loaded for text, together with the model's vision and audio parts."]
    return []


def _template_note(template: TemplateChoice) -> str:
    others = ", ".join(name[:_LONGEST_NAME] for name in template.others[:_MOST_NAMED])
    return (
        f"This model has several chat templates but no default: {template.name[:_LONGEST_NAME]} is used instead of {others}."
        if others
        else f"This model's only chat template, {template.name[:_LONGEST_NAME]}, is used."
    )

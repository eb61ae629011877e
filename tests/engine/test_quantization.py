"""The configs that quantizations are made with, by device."""

import pytest
import torch

from tui.engine.base import LoadRequest, ModelLoadError
from tui.engine.local import quantization

pytest.importorskip("torchao")


def made(name, dtype=torch.bfloat16, device="cuda:0"):
    return quantization.config(LoadRequest("m", name), dtype, device).quant_type


@pytest.mark.parametrize("device", ["cuda:0", "auto"])
def test_on_a_gpu_int4_takes_the_format_that_torch_has_a_kernel_for(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device=None: (8, 0))
    config = made("torchao-int4", device=device)
    assert (config.int4_packing_format, config.group_size) == ("tile_packed_to_4d", 32)
    assert made("torchao-int4", device="xpu:0").int4_packing_format == "plain_int32"


@pytest.mark.parametrize(
    ("dtype", "capability", "said"),
    [
        (torch.float32, (9, 0), "only support bfloat16"),
        (torch.float16, (9, 0), "only support bfloat16"),
        (torch.bfloat16, (7, 5), "too old"),
    ],
)
def test_int4_that_a_gpu_can_not_do_is_a_sentence(monkeypatch, dtype, capability, said):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device=None: capability)
    with pytest.raises(ModelLoadError, match=said):
        made("torchao-int4", dtype)


@pytest.mark.parametrize("name", ["torchao-int8", "torchao-int4"])
@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_nothing_is_changed_for_later_models(monkeypatch, name, device):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device=None: (9, 0))
    assert made(name, device=device).set_inductor_config is False

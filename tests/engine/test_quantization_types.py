"""The parts of a quantization_config are settings: no other name of torchao's or torch's is called."""

import pytest

from tui.engine import plausibility
from tui.engine.base import ModelLoadError
from tui.engine.quantization_types import check


def config(kind, data, section="quantization_config"):
    return {
        section: {
            "quant_method": "torchao",
            "quant_type": {"default": {"_type": kind, "_data": data}},
        }
    }


CALLS = {
    "_replace_with_custom_fn_if_matches_filter": {
        "model": "x",
        "extra_args": ["/home/x/chat.json"],
    },
    "quantize_": {"model": 1},
    "dataclass": {},
    "Callable": {},
    "AWQObservedLinear": {"in_features": 10**9},
    "Int4WeightOnlyQuantizer": {},
    "torch.dtype": "save",
    "__class__": {"name": "x"},
    "os.IntConfig": {},
    7: {},
    None: {},
}


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("section", ["quantization_config", "compression_config"])
def test_what_is_no_setting_is_refused(kind, section, tmp_path):
    with pytest.raises(ValueError, match="isn't a valid setting"):
        check(config(kind, CALLS[kind], section))
    with pytest.raises(ModelLoadError, match="isn't a valid setting"):
        plausibility.check_folder(tmp_path, {"text_config": config(kind, CALLS[kind], section)})


def test_nor_is_one_that_stands_in_a_setting():
    for place in ({"a": 1}, [{"a": 1}], {"b": [{"c": {"a": 1}}]}):
        with pytest.raises(ValueError, match="isn't a valid setting"):
            check(
                config("FqnToConfig", {"x": place, "y": {"_type": "torch.dtype", "_data": "load"}})
            )
        with pytest.raises(ValueError, match="isn't a valid setting"):
            check(config("FqnToConfig", {"x": [place, [{"_type": "sparsify_", "_data": {}}]]}))


@pytest.mark.parametrize(
    "name", ["Int8WeightOnlyConfig", "Int4WeightOnlyConfig", "Float8WeightOnlyConfig"]
)
def test_what_torchao_writes_is_taken(name):
    quantization = pytest.importorskip("torchao.quantization")
    from torchao.core.config import config_to_dict

    made = config_to_dict(getattr(quantization, name)())
    check({"quantization_config": {"quant_method": "torchao", "quant_type": {"default": made}}})


def test_other_quantizations_are_no_business_of_it():
    check(
        {"quantization_config": {"quant_method": "gptq", "bits": 4, "modules": [["a"], {"b": 1}]}}
    )
    check({})

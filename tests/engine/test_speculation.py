"""Drafts change how fast a reply comes, never what it says; and they are made only as long as they pay."""

import json
from collections import Counter
from itertools import pairwise

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from tests.compiled_kernels import lay_kernels
from tests.engine import tiny
from tests.engine.conftest import Heard, chat, load, never
from tui.engine.base import GenerateRequest, ModelLoadError, Speculation
from tui.engine.local import decoding, prefill
from tui.engine.local.assistant import TranslatingDrafter
from tui.engine.local.decoding import Decoder, NoDrafter
from tui.engine.local.engine import LocalEngine
from tui.engine.local.speculation import Costs, Lookup, Payoff, Speculator


def ask(engine, messages, speculation, **parameters):
    heard = Heard()
    request = GenerateRequest(messages, {"temperature": 0.0, **parameters}, speculation=speculation)
    heard.finished = engine.generate(request, heard.events.append, never)
    return heard


@pytest.fixture(
    scope="module",
    params=[tiny.llama, tiny.sliding, tiny.mixed],
    ids=["full", "sliding", "mixed"],
)
def loaded_once(request, tmp_path_factory, kernels):
    folder = tmp_path_factory.mktemp("small")
    lay_kernels(folder / "cache")
    made = LocalEngine(folder / "cache")
    load(made, request.param(folder / "model"), dtype="float32")
    yield made
    made.unload()


@pytest.fixture
def small(loaded_once, one_thread):
    """An engine whose model has nothing in its cache yet."""
    loaded_once._loaded.cache.drop()
    return loaded_once


QUOTING = chat("say it again: " + "one two three " * 8)


class Oracle:
    """Drafts what is known to come, with a wrong token now and then."""

    def __init__(self, coming, wrong_at=()):
        self.coming, self.wrong_at = list(coming), set(wrong_at)
        self.learned = []

    def draft(self, ids):
        start = len(ids) - self.start
        draft = self.coming[start : start + 4]
        return [
            token + 1 if start + place in self.wrong_at else token
            for place, token in enumerate(draft)
        ]

    def learn(self, drafted, accepted, elapsed_s):
        self.learned.append((drafted, accepted))


def with_drafter(engine, drafter, messages, monkeypatch, **parameters):
    prompt = engine._loaded.prompts.build(messages)
    drafter.start = len(prompt.ids)
    monkeypatch.setattr(Speculator, "drafter", lambda *_choice: drafter)
    return ask(engine, messages, Speculation.AUTO, **parameters)


def tokens_of(engine, messages, count):
    """The greedy reply as ids."""
    model, prompt = engine._loaded.model, engine._loaded.prompts.build(messages)
    with torch.inference_mode():
        ids = torch.tensor([prompt.ids], device=engine._loaded.input_device)
        for _ in range(count):
            best = model(input_ids=ids, use_cache=False).logits[0, -1].argmax()
            ids = torch.cat((ids, best.view(1, 1)), dim=1)
    return ids[0, len(prompt.ids) :].tolist()


@pytest.mark.parametrize("choice", [Speculation.AUTO, Speculation.LOOKUP])
def test_a_greedy_reply_is_the_same_with_drafts(small, choice):
    for messages in (QUOTING, chat("hello")):
        plain = ask(small, messages, Speculation.OFF, max_new_tokens=40)
        assert plain.finished.stats.drafted_tokens == 0
        drafted = ask(small, messages, choice, max_new_tokens=40)
        assert drafted.text == plain.text
        assert drafted.finished.stats.new_tokens == plain.finished.stats.new_tokens


@pytest.mark.parametrize("gram", [None, 1, 4])
def test_prompt_lookup_as_a_parameter_changes_no_reply(small, gram):
    settings = {"prompt_lookup_num_tokens": 5, "max_matching_ngram_size": gram}
    plain = ask(small, QUOTING, Speculation.OFF, max_new_tokens=40)
    later = chat(QUOTING[0].content, plain.text, "and " + QUOTING[0].content)
    plain_later = ask(small, later, Speculation.OFF, max_new_tokens=40)
    small._loaded.cache.drop()
    drafted = ask(small, QUOTING, Speculation.OFF, max_new_tokens=40, **settings)
    assert drafted.text == plain.text
    assert drafted.finished.stats.drafted_tokens > 0
    # The cache that it leaves holds each token once.
    again = ask(small, later, Speculation.OFF, max_new_tokens=40, **settings)
    assert again.prompt.cached_tokens > 0
    assert again.text == plain_later.text


@pytest.mark.parametrize("choice", [Speculation.AUTO, Speculation.LOOKUP])
def test_no_prompt_lookup_as_a_parameter_switches_it_off(small, choice):
    heard = ask(small, QUOTING, choice, max_new_tokens=40, prompt_lookup_num_tokens=0)
    assert heard.finished.stats.drafted_tokens == 0


@pytest.mark.parametrize("wrong_at", [(), (0,), (5, 6, 13), range(20)])
def test_right_drafts_are_taken_and_wrong_ones_taken_back(small, monkeypatch, wrong_at):
    coming = tokens_of(small, QUOTING, 20)
    expected = ask(small, QUOTING, Speculation.OFF, max_new_tokens=20)
    oracle = Oracle(coming, wrong_at)
    heard = with_drafter(small, oracle, QUOTING, monkeypatch, max_new_tokens=20)
    assert heard.text == expected.text
    stats = heard.finished.stats
    assert stats.accepted_tokens == sum(accepted for _, accepted in oracle.learned)
    assert stats.drafted_tokens == sum(drafted for drafted, _ in oracle.learned)
    passes = len(oracle.learned)
    if not wrong_at:
        assert passes == 4
    # What the cache holds afterwards is right: the next turn goes on from it.
    monkeypatch.undo()
    again = ask(small, QUOTING, Speculation.OFF, max_new_tokens=20)
    assert again.prompt.cached_tokens == again.prompt.prompt_tokens - 1
    assert again.text == expected.text


def test_the_limit_and_the_end_hold_in_the_middle_of_a_draft(small, monkeypatch):
    coming = tokens_of(small, QUOTING, 20)
    heard = with_drafter(small, Oracle(coming), QUOTING, monkeypatch, max_new_tokens=3)
    assert heard.finished.stats.new_tokens == 3
    monkeypatch.setattr(small._loaded, "end_ids", frozenset({coming[6]}))
    ended = with_drafter(small, Oracle(coming), QUOTING, monkeypatch, max_new_tokens=20)
    assert ended.finished.stats.new_tokens == coming.index(coming[6])


def test_a_recurrent_model_is_never_given_a_draft(engine, tmp_path):
    load(engine, tiny.recurrent(tmp_path / "model"), dtype="float32")
    heard = ask(engine, QUOTING, Speculation.LOOKUP, max_new_tokens=20)
    assert heard.finished.stats.drafted_tokens == 0


class Dice:
    """A model whose next token does not depend on what was said."""

    chances = torch.tensor([0.5, 0.3, 0.2])

    def __call__(self, ids, cache, past, logits=1):
        return self.chances.log().expand(logits, 3)


class Cache:
    layers = ()


def test_drawn_tokens_have_the_models_distribution_whatever_is_drafted():
    """Drafts that are right as often as chance has it; the second of two in a row too."""

    class AlwaysOne:
        def draft(self, ids):
            return (1, 1, 1)

        def learn(self, drafted, accepted, elapsed_s):
            pass

    class Config:
        do_sample = True
        max_length = 4_001

    def draws(drafter):
        torch.manual_seed(5)
        said = []
        decoder = Decoder(Dice(), Cache(), Dice.chances.log().view(1, 3), said.append, drafter)
        decoder(
            None, torch.zeros((1, 1), dtype=torch.long), lambda _ids, scores: scores,
            lambda ids, _scores: torch.tensor([ids.shape[1] > 4_000]), Config,
        )  # fmt: skip
        return said

    for said in (draws(AlwaysOne()), draws(NoDrafter())):
        counts = Counter(said)
        for token, chance in enumerate((0.5, 0.3, 0.2)):
            assert counts[token] / len(said) == pytest.approx(chance, abs=0.02)
        after_one = Counter(b for a, b in pairwise(said) if a == 1)
        assert after_one[1] / after_one.total() == pytest.approx(0.3, abs=0.035)


# -- when drafting pays


def learned(payoff, drafted, accepted, times):
    for _ in range(times):
        payoff.learn(drafted, accepted)


def test_drafts_grow_where_they_are_right_and_stop_where_they_are_not():
    costs = Costs(plain_s=0.05, drafted_s=0.01)
    payoff = Payoff(costs)
    assert payoff.length() >= 1
    learned(payoff, 4, 4, 10)
    assert payoff.length() >= 8
    learned(payoff, 4, 0, 60)
    assert payoff.length() == 0


def test_drafts_that_cost_as_much_as_tokens_do_not_pay():
    payoff = Payoff(Costs(plain_s=0.05, drafted_s=0.05))
    learned(payoff, 4, 4, 20)
    assert payoff.length() == 0


def test_what_did_not_pay_is_tried_ever_more_rarely():
    payoff = Payoff(Costs())
    tries = [at for at in range(1000) if payoff.is_time_to_try()]
    gaps = [b - a for a, b in pairwise(tries)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == 256
    payoff.learn(3, 3)
    assert sum(payoff.is_time_to_try() for _ in range(16)) == 1


def test_costs_are_measured_from_passes_with_and_without_drafts():
    costs = Costs()
    assert 1 < costs.of(4) < 5
    for _ in range(60):
        costs.learn(0, 0.040)
        costs.learn(4, 0.060)
    assert costs.of(4) == pytest.approx(1.5, abs=0.02)


def test_a_pass_on_a_gpu_is_over_when_it_is_computed(small, monkeypatch):
    """Before that it was only asked for, and costs as much with ten tokens as with one."""
    computed = []
    # The prompt's own pass is waited for by whoever looks at its logits.
    monkeypatch.setattr(decoding, "settle", computed.append)
    heard = ask(small, QUOTING, Speculation.OFF, max_new_tokens=4)
    assert heard.finished.stats.new_tokens == 4
    assert len(computed) == 3


def test_what_is_computed_on_a_gpu_is_waited_for(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    prefill.settle(torch.zeros(1))
    assert not waited
    elsewhere = torch.zeros(1, device="meta")
    prefill.settle(elsewhere)
    assert waited == [elsewhere.device]


def test_the_longest_run_that_stood_before_decides():
    ids = [1, 2, 3, 9, 2, 3, 8, 1, 2, 3]
    assert Lookup(Costs(), most=2, grams=(3, 2, 1)).draft(ids) == (9, 2)
    assert Lookup(Costs(), most=2, grams=(2, 1)).draft(ids) == (8, 1)
    assert Lookup(Costs(), most=2, grams=(4,)).draft(ids) == ()


@given(st.lists(st.integers(0, 3), max_size=60))
def test_a_draft_is_what_followed_the_last_tokens_before(ids):
    lookup = Lookup(Costs())
    for end in range(len(ids) + 1):
        draft = list(lookup.draft(ids[:end]))
        known = ids[:end]
        if draft:
            places = [at for at in range(3, end) if known[at - 3 : at] == known[-3:]]
            assert draft == known[places[-1] : places[-1] + len(draft)]
        else:
            assert not any(known[at - 3 : at] == known[-3:] for at in range(3, end))


def test_the_choice_decides_who_drafts():
    class Model(NoDrafter):
        def begin(self):
            return self

    small, layers = Model(), Model()
    speculator = Speculator(can_cut=True, early_exit=layers)
    assert isinstance(speculator.drafter(Speculation.OFF), NoDrafter)
    assert isinstance(speculator.drafter(Speculation.OFF, 5), Lookup)
    assert speculator.drafter(Speculation.LOOKUP).payoff is None
    assert speculator.drafter(Speculation.AUTO).payoff is not None
    assert speculator.drafter(Speculation.ASSISTANT).payoff is not None
    assert speculator.drafter(Speculation.EARLY_EXIT) is layers
    speculator.assistant = small
    assert speculator.drafter(Speculation.ASSISTANT) is small
    assert speculator.drafter(Speculation.AUTO) is small
    assert isinstance(speculator.drafter(Speculation.LOOKUP, 0), NoDrafter)
    assert speculator.drafter(Speculation.AUTO, 0) is small
    assert speculator.drafter(Speculation.AUTO, 5, 2) == Lookup(
        Costs(), most=5, grams=range(2, 0, -1)
    )
    assert isinstance(Speculator(can_cut=False).drafter(Speculation.LOOKUP), NoDrafter)
    assert isinstance(Speculator(can_cut=False).drafter(Speculation.AUTO, 5), NoDrafter)


# -- drafts by models


def test_an_assistant_drafts_and_the_reply_stays_the_same(engine, tmp_path):
    folder = tiny.llama(tmp_path / "model")
    load(engine, folder, dtype="float32")
    expected = [ask(engine, chat(text), Speculation.OFF, max_new_tokens=24).text for text in "ab"]
    load(engine, folder, dtype="float32", assistant=str(folder))
    for text, reply in zip("ab", expected, strict=True):
        heard = ask(engine, chat(text), Speculation.ASSISTANT, max_new_tokens=24)
        assert heard.text == reply
        # The same model foresees all of it; a pass or two may have been left without a draft.
        stats = heard.finished.stats
        assert stats.accepted_tokens >= 0.8 * stats.drafted_tokens > 0
    assert engine.memory().weights == 2 * engine.loaded.weights_bytes


def test_an_assistant_with_other_tokens_drafts_by_way_of_the_text(engine, tmp_path):
    folder, other = tiny.llama(tmp_path / "model"), tmp_path / "other"
    tiny.llama(other, sizes={"num_hidden_layers": 1}.items())
    path = other / "tokenizer.json"
    known = json.loads(path.read_text())
    vocabulary = known["model"]["vocab"]
    vocabulary["h"], vocabulary["t"] = vocabulary["t"], vocabulary["h"]
    path.write_text(json.dumps(known))
    load(engine, folder, dtype="float32")
    expected = ask(engine, chat("hello there"), Speculation.OFF, max_new_tokens=16)
    load(engine, folder, dtype="float32", assistant=str(other))
    assert isinstance(engine._loaded.speculation.assistant, TranslatingDrafter)
    for _ in range(2):
        heard = ask(engine, chat("hello there"), Speculation.ASSISTANT, max_new_tokens=16)
        assert heard.text == expected.text


def test_the_first_layers_draft_and_the_reply_stays_the_same(engine, tmp_path):
    folder = tiny.llama(tmp_path / "model", sizes={"num_hidden_layers": 3}.items())
    load(engine, folder, dtype="float32")
    config = engine._loaded.model.config
    for text in ("hello", "another"):
        expected = ask(engine, chat(text), Speculation.OFF, max_new_tokens=24)
        heard = ask(engine, chat(text), Speculation.EARLY_EXIT, max_new_tokens=24)
        assert heard.text == expected.text
        assert heard.finished.stats.drafted_tokens > 0
        assert config.num_hidden_layers == 3


def test_a_recurrent_assistant_is_refused(engine, tmp_path):
    folder, other = tiny.llama(tmp_path / "model"), tiny.recurrent(tmp_path / "other")
    with pytest.raises(ModelLoadError, match="can't draft"):
        load(engine, folder, dtype="float32", assistant=str(other))


@pytest.mark.parametrize(
    ("temperature", "task"),
    [
        (
            0.0,
            "Repeat this word by word: The old mill stands by the river, and it runs to the sea.",
        ),
        (0.8, "Write the numbers from one to ten as words, and then again."),
    ],
)
def test_drafts_change_no_token_of_the_real_model(demo, temperature, task):
    """In bfloat16, where several tokens at once are usually rounded otherwise than one alone."""
    if demo._loaded.installed is None or not demo._loaded.installed.native:
        pytest.skip("there are no products compiled here, and others round otherwise")
    settings = {"temperature": temperature, "seed": 5, "max_new_tokens": 32}
    demo._loaded.cache.drop()
    plain = ask(demo, chat(task), Speculation.OFF, **settings)
    demo._loaded.cache.drop()
    drafted = ask(demo, chat(task), Speculation.LOOKUP, **settings)
    assert drafted.text == plain.text
    assert drafted.finished.stats.new_tokens == plain.finished.stats.new_tokens
    if not temperature:
        assert drafted.finished.stats.accepted_tokens > 0

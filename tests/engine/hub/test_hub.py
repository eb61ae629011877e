"""The Hub as the app uses it, against a server on this machine that speaks its API."""

import subprocess
import sys
import time

import pytest

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tests.hub_server import Repo, serving
from tui.engine import fit
from tui.engine.base import Cancelled, LoadRequest, ModelLoadError, Progress
from tui.engine.catalog import ModelKind, delete, facts, is_complete, local_models
from tui.engine.facts import folder_facts
from tui.engine.hub import hub
from tui.engine.hub.cache import RepoCache
from tui.engine.hub.downloads import Downloads, DownloadStatus
from tui.engine.hub.hub import Hub, HubSort
from tui.engine.local.engine import LocalEngine
from tui.screens.models import rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    sizes = {"hidden_size": 128, "intermediate_size": 256}
    return tiny.llama(tmp_path_factory.mktemp("models") / "tiny", sizes=sizes)


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def cache(tmp_path, monkeypatch):
    from huggingface_hub import constants

    place = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(place))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 16_384)
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 2)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 2)
    return place


def wait(downloads, repo_id, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while True:
        [one] = [one for one in downloads.all if one.repo_id == repo_id]
        if one.status.has_ended:
            return one
        assert time.monotonic() < deadline, one
        time.sleep(0.02)


def test_a_search_goes_through_all_pages_and_says_what_it_knows(server, cache, folder):
    for number in range(5):
        server.add_folder(f"org/chat-{number}", folder, downloads=number, likes=10 - number)
    server.add(Repo("org/base", {"config.json": b"{}"}, tags=("transformers",)))
    found = Hub(server.url).search(sort=HubSort.DOWNLOADS)
    assert [model.id for model in found] == [f"org/chat-{n}" for n in (4, 3, 2, 1, 0)]
    first = found[0]
    assert first.parameters == folder_facts(folder).parameters
    assert (first.dtype, first.licence, first.downloads) == ("F32", "apache-2.0", 4)
    assert (first.has_template, first.updated, first.architecture) == (True, "2026-01-31", "llama")
    assert len(Hub(server.url).search(limit=3)) == 3
    # The Hub's own names, which the library translates to.
    for sort, name in zip(
        HubSort, ("trendingScore", "downloads", "likes", "createdAt"), strict=True
    ):
        Hub(server.url).search(sort=sort, limit=1)
        asked = server.requests[-1]
        assert f"sort={name}&limit=1&expand=downloads&expand=likes" in asked
        assert asked.endswith("filter=conversational")


def test_models_that_see_as_well_are_found_and_others_are_not(server, cache, folder):
    for task in ("image-text-to-text", "text-generation", "feature-extraction", "text-to-image"):
        server.add_folder(f"org/{task}", folder).task = task
    for words in ("", "org"):
        found = {model.id for model in Hub(server.url).search(words)}
        assert found == {"org/image-text-to-text", "org/text-generation"}


ODD = (None, True, -1, 10**400, 1e999, float("nan"), "x", [], [1], {}, {"F32": 10**400}, {"a": "b"})


@pytest.mark.parametrize("odd", ODD, ids=lambda value: repr(value)[:12])
def test_whatever_the_hub_says_of_a_model_has_a_row(odd):
    said = {
        "id": "org/model", "tags": odd, "lastModified": odd, "downloads": odd, "likes": odd, "gated": odd,
        "config": {"model_type": odd, "quantization_config": odd}, "safetensors": {"total": odd, "parameters": odd},
    }  # fmt: skip
    for config in (said["config"], odd):
        model = hub._model(said | {"config": config})
        room = rows.FreeMemory("cpu", "CPU", 10**9)
        fits = rows.verdict(model.id, rows.hub_facts(model), "none", room)
        assert "org/model" in rows.hub_row(model, fits).plain


@pytest.mark.parametrize("value", ["1" + "0" * 400, "1e999", "-5", "[" * 2000 + "]" * 2000, '"x"'])
def test_a_config_of_the_hub_with_nonsense_in_it_leaves_the_figures(server, cache, folder, value):
    repo = server.add_folder("org/model", folder)
    repo.files["config.json"] = b'{"model_type": "llama", "hidden_size": ' + value.encode() + b"}"
    facts = Hub(server.url).facts("org/model")
    assert facts.parameters == folder_facts(folder).parameters
    assert facts.head_dim == 0
    assert fit.need(facts).total_bytes > 0


def test_words_find_models_of_any_kind(server, cache, folder):
    server.add_folder("org/some-chat", folder)
    server.add(Repo("org/base", {"config.json": b"{}"}, tags=(), gated=True))
    [found] = Hub(server.url).search("BASE")
    assert (found.id, found.is_gated, found.parameters) == ("org/base", True, 0)


def test_the_facts_of_a_repository_are_read_without_its_weights(server, cache, folder):
    server.add_folder("org/tiny", folder)
    size = (folder / "model.safetensors").stat().st_size
    found = Hub(server.url).facts("org/tiny")
    local = folder_facts(folder)
    assert (found.parameters, found.linears) == (local.parameters, local.linears)
    assert (found.layers, found.kv_heads, found.head_dim) == (2, 2, 32)
    assert server.sent_bytes < size
    assert local_models() == [] or all(one.kind is not ModelKind.HUB for one in local_models())


def test_a_plan_counts_what_is_missing(server, cache, folder):
    server.add_folder("org/tiny", folder)
    hub = Hub(server.url)
    plan = hub.plan("org/tiny")
    assert plan.total_bytes == plan.missing_bytes == sum(f.stat().st_size for f in folder.iterdir())
    assert (plan.revision, plan.fits) == (server.repos["org/tiny"].sha, True)
    hub.snapshot("org/tiny")
    assert hub.plan("org/tiny").missing_bytes == 0


def test_a_download_is_counted_in_one_bar_and_leaves_a_model_that_loads(
    server, cache, folder, tmp_path, own_cache
):
    server.add_folder("org/tiny", folder, piece_s=0.001)
    downloads = Downloads(lambda: Hub(server.url))
    downloads.start("org/tiny", load=True)
    ended = wait(downloads, "org/tiny")
    assert (ended.status, ended.load) == (DownloadStatus.DONE, True)
    assert ended.done_bytes == ended.total_bytes > (folder / "model.safetensors").stat().st_size
    [source] = [one for one in local_models() if one.kind is ModelKind.HUB]
    assert is_complete(source)
    assert facts(source).parameters == folder_facts(folder).parameters
    engine = LocalEngine(own_cache, Hub(server.url))
    info = load(engine, "org/tiny")
    assert info.revision == server.repos["org/tiny"].sha
    assert ask(engine, chat("hello"), max_new_tokens=2).finished.stats.new_tokens == 2
    engine.unload()
    downloads.forget("org/tiny")
    assert downloads.all == ()


def test_a_cancelled_download_counts_as_stopped_at_once_and_goes_on_where_it_was(
    server, cache, folder
):
    repo = server.add_folder("org/slow", folder, piece_s=0.02)
    downloads = Downloads(lambda: Hub(server.url))
    downloads.start("org/slow")
    deadline = time.monotonic() + 20
    while not any(one.done_bytes > 20_000 for one in downloads.all):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    downloads.cancel("org/slow")
    [stopped] = downloads.all
    assert stopped.status is DownloadStatus.CANCELLED
    assert downloads.running == ()
    [source] = [one for one in local_models() if one.kind is ModelKind.HUB] or [None]
    assert source is None or not is_complete(source)
    repo.piece_s = 0.0
    downloads.start("org/slow")
    assert wait(downloads, "org/slow").status is DownloadStatus.DONE


def test_a_connection_that_breaks_in_the_middle_is_taken_up_again_or_said(server, cache, folder):
    server.add_folder("org/broken", folder, breaks_after=40_000)
    downloads = Downloads(lambda: Hub(server.url))
    downloads.start("org/broken")
    ended = wait(downloads, "org/broken", 60)
    if ended.status is DownloadStatus.FAILED:
        assert ended.problem
        downloads.start("org/broken")
        ended = wait(downloads, "org/broken", 60)
    assert ended.status is DownloadStatus.DONE


@pytest.mark.parametrize("what", ["plan", "facts", "download", "load"])
@pytest.mark.parametrize(
    ("repo_id", "options", "said"),
    [
        ("org/gated", {"gated": True}, "accept its terms"),
        ("org/nobody-knows", None, "doesn't exist on the Hugging Face Hub"),
    ],
)  # fmt: skip
def test_what_the_hub_refuses_is_a_sentence(
    server, cache, folder, tmp_path, what, repo_id, options, said, own_cache
):
    if options is not None:
        server.add_folder(repo_id, folder, **options)
    hub = Hub(server.url)
    if what == "download":
        downloads = Downloads(lambda: hub)
        downloads.start(repo_id)
        ended = wait(downloads, repo_id)
        assert ended.status is DownloadStatus.FAILED
        assert said in ended.problem
        return
    engine = LocalEngine(own_cache, hub)
    call = {"load": lambda name: load(engine, name), "plan": hub.plan, "facts": hub.facts}[what]
    with pytest.raises(ModelLoadError, match=said) as raised:
        call(repo_id)
    assert "hf auth login" in raised.value.hint


def test_a_hub_that_is_out_of_order_or_not_there(server, cache):
    hub = Hub(server.url)
    for server.broken in (500, 503):
        before = len(server.requests)
        for call in (hub.search, hub.facts, hub.plan):
            with pytest.raises(ModelLoadError, match="returned an error") as raised:
                call("org/x")
            said = f"{raised.value.message} {raised.value.hint}"
            assert said == (
                f"The Hugging Face Hub returned an error ({server.broken}). Try again later."
            )
        # A person waits for each of them.
        assert len(server.requests) - before <= 5
    with pytest.raises(ModelLoadError, match="can't be reached"):
        Hub("http://127.0.0.1:9").search("x")


def test_a_repository_without_weights_holds_no_model(server, cache):
    server.add(Repo("org/nothing", {"config.json": b"{}"}))
    with pytest.raises(ModelLoadError, match="transformers can't load it"):
        Hub(server.url).plan("org/nothing")
    server.add(Repo("org/only-gguf", {"config.json": b"{}", "a.gguf": b"GGUF"}))
    with pytest.raises(ModelLoadError, match=r"only GGUF files \(1\)") as raised:
        Hub(server.url).plan("org/only-gguf")
    assert "hf download org/only-gguf" in raised.value.hint


def test_a_disk_that_is_full_is_said_and_nothing_half_is_taken_for_whole(
    server, cache, folder, monkeypatch
):
    import errno
    import os

    import tui.engine.hub.fetching as fetching

    server.add_folder("org/tiny", folder)

    def full(_file, _piece):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fetching._Growing, "add", full)
    downloads = Downloads(lambda: Hub(server.url))
    downloads.start("org/tiny")
    ended = wait(downloads, "org/tiny")
    assert ended.status is DownloadStatus.FAILED
    assert "disk is full" in ended.problem
    assert not any(is_complete(one) for one in local_models() if one.kind is ModelKind.HUB)
    assert RepoCache("org/tiny").partial_bytes() == 0


def test_a_load_that_waits_for_the_hub_can_be_cancelled(server, cache, folder, tmp_path, own_cache):
    server.add_folder("org/slow", folder, piece_s=0.05)
    engine = LocalEngine(own_cache, Hub(server.url))
    seen = []
    with pytest.raises(Cancelled):
        engine.load(
            LoadRequest("org/slow"),
            seen.append,
            lambda: any(e.stage == "Downloading" for e in seen),
        )
    assert all(isinstance(event, Progress) for event in seen)
    assert engine.loaded is None


def test_a_load_tells_the_bytes_and_one_that_is_stopped_leaves_the_former_model(
    server, cache, folder, tmp_path, own_cache
):
    server.add_folder("org/tiny", folder)
    server.add_folder("org/slow", folder, piece_s=0.05)
    engine = LocalEngine(own_cache, Hub(server.url))
    events = []
    info = engine.load(LoadRequest("org/tiny"), events.append, lambda: False)
    told = [one for one in events if isinstance(one, Progress) and one.stage == "Downloading"]
    assert told[-1].unit == "B"
    assert told[-1].done == told[-1].total > (folder / "model.safetensors").stat().st_size
    with pytest.raises(Cancelled):
        engine.load(
            LoadRequest("org/slow"),
            events.append,
            lambda: events[-1].stage == "Downloading" and 0 < events[-1].done < events[-1].total,
        )
    assert engine.loaded == info


def test_a_model_is_deleted_from_the_cache_with_all_its_revisions(server, cache, folder):
    server.add_folder("org/tiny", folder)
    Hub(server.url).snapshot("org/tiny")
    [source] = [one for one in local_models() if one.kind is ModelKind.HUB]
    freed = delete(source)
    assert freed >= (folder / "model.safetensors").stat().st_size
    assert not [one for one in local_models() if one.kind is ModelKind.HUB]
    with pytest.raises(ModelLoadError, match="isn't in the Hugging Face cache"):
        delete(source)


def test_neither_the_hub_nor_the_catalog_imports_torch():
    code = (
        "import sys; from tui.engine import catalog, fit; from tui.engine.hub import downloads, hub;"
        "catalog.local_models(); assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_small_file_is_read_and_from_the_cache_without_the_hub(server, cache, folder):
    server.add_folder("org/tiny", folder)
    hub = Hub(server.url)
    text = (folder / "generation_config.json").read_bytes()
    assert hub.small_file("org/tiny", "generation_config.json") == text
    assert not cache.exists()
    with pytest.raises(ModelLoadError):
        hub.small_file("org/tiny", "nothing.json")
    hub.snapshot("org/tiny")
    server.broken = 503
    assert hub.small_file("org/tiny", "generation_config.json") == text

"""Answers of a Hub that are changed at random: whatever comes, nothing leads out of the cache, and only sentences are raised."""

import json
import random
import shutil

import pytest

from tests.engine.hub.hub_case import ID, hub, leads_out, model, outside
from tui.engine.base import Cancelled, ModelLoadError
from tui.engine.hub.client import Limits

_HASTY = Limits(answer_s=1.0, quiet_s=0.5, again_s=0.001, wait_at_most_s=0.01, pace_s=0.5)
_EVIL = "../../../../evil"
_VALUES = (
    None, True, -1, 0, 2**63, 10**400, 1.5, float("inf"), float("nan"), "", ".", "..", "/", _EVIL, f"/{_EVIL}", "\0",
    "a\\b", "C:\\x", "x" * 3000, "\x1b]0;x\x07", "\u202e", "\ud800", "CON", [], {}, [[]], {"a": {}}, "0" * 40, "A" * 64,
    [_EVIL], {"oid": _EVIL, "size": 5}, "config.json", "model.safetensors", "config.json/x.json", f"{_EVIL}.json",
)  # fmt: skip
_HEADERS = (
    "ETag", "X-Linked-ETag", "X-Linked-Size", "X-Repo-Commit", "X-Xet-Hash", "X-Xet-Refresh-Route", "Link", "Location",
    "Content-Range", "Content-Encoding", "Content-Type", "Retry-After", "RateLimit", "X-Error-Code", "X-Error-Message",
    "X-HF-Warning", "Accept-Ranges", "Set-Cookie", "Transfer-Encoding", "Connection", "Content-Length",
)  # fmt: skip
_TEXTS = (
    "", _EVIL, f'"{_EVIL}"', "0", "-1", "1", "9" * 400, "bytes 0-1/2", "bytes */5", "bytes 99-1/-5", "gzip", "br", "deflate",
    "gzip, gzip", "chunked", "close", "file:///etc/passwd", "/", "//", "http://", "https://127.0.0.1:1/", "?x", "a/../..",
    '<file:///x>; rel="next"', '</api/models?x>; rel="next"', "<<<>>>;;;,,,", "RepoNotFound", "EntryNotFound", "GatedRepo",
    "RevisionNotFound", '"api";r=0;t=99999999999999', "Wed, 99 Foo 0000", "x" * 9000, "a=b; domain=.", "\x80\xff",
)  # fmt: skip
_STATUSES = (
    200,
    200,
    200,
    206,
    204,
    299,
    300,
    301,
    302,
    304,
    307,
    308,
    400,
    401,
    403,
    404,
    416,
    429,
    500,
    503,
    599,
    999,
)


def mutated(value, chance):
    """Return JSON of which one thing or a few are others."""
    if chance.random() < 0.08:
        return chance.choice(_VALUES)
    if isinstance(value, dict) and value:
        changed = dict(value)
        for key in chance.sample(sorted(changed), k=chance.choice((0, 1, min(2, len(changed))))):
            changed[key] = mutated(changed[key], chance)
        if chance.random() < 0.1:
            del changed[chance.choice(sorted(changed))]
        return changed
    if isinstance(value, list) and value:
        changed = [mutated(one, chance) if chance.random() < 0.3 else one for one in value]
        return changed + changed[: chance.random() < 0.1]
    return chance.choice(_VALUES)


def spoiled(body, chance):
    """Return bytes of which some are others."""
    changed = bytearray(body)
    for _ in range(chance.randrange(1, 8)):
        if changed:
            changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(
        changed[: chance.randrange(len(changed) + 1)] if chance.random() < 0.3 else changed
    )


def spoil(server, chance):
    """Make a server say one wrong thing, or a few."""
    server.fault = server.changed_json = None
    server.changed_headers = {}
    for _ in range(chance.choice((1, 1, 2))):
        match chance.randrange(5):
            case 0:
                seed = chance.random()
                server.changed_json = lambda path, value, seed=seed: mutated(
                    value, random.Random(f"{path}{seed}")
                )
            case 1:
                seed = chance.random()
                server.changed_json = lambda path, value, seed=seed: spoiled(
                    json.dumps(value).encode(), random.Random(f"{path}{seed}")
                )
            case 2:
                server.changed_headers[chance.choice(_HEADERS)] = chance.choice(_TEXTS)
            case 3:
                place = chance.choice(("/revision/", "/tree/", "/resolve/", "config.json", "/api/"))
                status, body = chance.choice(_STATUSES), bytes(chance.choices(b'[]{}":,1a', k=20))
                headers = {chance.choice(_HEADERS): chance.choice(_TEXTS) for _ in range(2)}
                left = [chance.choice((1, 10**6))]
                server.fault = fault_at(place, status, body, headers, left)
            case 4:
                repo = server.repos[ID]
                name = chance.choice(sorted(repo.files))
                repo.files[name] = spoiled(repo.files[name], chance)


def fault_at(place, status, body, headers, left):
    def fault(request):
        if place not in request.path or not left[0]:
            return False
        left[0] -= 1
        request.reply(status, body, headers)
        return True

    return fault


def attempt(server, chance, failures):
    asked = hub(server, _HASTY)
    what = chance.choice(("search", "facts", "plan", "snapshot", "snapshot", "snapshot"))
    try:
        getattr(asked, what)(chance.choice(("", "x")) if what == "search" else ID)
    except ModelLoadError as error:
        text = f"{error.message} {error.hint}"
        if len(text) > 900 or not text.isprintable():
            failures.append((what, text[:200]))
    except Cancelled:
        pass
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        failures.append((what, repr(error)[:300]))


def fuzz(server, cache, place, seeds):
    """Return what went wrong in which run."""
    before = outside(place, cache)
    wrong = []
    for seed in seeds:
        chance = random.Random(seed)
        failures = []
        if chance.random() < 0.7:
            shutil.rmtree(cache, ignore_errors=True)
        model(server)
        spoil(server, chance)
        attempt(server, chance, failures)
        if outside(place, cache) != before:
            failures.append(("outside", sorted(set(outside(place, cache)) - set(before))))
        if led := leads_out(cache):
            failures.append(("points outside", led))
        wrong += [(seed, *failure) for failure in failures]
    return wrong


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_no_answer_of_a_hub_does_harm(hub_server, hub_cache, tmp_path, first):
    assert fuzz(hub_server, hub_cache, tmp_path, range(first, first + 50)) == []


def test_the_fuzz_finds_ways_through(hub_server, hub_cache):
    # A fuzz of which every answer is refused at the first line would find nothing.
    ended = []
    for seed in range(60):
        model(hub_server)
        spoil(hub_server, random.Random(seed))
        try:
            ended.append(bool(hub(hub_server, _HASTY).snapshot(ID)))
        except ModelLoadError:
            ended.append(False)
        shutil.rmtree(hub_cache, ignore_errors=True)
    assert 5 < sum(ended) < 55

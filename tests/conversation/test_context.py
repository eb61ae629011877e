from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.conversation.context import KEPT_SHARE, OverflowPolicy, left_out

TALK = ["user", "assistant"] * 5 + ["user"]


def test_the_oldest_exchanges_go_first_down_to_the_kept_share():
    assert left_out(TALK, [100] * 11, 0, 1000, OverflowPolicy.DROP_OLDEST) == (0, 1, 2, 3)


def test_keeping_both_ends_leaves_out_the_middle():
    assert left_out(TALK, [100] * 11, 0, 1000, OverflowPolicy.KEEP_ENDS) == (2, 3, 4, 5)


def test_the_last_user_turn_is_never_left_out():
    assert left_out(TALK, [10] * 10 + [5000], 0, 1000, OverflowPolicy.DROP_OLDEST) == tuple(
        range(10)
    )
    assert left_out(["user"], [5000], 0, 1000, OverflowPolicy.DROP_OLDEST) == ()


def test_what_the_system_prompt_takes_counts():
    few = left_out(TALK, [50] * 11, 0, 1000, OverflowPolicy.DROP_OLDEST)
    many = left_out(TALK, [50] * 11, 500, 1000, OverflowPolicy.DROP_OLDEST)
    assert len(many) > len(few)


turns = st.lists(
    st.tuples(st.sampled_from(["user", "assistant", "system"]), st.integers(0, 500)), min_size=1
)


@given(turns, st.integers(0, 400), st.integers(1, 3000), st.sampled_from(OverflowPolicy))
def test_what_stays_fits_or_is_only_the_last_exchange(talk, overhead, context, policy):
    roles, costs = [role for role, _ in talk], [cost for _, cost in talk]
    gone = left_out(roles, costs, overhead, context, policy)
    users = [i for i, role in enumerate(roles) if role == "user"]
    last = users[-1] if users else len(roles) - 1
    assert list(gone) == sorted(set(gone))
    assert all(0 <= i < last for i in gone)
    rest = sum(costs) - sum(costs[i] for i in gone)
    fits = rest + overhead <= int(context * KEPT_SHARE)
    kept_before_last = [i for i in range(last) if i not in gone]
    assert fits or not kept_before_last or policy is OverflowPolicy.KEEP_ENDS
    if policy is OverflowPolicy.KEEP_ENDS and not fits:
        assert len([i for i in kept_before_last if roles[i] == "user"]) <= 1

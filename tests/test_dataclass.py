"""Every value class is the one that the standard library would have made, only later."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any, ClassVar

import pytest

from tui.dataclass import dataclass as ours

_WAYS = [{}, {"slots": True}, {"frozen": True}, {"frozen": True, "slots": True}]


def _shapes(way: dict[str, bool]) -> list[type[Any]]:
    """Return the same class made by the standard library and by this project."""
    made = []
    for maker in (dataclasses.dataclass, ours):

        class Shape:
            """A shape."""

            name: str
            sides: int = 4
            tags: list[str] = dataclasses.field(default_factory=list, hash=False)
            seen: int = dataclasses.field(default=0, compare=False, repr=False)
            steps: list[int] = dataclasses.field(init=False, default_factory=list, hash=False)

        made.append(maker(**way)(Shape))
    return made


@pytest.mark.parametrize("way", _WAYS)
def test_instances_are_made_shown_compared_and_hashed_alike(way):
    theirs, mine = _shapes(way)
    for arguments, named in (
        (("a",), {}),
        (("b", 3), {"tags": ["x"]}),
        ((), {"name": "c", "seen": 2}),
    ):
        expected, made = theirs(*arguments, **named), mine(*arguments, **named)
        assert repr(made) == repr(expected)
        assert dataclasses.asdict(made) == dataclasses.asdict(expected)
        assert made == mine(*arguments, **named)
        assert made != mine("else")
        assert made != expected
        assert (made == dataclasses.replace(made, seen=9)) is True
        if way.get("frozen"):
            assert hash(made) == hash(mine(*arguments, **named))
        else:
            with pytest.raises(TypeError, match="unhashable"):
                hash(made)
    assert mine("a").tags is not mine("a").tags
    assert mine.__match_args__ == theirs.__match_args__
    assert hasattr(mine, "__slots__") == hasattr(theirs, "__slots__")


@pytest.mark.parametrize("way", _WAYS)
def test_wrong_arguments_are_refused_also_by_the_first_instance(way):
    for wrong, message in (
        (lambda cls: cls(), "missing 1 required positional argument: 'name'"),
        (lambda cls: cls("a", color=1), "unexpected keyword argument 'color'"),
        (lambda cls: cls("a", name="b"), "got multiple values for argument 'name'"),
        (lambda cls: cls("a", 1, [], 2, 3), "takes from 2 to 5 positional arguments but 6"),
    ):
        _, mine = _shapes(way)
        for _ in range(2):
            with pytest.raises(TypeError, match=message):
                wrong(mine)


@pytest.mark.parametrize("slots", [False, True])
def test_a_frozen_instance_cannot_be_changed_but_copied(slots):
    _, mine = _shapes({"frozen": True, "slots": slots})
    made = mine("a", tags=["x"])
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'name'"):
        made.name = "b"
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'name'"):
        del made.name
    assert copy.copy(made) == made
    assert copy.deepcopy(made) == made
    assert dataclasses.replace(made, name="b").name == "b"


@ours(frozen=True, slots=True)
class _Stored:
    """A class that can be found by its name."""

    name: str


def test_an_instance_can_be_pickled():
    assert pickle.loads(pickle.dumps(_Stored("a"))) == _Stored("a")


def test_methods_written_in_the_class_stay():
    @ours(frozen=True)
    class Temperature:
        degrees: float

        def __post_init__(self) -> None:
            if self.degrees < 0:
                raise ValueError("too cold")

        def __repr__(self) -> str:
            return f"{self.degrees} K"

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Temperature) and round(self.degrees) == round(other.degrees)

    assert repr(Temperature(1.0)) == "1.0 K"
    assert Temperature(1.0) == Temperature(1.1)
    with pytest.raises(ValueError, match="too cold"):
        Temperature(-1.0)


def test_a_subclass_has_the_fields_of_both():
    @ours(frozen=True)
    class Base:
        name: str

    @ours(frozen=True)
    class Special(Base):
        size: int = 1

    class Plain(Special):
        pass

    assert Special("a") == Special("a", 1) != Base("a")
    assert repr(Special("a", 2)).endswith("Special(name='a', size=2)")
    assert Plain("a", 3).size == 3
    assert Base("b").name == "b"


def test_an_instance_that_contains_itself_can_be_shown():
    @ours
    class Ring:
        then: object = None

    ring = Ring()
    ring.then = ring
    assert repr(ring).endswith("Ring(then=...)")


def test_the_standard_library_knows_the_fields_of_a_class_that_has_no_instance_yet():
    for way in _WAYS:
        theirs, mine = _shapes(way)
        assert dataclasses.is_dataclass(mine)
        assert [(one.name, one.compare, one.init) for one in dataclasses.fields(mine)] == [
            (one.name, one.compare, one.init) for one in dataclasses.fields(theirs)
        ]
        assert getattr(mine, "sides", 0) == getattr(theirs, "sides", 0) or way.get("slots")
        assert not hasattr(mine, "tags") or way.get("slots")


def test_what_belongs_to_the_class_is_no_field():
    @ours(slots=True)
    class Counter:
        start: int
        most: ClassVar[int] = 9

    assert [one.name for one in dataclasses.fields(Counter)] == ["start"]
    assert Counter.most == Counter(1).most == 9


def test_a_class_of_the_standard_library_can_add_fields():
    @ours
    class Base:
        name: str

    @dataclasses.dataclass
    class Special(Base):
        size: int = 1

    assert Special("a", 2) == Special("a", 2)
    assert [one.name for one in dataclasses.fields(Special)] == ["name", "size"]

"""The standard library's `dataclass`, at a tenth of what it costs to import a module that uses it.

The standard one writes and compiles up to eight functions for each class, half a millisecond a class. The first frame needs
more than a hundred classes, most of them without making an instance. Here the standard library finds the fields, and the
methods are closures. Only `__init__` is compiled, for its speed, and that when the first instance is made.

For a type checker it is the standard library's. It knows only the options that this project uses.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Final

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass
else:

    def dataclass(
        cls: type | None = None,
        /,
        *,
        eq: bool = True,
        repr: bool = True,  # noqa: A002 - as in the standard library
        frozen: bool = False,
        slots: bool = False,
    ) -> type | Callable[[type], type]:
        """Make a class of fields, as `dataclasses.dataclass` does."""

        def make(plain: type) -> type:
            return _made(plain, eq=eq, has_repr=repr, frozen=frozen, slots=slots)

        return make if cls is None else make(cls)


_ABSENT: Final = dataclasses.MISSING
_set: Final = object.__setattr__


def _made(plain: type[Any], *, eq: bool, has_repr: bool, frozen: bool, slots: bool) -> type[Any]:
    if not plain.__doc__:
        # The standard library would write down the signature, and read all annotations for that.
        plain.__doc__ = plain.__name__
    written = {name for name, value in vars(plain).items() if value is not None}
    cls = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(plain)
    fields = dataclasses.fields(cls)
    methods: dict[str, Any] = {"__init__": _first_init(cls, frozen=frozen)}
    if has_repr:
        methods["__repr__"] = _repr([one.name for one in fields if one.repr])
    if eq:
        methods["__eq__"] = _eq(_values([one.name for one in fields if one.compare]))
        hashed = [one.name for one in fields if (one.compare if one.hash is None else one.hash)]
        methods["__hash__"] = _hash(_values(hashed)) if frozen else None
    if frozen:
        methods |= _frozen(cls, {one.name for one in fields})
        if slots:
            methods |= {"__getstate__": _state, "__setstate__": _take_state}
    for name, method in methods.items():
        if name not in written:
            setattr(cls, name, method)
    return cls


def _first_init(cls: type[Any], *, frozen: bool) -> Callable[..., None]:
    def __init__(self: object, *args: object, **kwargs: object) -> None:  # noqa: N807 - its name, as in errors
        made = _init(cls, frozen=frozen)
        cls.__init__ = made
        made(self, *args, **kwargs)

    return __init__


def _init(cls: type[Any], *, frozen: bool) -> Callable[..., None]:
    """Compile the method, as fast as if it had been written by hand."""
    scope: dict[str, Any] = {"_absent": _ABSENT, "_set": _set}
    parameters, body = ["self"], []
    for one in dataclasses.fields(cls):
        name = value = one.name
        if one.default is not _ABSENT:
            scope[f"_default_{name}"] = one.default
            parameter, value = f"{name}=_default_{name}", name if one.init else f"_default_{name}"
        elif one.default_factory is not _ABSENT:
            scope[f"_make_{name}"] = one.default_factory
            made = f"_make_{name}()"
            parameter = f"{name}=_absent"
            value = f"{made} if {name} is _absent else {name}" if one.init else made
        elif one.init:
            parameter = name
        else:
            continue
        if one.init:
            parameters.append(parameter)
        body.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    source = f"def __init__({', '.join(parameters)}):\n " + "\n ".join(body or ["pass"])
    exec(source, scope)  # noqa: S102 - of the names of fields alone
    made_init: Callable[..., None] = scope["__init__"]
    made_init.__qualname__ = f"{cls.__qualname__}.__init__"
    return made_init


def _values(names: list[str]) -> Callable[[object], tuple[object, ...]]:
    if not names:
        return lambda _self: ()
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda self: (get(self),)


def _repr(names: list[str]) -> Callable[[object], str]:
    @recursive_repr()
    def __repr__(self: object) -> str:  # noqa: N807
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return __repr__


def _eq(values: Callable[[object], tuple[object, ...]]) -> Callable[[object, object], bool]:
    def __eq__(self: object, other: object) -> bool:  # noqa: N807
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    return __eq__


def _hash(values: Callable[[object], tuple[object, ...]]) -> Callable[[object], int]:
    def __hash__(self: object) -> int:  # noqa: N807
        return hash(values(self))

    return __hash__


def _frozen(cls: type[Any], names: set[str]) -> dict[str, Any]:
    def __setattr__(self: object, name: str, value: object) -> None:  # noqa: N807
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: object, name: str) -> None:  # noqa: N807
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return {"__setattr__": __setattr__, "__delattr__": __delattr__}


def _state(self: Any) -> list[object]:
    """Return what a copy needs: without this, copying would set attributes of a frozen instance."""
    return [getattr(self, one.name) for one in dataclasses.fields(self)]


def _take_state(self: Any, state: list[object]) -> None:
    for one, value in zip(dataclasses.fields(self), state, strict=True):
        _set(self, one.name, value)

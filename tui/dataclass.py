"""The standard library's `dataclass`, at a tenth of what it costs to import a module that uses it.

The standard one writes and compiles up to eight functions for each class, half a millisecond a class. The first frame needs
more than a hundred classes, most of them without making an instance. Here the methods are closures, and the standard library
describes the fields when they are first asked for. Only `__init__` is compiled, for its speed, and that with the second instance.

For a type checker it is the standard library's. It knows only the options that this project uses.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Final

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
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


class _Later:
    """An attribute of a class that is found out when somebody asks for it."""

    def __init__(self, cls: type[Any], name: str, find: Callable[[], object]) -> None:
        self._cls = cls
        self._name = name
        self._find = find

    def __get__(self, instance: object, owner: type[Any]) -> object:
        found = self._find()
        setattr(self._cls, self._name, found)
        return found


def _made(plain: type[Any], *, eq: bool, has_repr: bool, frozen: bool, slots: bool) -> type[Any]:
    written = {name for name, value in vars(plain).items() if value is not None}
    own = {
        name: kind
        for name, kind in plain.__annotations__.items()
        if not str(kind).removeprefix("typing.").startswith("ClassVar")
    }
    defaults = {name: vars(plain)[name] for name in own if name in vars(plain)}
    if not plain.__doc__:
        plain.__doc__ = plain.__name__
    cls = _slotted(plain, own) if slots else _with_defaults(plain, defaults)
    later: dict[str, Callable[[], object]] = {
        "__dataclass_fields__": lambda: _fields(cls, own, defaults),
        "__dataclass_params__": lambda: _processed(cls, own, defaults).__dataclass_params__,
        "__match_args__": lambda: tuple(one.name for one in dataclasses.fields(cls) if one.init),
    }
    methods: dict[str, Any] = {name: _Later(cls, name, find) for name, find in later.items()}
    methods["__init__"] = _first_init(cls, lambda: _parameters(cls, own, defaults), frozen=frozen)
    methods |= _methods(cls, eq=eq, has_repr=has_repr, frozen=frozen, slots=slots)
    for name, method in methods.items():
        if name not in written:
            setattr(cls, name, method)
    return cls


def _methods(
    cls: type[Any], *, eq: bool, has_repr: bool, frozen: bool, slots: bool
) -> dict[str, Any]:
    methods: dict[str, Any] = {}
    if has_repr:
        methods["__repr__"] = _repr(cls)
    if eq:
        methods["__eq__"] = _eq(cls)
        methods["__hash__"] = _hash(cls) if frozen else None
    if frozen:
        methods |= _frozen(cls)
        if slots:
            methods |= {"__getstate__": _state, "__setstate__": _take_state}
    return methods


def _with_defaults(cls: type[Any], defaults: Mapping[str, object]) -> type[Any]:
    """Return the class with the value of each default in place of its description."""
    for name, default in defaults.items():
        if isinstance(default, dataclasses.Field):
            if default.default is _ABSENT:
                delattr(cls, name)
            else:
                setattr(cls, name, default.default)
    return cls


def _slotted(plain: type[Any], own: Iterable[str]) -> type[Any]:
    """Return the class with a slot for each field that it adds to those of its bases."""
    inherited = {name for base in plain.__mro__[1:] for name in vars(base).get("__slots__") or ()}
    body = {
        name: value
        for name, value in vars(plain).items()
        if name not in own and name not in ("__dict__", "__weakref__")
    }
    body["__slots__"] = tuple(name for name in own if name not in inherited)
    kind: Any = type(plain)
    made: type[Any] = kind(plain.__name__, plain.__bases__, body)
    made.__qualname__ = plain.__qualname__
    return made


def _processed(cls: type[Any], own: Mapping[str, object], defaults: Mapping[str, object]) -> Any:
    """Return a class of the fields that a class adds, made by the standard library."""
    body = {**defaults, "__annotations__": dict(own), "__module__": cls.__module__}
    # Without a text, the standard library would write down the signature, and read all annotations for that.
    body["__doc__"] = cls.__name__
    return dataclasses.dataclass(init=False, repr=False, eq=False)(type(cls.__name__, (), body))


def _fields(
    cls: type[Any], own: Mapping[str, object], defaults: Mapping[str, object]
) -> dict[str, dataclasses.Field[Any]]:
    """Return the fields as the standard library describes them, those of the bases first."""
    found: dict[str, dataclasses.Field[Any]] = {}
    base: Any
    for base in reversed(cls.__mro__[1:]):
        if "__dataclass_fields__" in vars(base):
            found |= base.__dataclass_fields__
    found |= _processed(cls, own, defaults).__dataclass_fields__
    return found


def _parameters(
    cls: type[Any], own: Iterable[str], defaults: Mapping[str, object]
) -> Sequence[dataclasses.Field[Any]]:
    """Return what `__init__` sets, without the standard library's description of the fields where there are no bases."""
    if any("__dataclass_fields__" in vars(base) for base in cls.__mro__[1:]):
        return dataclasses.fields(cls)
    found: list[dataclasses.Field[Any]] = []
    for name in own:
        default = defaults.get(name, _ABSENT)
        is_field = isinstance(default, dataclasses.Field)
        one: Any = default if is_field else dataclasses.field(default=default)
        one.name = name
        found.append(one)
    return found


def _first_init(
    cls: type[Any], parameters: Callable[[], Sequence[dataclasses.Field[Any]]], *, frozen: bool
) -> Callable[..., None]:
    """Return what fills the first instance and is replaced with the second: of many classes there is only one."""
    is_first = True

    def __init__(self: object, *args: object, **kwargs: object) -> None:  # noqa: N807 - its name, as in errors
        nonlocal is_first
        if is_first:
            is_first = False
            values = _values_for(parameters(), args, kwargs)
            if values is not None:
                for name, value in values.items():
                    _set(self, name, value)
                if hasattr(cls, "__post_init__"):
                    self.__post_init__()  # type: ignore[attr-defined]
                return
        made = _init(cls, parameters(), frozen=frozen)
        cls.__init__ = made
        made(self, *args, **kwargs)

    return __init__


def _values_for(
    parameters: Sequence[dataclasses.Field[Any]],
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> dict[str, object] | None:
    """Return the values of the fields; None if the arguments are wrong, which the compiled method reports."""
    names = [one.name for one in parameters if one.init]
    given = dict(zip(names, args, strict=False)) | kwargs
    if len(given) < len(args) + len(kwargs) or not given.keys() <= set(names):
        return None
    values: dict[str, object] = {}
    for one in parameters:
        if one.init and one.name in given:
            values[one.name] = given[one.name]
        elif one.default is not _ABSENT:
            values[one.name] = one.default
        elif one.default_factory is not _ABSENT:
            values[one.name] = one.default_factory()
        elif one.init:
            return None
    return values


def _init(
    cls: type[Any], fields: Sequence[dataclasses.Field[Any]], *, frozen: bool
) -> Callable[..., None]:
    """Compile the method, as fast as if it had been written by hand."""
    scope: dict[str, Any] = {"_absent": _ABSENT, "_set": _set}
    parameters, body = ["self"], []
    for one in fields:
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


def _repr(cls: type[Any]) -> Callable[[object], str]:
    @recursive_repr()
    def __repr__(self: object) -> str:  # noqa: N807
        names = [one.name for one in dataclasses.fields(cls) if one.repr]
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return __repr__


def _eq(cls: type[Any]) -> Callable[[object, object], bool]:
    values: Callable[[object], tuple[object, ...]] | None = None

    def __eq__(self: object, other: object) -> bool:  # noqa: N807
        nonlocal values
        if other.__class__ is not self.__class__:
            return NotImplemented
        if values is None:
            values = _values([one.name for one in dataclasses.fields(cls) if one.compare])
        return values(self) == values(other)

    return __eq__


def _hash(cls: type[Any]) -> Callable[[object], int]:
    values: Callable[[object], tuple[object, ...]] | None = None

    def __hash__(self: object) -> int:  # noqa: N807
        nonlocal values
        if values is None:
            fields = dataclasses.fields(cls)
            hashed = [one for one in fields if (one.compare if one.hash is None else one.hash)]
            values = _values([one.name for one in hashed])
        return hash(values(self))

    return __hash__


def _frozen(cls: type[Any]) -> dict[str, Any]:
    def __setattr__(self: object, name: str, value: object) -> None:  # noqa: N807
        if type(self) is cls or name in cls.__dataclass_fields__:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: object, name: str) -> None:  # noqa: N807
        if type(self) is cls or name in cls.__dataclass_fields__:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return {"__setattr__": __setattr__, "__delattr__": __delattr__}


def _state(self: Any) -> list[object]:
    """Return what a copy needs: without this, copying would set attributes of a frozen instance."""
    return [getattr(self, one.name) for one in dataclasses.fields(self)]


def _take_state(self: Any, state: list[object]) -> None:
    for one, value in zip(dataclasses.fields(self), state, strict=True):
        _set(self, one.name, value)

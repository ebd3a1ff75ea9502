"""The registry: whatever a recipe names by a word is found here, whoever wrote it.

Filters, measures, sources, formats, teachers, arms and repositories are all extended alike: one
file with one class, listed once. What comes with the project is listed in its tuple; an installed
package brings more through an entry point of the registry's group; a script or a notebook calls
`register`. Recipe, plan, catalogue, schema and the contract suites ask the registry and nobody
else, so what is in it is everywhere.

A package that brings what can't be used takes down nothing but recipes that name it: it is told of
in one line, and is not there.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Final, Generic, TypeVar, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Kind = TypeVar("Kind")
logger = logging.getLogger(__name__)
_TOLD: Final[set[tuple[str, str]]] = set()
"""Modules that can't be used, with the cause: one may bring a thing of every kind."""


class PlugInError(Exception):
    """An installed package brings something that is not to be had, or takes another's name."""


class Registry(Generic[Kind]):
    """Things of one kind, each known by its name.

    Args:
        kind: what they are, in one word (``filter``).
        group: of the entry points through which packages bring more (``curate.filters``).
        shipped: those of this project, in the order in which they are listed.
        name_of: gives the name by which a recipe knows one.
        check: raises TypeError for what is none of the kind.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        shipped: Iterable[Kind],
        name_of: Callable[[Kind], str],
        check: Callable[[object], None] = lambda _: None,
    ) -> None:
        self.kind = kind
        self.group = group
        self.shipped = tuple(shipped)
        self._name_of = name_of
        self._check = check
        self._plugged: dict[str, tuple[Kind, EntryPoint]] | None = None
        self._doubles: set[str] = set()
        self._faults: dict[str, str] = {}
        self._added: dict[str, Kind] = {}
        self._told: list[Callable[[], None]] = []

    def register(self, item: Kind) -> Kind:
        """Add one for the life of this process; a cell run again takes its own place.

        Returns:
            The same, so that this serves as a decorator.

        Raises:
            TypeError: it is none of the kind.
            ValueError: another one has the name.
        """
        self._check(item)
        name = _word(self._name_of(item), item)
        for other in self._lasting():
            if other is not item and self._name_of(other) == name:
                raise ValueError(
                    f"there is a {self.kind} {name!r} already ({other!r}); give yours another name"
                )
        if item not in self:
            self._added[name] = item
            self._tell()
        return item

    def forget(self, item: Kind) -> None:
        """Take out what was registered, as if it had never been."""
        del self._added[self._name_of(item)]
        self._tell()

    def watch(self, changed: Callable[[], None]) -> None:
        """Have something called whenever one is added or taken out."""
        self._told.append(changed)

    def __iter__(self) -> Iterator[Kind]:
        """Give all: those shipped, those of installed packages, those added here."""
        return iter((*self._lasting(), *self._added.values()))

    def __contains__(self, item: object) -> bool:
        return any(item is member for member in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def name_of(self, item: Kind) -> str:
        """Give the name by which a recipe knows one."""
        return self._name_of(item)

    @property
    def names(self) -> list[str]:
        """The names of all, in their order."""
        return [self._name_of(item) for item in self]

    @property
    def shipped_names(self) -> list[str]:
        """The names of those that come with this project."""
        return [self._name_of(item) for item in self.shipped]

    def get(self, name: str) -> Kind | None:
        """Find one by its name; None where there is none."""
        return next((item for item in self if self._name_of(item) == name), None)

    def fault(self, name: str) -> str | None:
        """Say why what an installed package brings under a name is not there; None where it is.

        Args:
            name: by which a recipe would know it, of which the entry point's is all that is known
                where nothing was loaded.
        """
        return self._faults.get(name) if self.get(name) is None else None

    def _tell(self) -> None:
        for changed in self._told:
            changed()

    def _lasting(self) -> tuple[Kind, ...]:
        """Give those shipped and those of installed packages, which are loaded once."""
        if self._plugged is None:
            self._plugged = {}  # a package may register what it brings while it is imported here
            for point in entry_points(group=self.group):
                try:
                    self._plug(point, self._plugged)
                except PlugInError as error:
                    self._faults.setdefault(point.name, str(error))
                    _warn(point, error)
        plugged = self._plugged.items()
        return (*self.shipped, *(item for name, (item, _) in plugged if name not in self._doubles))

    def _plug(self, point: EntryPoint, plugged: dict[str, tuple[Kind, EntryPoint]]) -> None:
        """Load one, and see that nothing else has its name; of two packages' nobody can choose.

        Raises:
            PlugInError: it can't be imported, is of another kind, or has the name of another.
        """
        item, name = self._load(point)
        other, bringer = plugged.get(name, (item, point))
        if other is not item:
            self._doubles.add(name)
            self._faults[name] = (
                f"{_from(point)} and {_from(bringer)} both bring a {self.kind} {name!r}; uninstall "
                "one of the packages, or have it take another name"
            )
            raise PlugInError(self._faults[name])
        if name in self.shipped_names or self._added.get(name, item) is not item:
            raise PlugInError(
                f"{_from(point)} brings a {self.kind} {name!r}, and there is one of that name "
                "already; uninstall the package, or have it take another name"
            )
        self._added.pop(name, None)
        plugged[name] = item, point

    def _load(self, point: EntryPoint) -> tuple[Kind, str]:
        """Load one, and its name."""
        try:
            item = point.load()
            self._check(item)
            return item, _word(self._name_of(item), item)
        except (Exception, SystemExit) as error:
            cause = " ".join(str(error).split())
            raise PlugInError(
                f"{_from(point)} brings {point.value!r} as a {self.kind}, which can't be used "
                f"({type(error).__name__}: {cause}); mend the package, or uninstall it"
            ) from error


def _warn(point: EntryPoint, error: PlugInError) -> None:
    """Tell of a package that brings nothing, once for what is wrong with one of its modules."""
    cause = str(error.__cause__ or error)
    if (point.module, cause) not in _TOLD:
        _TOLD.add((point.module, cause))
        logger.warning("%s. What does not name it goes on without", error)


def _word(name: object, item: object) -> str:
    """Want a name that can stand in a recipe.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"{item!r} has the name {name!r}; a word is wanted")
    return name


def _from(point: EntryPoint) -> str:
    package = point.dist.name if point.dist else "a package"
    return f"{package} (entry point {point.name!r} of {point.group!r})"


def subclass_of(base: type) -> Callable[[object], None]:
    """Make the check that something is a class derived from another, no abstract or half one."""

    def check(item: object) -> None:
        if not (isinstance(item, type) and issubclass(item, base)):
            raise TypeError(f"{item!r} is no subclass of {base.__name__}")
        if lacking := sorted(getattr(item, "__abstractmethods__", ())):
            raise TypeError(f"{item.__name__} lacks {', '.join(lacking)}")
        if issubclass(item, BaseModel):
            item.model_rebuild()  # raises where a field's type is not defined

    return check


def instance_of(base: type) -> Callable[[object], None]:
    """Make the check that something is one of a class."""

    def check(item: object) -> None:
        if not isinstance(item, base):
            raise TypeError(f"{item!r} is no {base.__name__}")

    return check


def field_default(field: str) -> Callable[[type], str]:
    """Make a name from the default of a pydantic model's field (``use``).

    The function made raises TypeError where a class has no such field, or one whose default is not
    its only literal: these are what tells the classes of a recipe apart.
    """

    def name_of(kind: type) -> str:
        fields: Mapping[str, FieldInfo] = getattr(kind, "model_fields", {})
        name = fields[field].default if field in fields else None
        if not isinstance(name, str) or get_args(fields[field].annotation) != (name,):
            raise TypeError(
                f"{kind.__name__} has no name for a recipe; give it a field like "
                f'`{field}: Literal["mine"] = "mine"`'
            )
        return name

    return name_of

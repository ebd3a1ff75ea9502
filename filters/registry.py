"""The registry: whatever a recipe names by a word is found here, whoever wrote it.

Filters, measures, sources, formats, teachers, arms and repositories are all extended alike: one
file with one class, listed once. What comes with the project is listed in its tuple; an installed
package brings more through an entry point of the registry's group; a script or a notebook calls
`register`. Recipe, plan, catalogue, schema and the contract suites ask the registry and nobody
else, so what is in it is everywhere.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, get_args

from pydantic.fields import FieldInfo

Kind = TypeVar("Kind")


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
        self._plugged: tuple[Kind, ...] | None = None
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
        name = self._name_of(item)
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

    def lasting(self, item: object) -> bool:
        """Tell whether something is shipped or installed, so that somebody raises its version."""
        return any(item is other for other in self._lasting())

    def get(self, name: str) -> Kind | None:
        """Find one by its name; None where there is none."""
        return next((item for item in self if self._name_of(item) == name), None)

    def _tell(self) -> None:
        for changed in self._told:
            changed()

    def _lasting(self) -> tuple[Kind, ...]:
        """Give those shipped and those of installed packages, which are loaded once.

        Raises:
            PlugInError: a package brings what can't be imported, is of another kind, or has the
                name of another.
        """
        if self._plugged is None:
            self._plugged = ()  # a package may register what it brings while it is imported here
            try:
                for point in entry_points(group=self.group):
                    self._plugged = (*self._plugged, self._plug(point))
            except PlugInError:
                self._plugged = None
                raise
        return (*self.shipped, *self._plugged)

    def _plug(self, point: EntryPoint) -> Kind:
        """Load one, and see that nothing else has its name."""
        item, name = self._load(point)
        taken = {self._name_of(one) for one in self._lasting()}
        if name in taken or self._added.get(name, item) is not item:
            raise PlugInError(
                f"{_from(point)} brings a {self.kind} {name!r}, and there is one of that name "
                "already; uninstall the package, or have it take another name"
            )
        self._added.pop(name, None)
        return item

    def _load(self, point: EntryPoint) -> tuple[Kind, str]:
        """Load one, and its name."""
        try:
            item = point.load()
            self._check(item)
            return item, self._name_of(item)
        except Exception as error:
            cause = " ".join(str(error).split())
            raise PlugInError(
                f"{_from(point)} brings {point.value!r} as a {self.kind}, which can't be used "
                f"({type(error).__name__}: {cause}); uninstall the package, or mend it"
            ) from error


def _from(point: EntryPoint) -> str:
    package = point.dist.name if point.dist else "a package"
    return f"{package} (entry point {point.name!r} of {point.group!r})"


def subclass_of(base: type) -> Callable[[object], None]:
    """Make the check that something is a class derived from another, and no abstract one."""

    def check(item: object) -> None:
        if not (isinstance(item, type) and issubclass(item, base)):
            raise TypeError(f"{item!r} is no subclass of {base.__name__}")
        if lacking := sorted(getattr(item, "__abstractmethods__", ())):
            raise TypeError(f"{item.__name__} lacks {', '.join(lacking)}")

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
    among its literals: these are what tells the classes of a recipe apart.
    """

    def name_of(kind: type) -> str:
        fields: Mapping[str, FieldInfo] = getattr(kind, "model_fields", {})
        name = fields[field].default if field in fields else None
        if not isinstance(name, str) or name not in get_args(fields[field].annotation):
            raise TypeError(
                f"{kind.__name__} has no name for a recipe; give it a field like "
                f'`{field}: Literal["mine"] = "mine"`'
            )
        return name

    return name_of

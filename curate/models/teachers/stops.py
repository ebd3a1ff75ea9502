"""Stop strings that a continued completion straddles."""

from collections.abc import Sequence


def cut_at_stop(text: str, stops: Sequence[str], joint: int) -> str | None:
    """Cut a continued completion at a stop string that began before the joint.

    An engine looks for stop strings only in what it writes itself, so one that the earlier text
    began and the new text ended is not seen there.

    Args:
        text: earlier and new text together.
        stops: strings that end a completion.
        joint: length of the earlier text, in characters.

    Returns:
        The text before the first stop string, or None where none straddles the joint.
    """
    longest = max((len(stop) for stop in stops), default=0)
    start = max(0, joint - longest + 1)
    places = [text.find(stop, start) for stop in stops]
    first = min((at for at in places if 0 <= at < joint), default=None)
    return None if first is None else text[:first]

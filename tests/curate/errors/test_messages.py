"""What is printed of an error: one message, that a terminal shows and a person can read."""

import pytest

from curate.errors import LONGEST_LINE, InputError, as_message


def test_a_message_is_printed_as_it_is() -> None:
    assert (
        as_message(InputError("got 3; wanted 4\nand two", "a.b")) == "a.b: got 3; wanted 4\nand two"
    )


@pytest.mark.parametrize("control", ["\x1b[2J", "\x00", "\x85", "\r"])
def test_controls_are_shown_and_not_obeyed(control: str) -> None:
    message = as_message(InputError(f"no file {control}"))
    assert message.startswith("no file \\x")
    assert message.isprintable()


def test_of_a_line_that_runs_on_the_beginning_and_the_way_out_are_kept() -> None:
    message = as_message(InputError(f"got {'x' * 100_000}\nanother; do this instead"))
    first, second = message.split("\n")
    assert len(first) < LONGEST_LINE + 10
    assert second == "another; do this instead"
    assert as_message(InputError(f"{'x' * 9000}; do this")).endswith("; do this")

"""What the arms of a run did for its student, in words, at a terminal and as a page."""

"""What the arms of a run did for its student: facts, words, and where they lie beside the run."""

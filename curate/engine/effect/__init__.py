"""Does a selection help: students trained on every arm, asked the same questions."""

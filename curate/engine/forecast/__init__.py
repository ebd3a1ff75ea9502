"""Before a run: what is known of it (`preview`), and what a few questions foretell (`probe`)."""

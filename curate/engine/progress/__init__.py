"""What a run shows while it lasts: a region that stays in place on a terminal, else plain lines."""

"""Shipped recipes; ``curate run NAME`` finds them here."""

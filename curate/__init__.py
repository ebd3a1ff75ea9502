"""Turn questions with known answers into a small, well-chosen dataset of rationales."""

"""Results: stored, loaded and judged. Nothing here measures."""

"""Programs to text, and what runs it."""

"""The vocabulary, as declarations of forward mathematics."""

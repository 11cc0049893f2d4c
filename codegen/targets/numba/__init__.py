"""The Numba target: explicit loops, compiled."""

"""The NumPy target: vectorized and readable, without a compiler."""

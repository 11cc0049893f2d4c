"""Mathematics: reading, shapes, derivation, simplification, lifting, printing."""

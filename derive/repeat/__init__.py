"""Repetition: models whose number of layers is a symbol, derived once for all of them."""

"""The model language: grammar, syntax tree, canonical text, and reading into a program."""

"""One module a command of `gradc`, each with a click command called ``command``."""

"""The tree, tested as a specification: one behaviour a test, in virtual time."""

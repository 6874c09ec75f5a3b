"""The atomic cluster expansion: a complete, systematically improvable linear basis of atomic environments."""

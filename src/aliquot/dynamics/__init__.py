"""Molecular dynamics with a potential of this package, in programs that others wrote."""

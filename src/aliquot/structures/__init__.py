"""Atoms in and out."""

from aliquot.structures.frames import Column, Frames, LabelKeys

__all__ = ["Column", "Frames", "LabelKeys"]

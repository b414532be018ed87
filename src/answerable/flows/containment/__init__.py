"""Stops, holds lifted and followed, panic."""

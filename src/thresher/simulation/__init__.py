"""Presets: physics, learning and prices composed into what a plan achieves (`published` and `default`)."""

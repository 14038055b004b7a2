"""The map of the design space: two lines of a rule moved over a grid, what each combination costs evasion and whom it burdens."""

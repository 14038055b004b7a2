"""The adversary: the best plan that no clause of a regime sees, and the footprint it leaves."""

"""Portfolios of countermeasures: the cheapest programme that holds an adversary below a bound, and what each part of it is
worth."""

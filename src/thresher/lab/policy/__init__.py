"""The policy lab: a rule, an adversary and a programme of countermeasures, moved by hand; beside them what follows."""

"""The lab: a local web page over the verbs, each page with a JSON twin and the command that reproduces it."""

"""Threshold design: sweep a rule's lines, and weigh what each imposes on evasion against whom it burdens."""

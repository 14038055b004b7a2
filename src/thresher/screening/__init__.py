"""From records to leads: who is who, who controls what, what is unaccounted for, what the rule covers, where to look."""

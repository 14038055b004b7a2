"""Who is who: names made comparable, free text mapped to chips, records linked, pairs explained, judgements respected."""

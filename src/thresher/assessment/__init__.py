"""The answer: what a regime leaves possible, what it costs, whom it burdens, and how far the evidence reaches."""

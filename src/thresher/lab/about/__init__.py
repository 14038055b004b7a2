"""About the model: predictions beside measurements, where it is weak, how far the evidence reaches, and every number's source."""

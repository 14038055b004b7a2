"""The calibration: Bayesian fits of what replicas cost in learning; needs the extra ``calibrate``."""

"""Thresher: could a prohibited AI training run be split into pieces too small for the rule to see, and would we catch it?"""

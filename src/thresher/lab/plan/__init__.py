"""The plan simulator: the plan of `thresher simulate` as a form, with the physics drawn."""

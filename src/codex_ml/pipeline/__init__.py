"""From a config to a trained, evaluated, exported and reported model, stage by stage."""

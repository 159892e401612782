"""The product's rules: pure, standard library only. No clock, dice, disk or environment; they come in as arguments."""

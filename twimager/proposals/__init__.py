"""Which HR might show the same picture as which LR."""

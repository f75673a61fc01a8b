"""How alike two pictures are: structure, features, what a network makes of them."""

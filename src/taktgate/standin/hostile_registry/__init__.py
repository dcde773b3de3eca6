"""A signed registry that can be made to lie, for the attacks a station must refuse."""

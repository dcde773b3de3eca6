"""The signed registry as a station sees it: what is offered, and what of it is permitted."""

"""From the desired properties to the steps that are to be done, and what became of them."""

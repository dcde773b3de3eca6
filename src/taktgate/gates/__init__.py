"""The logic of the gates that a model passes before it may ship."""

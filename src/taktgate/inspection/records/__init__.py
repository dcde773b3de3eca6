"""What is kept of every part: its record, and the images that matter."""

"""Labels that the photos contradict."""

"""What more photos, another backbone and each recipe would bring, and what they cost here, before training."""

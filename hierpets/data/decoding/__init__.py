"""From the bytes of a photo to pixels: what kind of file it is, how it is decoded, what is wrong with it."""

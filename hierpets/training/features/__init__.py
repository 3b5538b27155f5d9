"""Features of a frozen backbone: computed once, in this process or on a cluster, and cached."""

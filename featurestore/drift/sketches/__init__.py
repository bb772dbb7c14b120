"""What drift keeps of a month's rows: additive histograms over fixed edges, and distances between them."""

"""Every program of `make bench` in a short form: what it counts is exact, its aims are judged."""

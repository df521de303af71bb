"""Every test of guanjia; how they are run is said in CONTRIBUTING.md."""

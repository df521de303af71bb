"""How rates are counted: pure."""

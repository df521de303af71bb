"""Pages of dispatch: the board, the page of a case, the forms by which people act."""

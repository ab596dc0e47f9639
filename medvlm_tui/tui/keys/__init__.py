"""Keys of the screens: their names, the help, the menu, the palette."""

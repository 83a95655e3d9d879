"""What all figures and pages share: colours, fonts for every language of the bundled tables, sizes and saving."""

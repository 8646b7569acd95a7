"""What is counted: report definitions, their runs and downloadable files."""

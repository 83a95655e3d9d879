"""The audio of Symile-M3: synthetic speech, online speech, Common Voice recordings, and their samples."""

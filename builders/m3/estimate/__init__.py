"""What a build of Symile-M3 will take, before anything of it is written."""

"""What all builds share: the build directory, its journal, the stages, the executors and the media store."""

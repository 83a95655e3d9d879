"""The keys of Symile-M3 beside the language of the audio: their values, their images and tones, and their columns."""

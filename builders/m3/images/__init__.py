"""The images of Symile-M3: ImageNet folders, repositories of the Hugging Face Hub, and drawn samples."""

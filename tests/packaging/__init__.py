"""What ships beside the code: images, lock files, settings' example and the sample archive."""

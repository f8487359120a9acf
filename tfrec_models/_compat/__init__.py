"""Private parts of Keras and TensorFlow, each behind an accessor."""

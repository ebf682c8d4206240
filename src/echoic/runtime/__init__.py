"""What listens: TFLite files, a model's folder, the recognizer and the decoder."""

"""Straight training loops that return records; watching them is somebody else's business."""

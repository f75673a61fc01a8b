"""The layer that many frames share: a logo, a caption, a watermark: `overlay`."""

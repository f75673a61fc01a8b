"""Image files: their structure, decoded pixels, colours, and how pixels are carried to another grid."""

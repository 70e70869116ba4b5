"""What starts work without anybody asking: when a schedule is due, when a watcher looks."""

"""Images that show the same picture, exactly or nearly."""

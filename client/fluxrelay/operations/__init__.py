"""What the client can do, as flows: each says what to send and makes a result of the answer."""

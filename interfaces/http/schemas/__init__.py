"""What clients send and are sent. Values are judged by the domain's own rules, all of a request's at once."""

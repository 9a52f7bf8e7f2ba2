"""What python-web depends on."""


def greet(who):
    return f"Hello from {who}"

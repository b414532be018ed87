"""The protocols through which flows use the outside world. Each file declares one Protocol, and its docstring is the
contract of every adapter."""

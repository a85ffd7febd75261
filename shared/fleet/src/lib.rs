//! The fleet's interface: how many workers there are, what a worker's machine says to it, and where figures go.

"""A process that has something left to do when it ends, and ends as it is told to."""

import atexit
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

if __name__ == "__main__":
    atexit.register(print, "registered for the exit")
    asked = ThreadPoolExecutor(1)
    Thread(
        target=lambda: print("a thread that is waited for, after", asked.submit(sum, [1, 2]).result())
    ).start()
    match sys.argv[1]:
        case "code":
            sys.exit(3)
        case "words":
            sys.exit("what was wrong")
        case "large":
            sys.exit(259)

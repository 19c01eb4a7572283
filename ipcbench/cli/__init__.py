"""The command line: asks and answers; the only room that prints or knows argparse."""

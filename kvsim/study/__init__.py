"""MANY runs: a study varies a base scenario along axes, runs every cell and checks claims about the results.

A study is data: `spec` says what may stand in its file, `loader` reads and checks it, `grid` lists its cells,
`runner` runs them on any number of workers, `claims` compares what came out with what was claimed.
"""

"""MANY runs: a study varies a base scenario along axes, runs every cell and checks claims about the results.

A study is data: `spec` says what may stand in its file, `loader` reads it and `checks` what clashes in it,
`grid` lists its cells, `runner` runs them on any number of workers, `select` makes numbers of what came out,
`claims` compares them with what was claimed. Apart from that, `search` looks for the largest value at which
an `objective` holds, and `tune` for the best setting, both by way of `attempt`, which gives up a run once
`watch` calls it lost; `whatif` makes a scenario's single changes and runs them, and `explain` says with their
help why its steps take so long.
"""

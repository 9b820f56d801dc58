"""What `experiments.forecasting` says beside its tables."""

ROWS = """What the rows are:

- *greedy*: the same population and server without the game.
- *equal weights*: the plain mean of memoa's agents, which then follow their mean.
- *one-step weights*: greedy agents with the weights of the predecessor (arXiv:2505.00216): one step
  of history and an absolute ridge of 1.
- *EWA*: the exponentially weighted average of the greedy agents. Its rate is the one of a grid that
  would have been best so far.
- *BOA*: Bernstein online aggregation of the greedy agents (Wintenberger 2017), second-order, with a
  rate for each agent.
- *and the last value*: repeating the last value is one more expert.
- *seasonal repetition*: the value of one period ago. The period is the lag from 1 to 60 whose
  repetitions had the smallest discounted error so far.
- *online ridge*: a ridge regression on the same inputs with forgetting 0.99.
- *river*: its streaming regressors with their own defaults, on the same inputs, standardised.
- *statsforecast*: its automatic exponential smoothing (AutoETS) and its automatic theta method,
  fitted anew at every step to the last 500 values, which keeps a long series within minutes. They
  see no inputs. Their season is the period that *seasonal repetition* finds among the lags up to
  24.

*online ridge* and *river* learn the change from the last value, as the agents do. Seconds are those
of all steps of a run on one thread, while other runs may have used the other processors."""

OTHERS = """\
Where other methods win, and why. *periodic*: seasonal repetition knows the cycle after one period,
while agents have to guess before. Repeating the last value for three steps at the start, instead of
two, would help on cycles but cost 1 % on the series of the defaults' study. *drift* and *drift-1d*:
after a change of concept the server keeps its mixture for some ten steps too long; agents with a
short memory are better there. *boc validation*: nothing can be forecast there, and finding that out
has a price."""

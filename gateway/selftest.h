/* Checks of the linked binary itself: faults that no unit test of a part can see (docs/decisions, "link order"). */
#ifndef GATEWAY_SELFTEST_H
#define GATEWAY_SELFTEST_H

/** Run every check, print a line each. 0 when all passed, else 1 (an exit status). Blocks for some seconds at most. */
int gw_selftest(void);

#endif

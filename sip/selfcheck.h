/* A guard for the linked binary: sofia's timers must run on a private GMainContext. Newer sofia-sip compares a monotonic
 * clock with a wall clock there, and then no timer ever fires. */
#ifndef SIP_SELFCHECK_H
#define SIP_SELFCHECK_H

/** Let one sofia timer of 20 ms fire on a context of its own. 0, -ETIMEDOUT after 2 s, -ENOMEM. Blocks. */
int sipua_selfcheck(void);

#endif

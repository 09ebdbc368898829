/* A guard against a wrong link order: sofia-sip and libnice both export stun_message_length with different meanings, and
 * with sofia first every ICE check of libnice fails in silence. Runs inside the linked program. */
#ifndef ICE_SELFCHECK_H
#define ICE_SELFCHECK_H

/**
 * Let two ICE agents of this process find each other over loopback and exchange a message.
 * @return 0, or -ETIMEDOUT after 5 s. Blocks. Thread: any; uses a context of its own.
 */
int wice_selfcheck(void);

#endif

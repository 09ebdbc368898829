/* What the files of the QUIC model share. */
#ifndef TESTS_SUPPORT_VQUIC_INTERNAL_H
#define TESTS_SUPPORT_VQUIC_INTERNAL_H

#include "tests/support/vquic.h"

/** A packet came to an endpoint (arg). */
void vquic_receive(void *arg, const struct vnet_packet *packet);
/** A held connection is accepted after all. */
void vquic_answer(struct vquic_end *end);
/** Close without a word to anybody. */
void vquic_end_now(struct vquic_end *end, const char *reason);

#endif

/* A guard for the linked binary: GnuTLS refuses server names with an underscore, WZP needs `_signal`, and quic_tls works
 * around it. A GnuTLS that parses differently would break every registration. */
#ifndef WZP_IO_QUIC_SELFCHECK_H
#define WZP_IO_QUIC_SELFCHECK_H

/** Connect one endpoint of this process to another under the name `_signal`, over loopback.
 *  0, -ETIMEDOUT (no handshake in 5 s), -EPROTO (the name arrived changed). Blocks. Thread: any. */
int wzp_quic_selfcheck(void);

#endif
